"""The cache of build artifacts: what is whole is used, what is broken is made again."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ansible_collections.sortie.platform.plugins.module_utils._store import (
    Entry,
    Store,
    StoreError,
    key_of,
    tree_hashes,
)


class Maker:
    """Counts how often something is made."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, place: Path) -> None:
        self.times += 1
        (place / "part").mkdir()
        (place / "part" / "program").write_text(f"made {self.times}")


@pytest.fixture
def maker() -> Maker:
    return Maker()


def get(store: Store, maker: Maker) -> Entry:
    return store.get("go", "program", "0123", maker)


def test_an_artifact_is_made_once(tmp_path: Path, maker: Maker) -> None:
    first, second = (get(Store(tmp_path), maker) for _ in range(2))
    assert (first.made, second.made, maker.times) == (True, False, 1)
    assert first.path == second.path == tmp_path / "go" / "program-0123"
    assert list(tmp_path.joinpath("go").glob(".program-*")) == []


@pytest.mark.parametrize("damage", ["shortened", "removed", "without manifest", "altered"])
def test_a_broken_artifact_is_made_again(tmp_path: Path, maker: Maker, damage: str) -> None:
    store = Store(tmp_path)
    program = get(store, maker).path / "part" / "program"
    if damage == "shortened":
        program.write_text("")
    elif damage == "removed":
        program.unlink()
    elif damage == "without manifest":
        (program.parents[1] / "manifest.json").unlink()
    else:
        program.write_text("made X")
        os.utime(program, ns=(1, 1))
    assert get(store, maker).made
    assert program.read_text() == "made 2"


def test_a_touched_artifact_with_the_same_content_is_kept(tmp_path: Path, maker: Maker) -> None:
    store = Store(tmp_path)
    os.utime(get(store, maker).path / "part" / "program", ns=(1, 1))
    assert not get(store, maker).made


def test_what_fails_or_was_cut_off_leaves_nothing(tmp_path: Path, maker: Maker) -> None:
    leftover = tmp_path / "go" / ".program-0123.cut"
    leftover.mkdir(parents=True)

    def fail(_place: Path) -> None:
        raise StoreError("no")

    with pytest.raises(StoreError, match="no"):
        Store(tmp_path).get("go", "program", "0123", fail)
    assert [path.name for path in (tmp_path / "go").iterdir()] == [".program.lock"]
    assert get(Store(tmp_path), maker).made


def test_an_artifact_without_files_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nothing was made"):
        Store(tmp_path).get("go", "program", "0123", lambda _place: None)


def test_the_manifest_names_every_file(tmp_path: Path, maker: Maker) -> None:
    manifest = json.loads((get(Store(tmp_path), maker).path / "manifest.json").read_text())
    assert list(manifest["files"]) == ["part/program"]


def test_keys_tell_contents_apart(tmp_path: Path) -> None:
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1}) != key_of({"a": 1, "b": 3})
    (tmp_path / "file").write_text("one")
    before = tree_hashes(tmp_path)
    (tmp_path / "file").write_text("two")
    assert before.keys() == {"file"}
    assert before != tree_hashes(tmp_path)
