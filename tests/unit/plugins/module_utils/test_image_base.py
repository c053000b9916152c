"""Where the base's packages come from, and what a base tells of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.sortie.platform.plugins.module_utils import _image_base
from ansible_collections.sortie.platform.plugins.module_utils._image_base import (
    base_key,
    debian_sources,
    kept_paths,
    make_debian,
    pull_base,
    read_base,
)
from ansible_collections.sortie.platform.plugins.module_utils._image_run import CommandError, ImageError
from ansible_collections.sortie.platform.plugins.module_utils._oci import Image, Layer, Layout

OURS = "Types: deb\nURIs: http://mirror.test/debian\nSuites: bookworm bookworm-updates\nComponents: main"


def apt(directory: Path, **files: str) -> Path:
    (directory / "sources.list.d").mkdir()
    for name, text in files.items():
        (directory / "sources.list.d" / name.replace("_", ".")).write_text(text)
    return directory


def test_stanzas_of_debian_are_taken_and_those_of_others_are_not(tmp_path: Path) -> None:
    other_suite = OURS.replace("bookworm bookworm-updates", "nodistro")
    other_component = OURS.replace("main", "stable")
    disabled = f"{OURS}\nEnabled: no"
    text = "\n\n".join((f"# a comment\n{OURS}", other_suite, other_component, disabled))
    assert debian_sources(apt(tmp_path, debian_sources=text)) == OURS


def test_lines_become_stanzas_and_keep_their_key(tmp_path: Path) -> None:
    directory = apt(tmp_path, node_list="deb http://node.test/x nodistro main\n")
    (directory / "sources.list").write_text(
        "# deb http://off.test/debian bookworm main\n"
        "deb [signed-by=/usr/share/keyrings/a.gpg] http://mirror.test/debian bookworm main contrib\n"
        "deb-src http://mirror.test/debian bookworm main\n"
    )
    assert debian_sources(directory) == (
        "Types: deb\nURIs: http://mirror.test/debian\nSuites: bookworm\nComponents: main contrib\n"
        "Signed-By: /usr/share/keyrings/a.gpg"
    )


def test_a_machine_without_these_suites_gives_none(tmp_path: Path) -> None:
    assert debian_sources(apt(tmp_path, ubuntu_sources=OURS.replace("bookworm", "noble"))) == ""


def test_the_key_follows_the_recipe_and_the_name(tmp_path: Path) -> None:
    prepare = tmp_path / "prepare.py"
    prepare.write_text("one")
    debian, pulled = base_key("", prepare), base_key("python:3.13", prepare)
    assert debian != pulled
    prepare.write_text("two")
    assert base_key("", prepare) != debian
    assert base_key("python:3.13", prepare) == pulled
    assert base_key("python:3.14", prepare) != pulled


def test_neither_shell_nor_package_manager_is_kept() -> None:
    kept = kept_paths("x86_64-linux-gnu")
    assert "usr/bin/python3" in kept
    assert not {"bin", "usr/bin", "sbin", "usr/sbin", "var/lib/dpkg", "etc", "usr/lib"} & set(kept)


@pytest.mark.parametrize(("environment", "python"), [(["PYTHON_VERSION=3.13.5"], "3.13"), (["A=b"], "3.11")])
def test_the_python_of_a_base_is_what_its_environment_says(
    tmp_path: Path, environment: list[str], python: str
) -> None:
    layout = Layout(tmp_path / "base")
    digest = layout.add(Image("base", [Layer(links={"a": "b"})], {"Env": environment}), "amd64")
    layout.finish()
    base = read_base(tmp_path / "base")
    assert (base.python, base.digest) == (python, digest)


def fail(said: str) -> object:
    def run(*arguments: object) -> str:
        raise CommandError(said)

    return run


def test_a_base_that_cannot_be_pulled_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_image_base, "run", fail("manifest unknown"))
    with pytest.raises(ImageError) as caught:
        pull_base(tmp_path, "registry.test/python:9", [])
    assert str(caught.value) == (
        "The base image registry.test/python:9 cannot be pulled: manifest unknown. Nothing was changed. "
        "Next: check image_base and image_auth_file, or leave image_base empty for the Debian base"
    )


def test_package_sources_that_do_not_answer_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_image_base, "run", fail("E: Failed to fetch"))
    with pytest.raises(
        ImageError, match=r"could not make the Debian base: E: Failed to fetch.*Next: apt-get update"
    ):
        make_debian(tmp_path / "place", tmp_path, tmp_path / "prepare.py")
