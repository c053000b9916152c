"""The two commands refuse early what they cannot do, and say what to do."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands are made of, where a user without rights can read it."""
    directory = Path("/var/tmp") / tmp_path_factory.mktemp("checkout").name
    shutil.copytree(ROOT / "bin", directory / "bin")
    directory.chmod(0o755)
    return directory


@pytest.mark.parametrize("command", ["deploy", "test"])
def test_without_root_nothing_is_done(checkout: Path, command: str) -> None:
    try:
        done = subprocess.run(
            [
                "setpriv",
                "--reuid",
                "65534",
                "--regid",
                "65534",
                "--clear-groups",
                "env",
                "PATH=/usr/bin:/bin",
                f"{checkout}/bin/{command}",
            ],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    finally:
        left = sorted(path.name for path in checkout.iterdir())
        shutil.rmtree(checkout)
    assert done.returncode == 1
    assert "ERROR: this needs root" in done.stderr
    assert (
        "Nothing was changed by this step. Next: run it as root, or as a user who may use sudo" in done.stderr
    )
    assert left == ["bin"]


def test_an_unknown_part_is_refused_with_those_that_there_are(checkout: Path) -> None:
    try:
        done = subprocess.run([f"{checkout}/bin/test", "lints"], capture_output=True, text=True, check=False)
    finally:
        shutil.rmtree(checkout)
    assert done.returncode == 1
    assert "there is no part 'lints'" in done.stderr
    assert "bin/test [lint unit app" in done.stderr
