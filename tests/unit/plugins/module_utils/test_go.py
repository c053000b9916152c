"""What stops a build says why, what state things are in, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.sortie.platform.plugins.module_utils._go import (
    Program,
    Toolchain,
    build,
    check_free_space,
    find_toolchain,
)
from ansible_collections.sortie.platform.plugins.module_utils._store import Store, StoreError

SOURCE = 'package main\n\nfunc main() {\n\tprintln("hello")\n}\n'


def command(directory: Path, script: str) -> str:
    path = directory / "go-stand-in"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_go_that_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: None)
    with pytest.raises(
        StoreError, match=r"Go is missing.*Install Go 1\.24 or newer.*kube_artifacts_source: release"
    ):
        find_toolchain("1.24")


def test_go_that_is_too_old_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"Go is too old: .* is 1\.19\.8, and 1\.24 is needed"):
        find_toolchain("1.24", command(tmp_path, "echo go1.19.8"))


@pytest.mark.parametrize("version", ["1.24", "1.24.0", "1.26.8", "2.0"])
def test_go_that_is_new_enough_is_taken(tmp_path: Path, version: str) -> None:
    assert find_toolchain("1.24", command(tmp_path, f"echo go{version}")).version == version


def test_a_command_that_is_no_go_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not a working Go toolchain"):
        find_toolchain("1.24", command(tmp_path, "exit 1"))


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    directory = tmp_path / "sources"
    directory.mkdir()
    (directory / "go.mod").write_text("module hello\n\ngo 1.20\n")
    (directory / "main.go").write_text(SOURCE)
    return directory


def test_a_program_is_built_once_for_each_content(tmp_path: Path, sources: Path) -> None:
    go, store = find_toolchain("1.20"), Store(tmp_path / "cache")
    program = Program("hello", directory=sources)
    first, second = (
        build(store, program, go, "amd64", least_free=0),
        build(store, program, go, "amd64", least_free=0),
    )
    assert (first.made, second.made) == (True, False)
    assert (first.path / "hello").stat().st_mode & 0o111
    (sources / "main.go").write_text(SOURCE.replace("hello", "world"))
    assert build(store, program, go, "amd64", least_free=0).path != first.path


def test_a_build_that_fails_says_what_the_compiler_said(tmp_path: Path, sources: Path) -> None:
    (sources / "main.go").write_text("package main\n\nfunc main() { undefined() }\n")
    with pytest.raises(StoreError, match=r"hello could not be built(.|\n)*undefined: undefined"):
        build(
            Store(tmp_path / "cache"),
            Program("hello", directory=sources),
            find_toolchain("1.20"),
            "amd64",
            least_free=0,
        )


def downloading(tmp_path: Path, answer: str) -> Toolchain:
    return Toolchain(command(tmp_path, f"cat <<'END'\n{answer}\nEND"), "1.24.0")


def test_a_module_of_another_hash_is_refused(tmp_path: Path) -> None:
    go = downloading(tmp_path, '{"Dir": "/nowhere", "Sum": "h1:other="}')
    program = Program("tool", module="example.test/tool", version="v1.0.0", checksum="h1:expected=")
    with pytest.raises(StoreError, match=r"its hash is h1:other=, expected h1:expected=\. Nothing was built"):
        build(Store(tmp_path / "cache"), program, go, "amd64", least_free=0)


def test_a_module_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    go = downloading(tmp_path, '{"Error": "no such host"}')
    with pytest.raises(StoreError, match=r"could not be downloaded: no such host.*GOPROXY"):
        build(
            Store(tmp_path / "cache"),
            Program("tool", module="example.test/tool", version="v1.0.0"),
            go,
            "amd64",
            least_free=0,
        )


def test_a_nearly_full_disk_is_told_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(
        StoreError,
        match=r"the disk is nearly full: .* GiB free, and the cache needs \d+ GiB\. Nothing was changed",
    ):
        check_free_space(tmp_path / "not" / "there", 1 << 60, "the cache")
