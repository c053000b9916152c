"""Commands, tools and disk space: what is wrong, and what to do next."""

from __future__ import annotations

import shutil
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from ansible_collections.sortie.platform.plugins.module_utils._image_run import (
    CommandError,
    ImageError,
    progress,
    require_space,
    require_tool,
    run,
)

Usage = namedtuple("Usage", "total used free")


def test_an_error_tells_state_and_next_command() -> None:
    assert str(ImageError("It broke.", "do this")) == "It broke. Nothing was changed. Next: do this"


def test_a_missing_builder_is_named_with_the_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ImageError) as caught:
        require_tool("buildah", "builds the image")
    assert str(caught.value) == (
        "buildah is not installed; it builds the image. Nothing was changed. "
        "Next: apt-get install buildah, or set image_builder to one that is installed "
        "(buildah, podman, docker)"
    )


def test_a_missing_tool_that_has_no_substitute_is_to_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ImageError, match=r"skopeo is not installed.*Next: apt-get install skopeo$"):
        require_tool("skopeo", "pushes images")


def test_a_nearly_full_disk_is_told_before_a_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1 << 40, 1 << 40, 300 << 20))
    with pytest.raises(
        ImageError, match=r"nearly full: 300 MiB are free, a build needs 1024 MiB.*free some space"
    ):
        require_space(tmp_path)


def test_a_disk_with_room_is_fine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1 << 40, 0, 1 << 40))
    require_space(tmp_path)


def test_a_command_that_finds_no_space_ends_as_a_full_disk() -> None:
    with pytest.raises(ImageError, match=r"found no space left.*the last good image is as it was"):
        run([sys.executable, "-c", "raise SystemExit('write /x: no space left on device')"])


def test_a_failed_command_tells_the_end_of_its_words() -> None:
    with pytest.raises(CommandError) as caught:
        run([sys.executable, "-c", "raise SystemExit('\\n'.join(map(str, range(30))))"])
    assert str(caught.value).split() == [str(number) for number in range(18, 30)]


def test_progress_goes_to_the_file_of_the_callback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SORTIE_PROGRESS_FILE", str(tmp_path / "progress"))
    progress("one")
    progress("two")
    assert (tmp_path / "progress").read_text() == "one\ntwo\n"
