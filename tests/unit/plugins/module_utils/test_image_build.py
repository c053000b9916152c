"""What the builders are given, and what is left in them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from ansible_collections.sortie.platform.plugins.module_utils import _image_build
from ansible_collections.sortie.platform.plugins.module_utils._image_base import Base
from ansible_collections.sortie.platform.plugins.module_utils._image_build import (
    build,
    make_context,
    read_sources,
)
from ansible_collections.sortie.platform.plugins.module_utils._image_run import CommandError, ImageError

BASE_NAME = "localhost/sortie-build-base:0123456789abcdef"


class Commands:
    """Stands in for the builders; the command whose words contain `failing` ends with an error."""

    def __init__(self) -> None:
        self.given: list[list[str]] = []
        self.failing = "nothing"

    def run(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
        self.given.append(list(command))
        if self.failing in " ".join(command):
            raise CommandError("it broke")
        for argument in command:
            if argument.startswith("--iidfile="):
                Path(argument.removeprefix("--iidfile=")).write_text("sha256:built\n")
        return ""

    def of(self, *words: str) -> list[list[str]]:
        return [command for command in self.given if all(word in command for word in words)]


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Commands:
    found = Commands()
    monkeypatch.setattr(_image_build, "run", found.run)
    monkeypatch.setattr(_image_build, "require_tool", lambda tool, purpose: None)
    monkeypatch.setattr(_image_build, "pack", lambda archive, base, place: found.given.append(["pack"]))
    return found


@pytest.fixture
def base(tmp_path: Path) -> Base:
    return Base(tmp_path / "base", "sha256:0123456789abcdef0123", "3.11")


def test_docker_is_left_without_anything_of_the_build(commands: Commands, base: Base, tmp_path: Path) -> None:
    build("docker", tmp_path / "context", base, "1.0", tmp_path / "image")
    (building,) = commands.of("docker", "build")
    assert {
        "--network=none",
        "--no-cache",
        "--build-arg=VERSION=1.0",
        f"--build-arg=BASE={BASE_NAME}",
    } <= set(building)
    assert commands.given[-4:] == [
        ["docker", "rmi", "--force", "localhost/sortie-build:0123456789abcdef"],
        ["docker", "image", "prune", "--force", "--filter=label=sortie.platform.stage=builder"],
        ["docker", "rmi", "--force", BASE_NAME],
        ["pack"],
    ]


def test_docker_is_cleaned_up_after_a_failed_build_too(
    commands: Commands, base: Base, tmp_path: Path
) -> None:
    commands.failing = "docker build"
    with pytest.raises(ImageError, match="docker could not build the image: it broke"):
        build("docker", tmp_path / "context", base, "1.0", tmp_path / "image")
    assert commands.given[-1] == ["docker", "rmi", "--force", BASE_NAME]
    assert ["pack"] not in commands.given


@pytest.mark.parametrize("builder", ["buildah", "podman"])
def test_builders_without_a_daemon_work_in_a_storage_of_their_own(
    builder: str, commands: Commands, base: Base, tmp_path: Path
) -> None:
    build(builder, tmp_path / "context", base, "1.0", tmp_path / "image")
    called = [command for command in commands.given if command[0] == builder]
    assert [command[5] for command in called] == ["pull", "build", "push"]
    assert {tuple(command[1:3]) for command in called} == {("--root", str(tmp_path / "storage"))}
    # podman refuses a longer one.
    assert all(len(command[4]) <= 50 for command in called)
    assert "--network=none" in called[1]
    assert called[2][-2] == "sha256:built"


@pytest.mark.parametrize(
    ("unified", "runc", "options"), [(True, True, []), (False, True, ["--runtime=runc"]), (False, False, [])]
)
def test_runc_is_chosen_where_crun_does_not_work(
    unified: bool, runc: bool, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "exists", lambda self: unified)
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/runc" if runc else None)
    assert _image_build._runtime_options() == options


def test_the_context_has_sources_with_plain_modes_and_tools_without_versions(tmp_path: Path) -> None:
    app = tmp_path / "app"
    for name in ("src/sortie/cli.py", "src/sortie/__pycache__/cli.pyc", ".hidden/x", "Containerfile"):
        (app / name).parent.mkdir(parents=True, exist_ok=True)
        (app / name).write_text(name)
    (app / "src/sortie/cli.py").chmod(0o600)
    for directory, name in (
        ("wheels", "bottle-0.13-py3-none-any.whl"),
        ("tools", "pip-26.3-py3-none-any.whl"),
    ):
        (tmp_path / directory).mkdir()
        (tmp_path / directory / name).touch()
    context = tmp_path / "context"
    make_context(context, read_sources(app), tmp_path / "wheels", tmp_path / "tools")
    files = sorted(str(path.relative_to(context)) for path in context.rglob("*") if path.is_file())
    assert files == [
        "source/Containerfile",
        "source/src/sortie/cli.py",
        "tools/pip.whl",
        "wheels/bottle-0.13-py3-none-any.whl",
    ]
    assert (context / "source/src/sortie/cli.py").stat().st_mode & 0o777 == 0o644
