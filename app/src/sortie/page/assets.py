"""The files that pages load. Their address has a hash of all of them, so browsers may keep them for ever."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from ..catalogue.published import Prepared

_DIRECTORY = Path(__file__).parent / "static"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class Assets:
    """Every file, read once. `base` is the address of their directory."""

    def __init__(self, directory: Path = _DIRECTORY) -> None:
        files = {
            path.name: Prepared(path.read_bytes(), _TYPES[path.suffix])
            for path in sorted(directory.iterdir())
            if path.suffix in _TYPES
        }
        digest = hashlib.blake2b(digest_size=6)
        for name, file in files.items():
            digest.update(name.encode() + file.body)
        self.base = f"/static/{digest.hexdigest()}"
        self._files = files

    def find(self, name: str) -> Prepared | None:
        return self._files.get(name)


@functools.cache
def assets() -> Assets:
    return Assets()
