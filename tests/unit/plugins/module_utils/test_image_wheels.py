"""The wheels of a lock file, from an index that is a directory."""

from __future__ import annotations

import hashlib
import re
import sys
import zipfile
from pathlib import Path

import pytest

from ansible_collections.sortie.platform.plugins.module_utils import _image_wheels
from ansible_collections.sortie.platform.plugins.module_utils._image_run import CommandError, ImageError
from ansible_collections.sortie.platform.plugins.module_utils._image_wheels import download


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that pip uses in place of its index, with one wheel for CPython 3.12."""
    directory = tmp_path / "index"
    directory.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(directory))
    wheel = directory / "thing-1.0-cp312-cp312-manylinux_2_28_x86_64.manylinux_2_28_aarch64.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("thing-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n")
        archive.writestr("thing-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\n")
        archive.writestr("thing-1.0.dist-info/RECORD", "")
    return directory


def lock(directory: Path, digest: str) -> Path:
    file = directory / "requirements.lock"
    file.write_text(f"thing==1.0 --hash=sha256:{digest}\n")
    return file


def digest_of(index: Path) -> str:
    return hashlib.sha256(next(index.iterdir()).read_bytes()).hexdigest()


def test_wheels_are_for_the_python_of_the_image_not_for_this_one(tmp_path: Path, index: Path) -> None:
    download(sys.executable, "3.12", lock(tmp_path, digest_of(index)), tmp_path / "wheels")
    assert [path.name for path in (tmp_path / "wheels").iterdir()] == [path.name for path in index.iterdir()]


def test_a_wheel_with_another_hash_is_refused(tmp_path: Path, index: Path) -> None:
    file = lock(tmp_path, "0" * 64)
    with pytest.raises(ImageError) as caught:
        download(sys.executable, "3.12", file, tmp_path / "wheels")
    told = re.sub(r"\s+", " ", str(caught.value))
    assert f"A downloaded wheel is not what {file} names (thing==1.0" in told
    assert f"Expected sha256 {'0' * 64}" in told
    assert "Nothing was changed. Next: make the lock file again if you changed it" in told
    assert list(tmp_path.glob("wheels/*")) == []


def test_a_wheel_that_is_nowhere_is_told_with_its_python(tmp_path: Path, index: Path) -> None:
    with pytest.raises(ImageError, match=r"for Python 3\.11 cannot be downloaded: .*thing==1\.0"):
        download(sys.executable, "3.11", lock(tmp_path, digest_of(index)), tmp_path / "wheels")


def test_an_interpreter_without_pip_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: object) -> str:
        raise CommandError("/usr/bin/python3: No module named pip")

    monkeypatch.setattr(_image_wheels, "run", run)
    with pytest.raises(ImageError, match=r"has no pip.*apt-get install python3-venv"):
        download("/usr/bin/python3", "3.11", tmp_path / "requirements.lock", tmp_path)
