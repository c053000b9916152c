# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""A cache of build artifacts by content: `DIRECTORY/KIND/NAME-KEY/`, KEY being the hash of everything that went in.

An entry is made in a directory beside its place and renamed when it is whole, so a run that is cut off leaves nothing
that looks finished. Its `manifest.json` holds size, modification time and sha256 of each file: an entry that lacks a
file or whose file has another size is thrown away and made again; one whose times differ is hashed first.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
KEY_LENGTH = 16
CHUNK = 1 << 20


class StoreError(Exception):
    """An artifact could not be made; the store is as it was."""


def file_sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def key_of(inputs: Any) -> str:
    """The key for inputs that JSON can hold (16 hexadecimal digits)."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:KEY_LENGTH]


def tree_hashes(root: Path) -> dict[str, str]:
    """sha256 of every file below a directory, by its path in it; for use in a key."""
    return {
        str(path.relative_to(root)): file_sha256(path)
        for path in sorted(root.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


@dataclass(frozen=True)
class Entry:
    """A finished artifact. `made` tells whether it was made by this call."""

    path: Path
    made: bool


class Store:
    """The cache under one directory, safe for several processes at once."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def place(self, kind: str, name: str, key: str) -> Path:
        return self.directory / kind / f"{name}-{key}"

    def find(self, kind: str, name: str, key: str) -> Path | None:
        """The entry if it is there and whole."""
        place = self.place(kind, name, key)
        return place if _is_whole(place) else None

    def get(self, kind: str, name: str, key: str, make: Callable[[Path], None]) -> Entry:
        """The entry, made by `make(directory)` if it is not there or broken. `make` raises StoreError."""
        if found := self.find(kind, name, key):
            return Entry(found, made=False)
        place = self.place(kind, name, key)
        place.parent.mkdir(parents=True, exist_ok=True)
        with _locked(place.parent / f".{name}.lock"):
            if found := self.find(kind, name, key):
                return Entry(found, made=False)
            shutil.rmtree(place, ignore_errors=True)
            _remove_leftovers(place)
            partial = Path(tempfile.mkdtemp(prefix=f".{name}-{key}.", dir=place.parent))
            try:
                make(partial)
                _write_manifest(partial)
                partial.chmod(0o755)
                partial.rename(place)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        return Entry(place, made=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove_leftovers(place: Path) -> None:
    """What an earlier, interrupted run has left of this entry; the lock says that nobody works on it."""
    for leftover in place.parent.glob(f".{place.name}.*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _files(directory: Path) -> Iterator[Path]:
    for parent, _directories, names in os.walk(directory):
        for name in names:
            path = Path(parent, name)
            if name != MANIFEST and not path.is_symlink():
                yield path


def _write_manifest(directory: Path) -> None:
    files = {
        str(path.relative_to(directory)): {
            "size": path.stat().st_size,
            "mtime_ns": path.stat().st_mtime_ns,
            "sha256": file_sha256(path),
        }
        for path in _files(directory)
    }
    if not files:
        raise StoreError(f"nothing was made in {directory}")
    (directory / MANIFEST).write_text(json.dumps({"files": files}, indent=1, sort_keys=True) + "\n")


def _is_whole(directory: Path) -> bool:
    try:
        files: dict[str, dict[str, Any]] = json.loads((directory / MANIFEST).read_text())["files"]
        return all(_is_same(directory / name, facts) for name, facts in files.items())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _is_same(path: Path, facts: dict[str, Any]) -> bool:
    status = path.stat()
    if status.st_size != facts["size"]:
        return False
    return bool(status.st_mtime_ns == facts["mtime_ns"] or file_sha256(path) == facts["sha256"])
