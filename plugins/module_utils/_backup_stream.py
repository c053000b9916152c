# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Reads the framed copy of a database that `sortie backup -` writes.

One line of JSON (format, bytes, sqlite_version), the bytes, one line of JSON (their sha256, made where they were
read). What arrives is hashed again, so a stream that was cut or changed never counts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO

FORMAT = "sortie-snapshot-1"
_LONGEST_LINE = 4096


class StreamError(Exception):
    """What arrived is not a whole copy."""


@dataclass(frozen=True)
class Received:
    """A copy that arrived whole."""

    bytes: int
    sha256: str
    sqlite_version: str


def receive(chunks: Iterable[bytes], target: BinaryIO) -> Received:
    """Write the database in the stream to `target`; StreamError unless every byte is the source's."""
    source = iter(chunks)
    head, buffer = _line(source, b"", "the copy's first line")
    if head.get("format") != FORMAT:
        raise StreamError(f"the copy has format {head.get('format')}, and only {FORMAT} is known")
    digest, left = hashlib.sha256(), int(head["bytes"])
    while left:
        if not buffer:
            buffer = next(source, b"")
            if not buffer:
                raise StreamError(f"the copy ended {left} bytes early")
        part, buffer = buffer[:left], buffer[left:]
        digest.update(part)
        target.write(part)
        left -= len(part)
    tail, _rest = _line(source, buffer, "the copy's last line")
    if tail.get("sha256") != digest.hexdigest():
        raise StreamError(f"sha256 is {tail.get('sha256')} at the source and {digest.hexdigest()} here")
    # To the end, so that the program's own exit code is heard.
    for _more in source:
        pass
    return Received(int(head["bytes"]), digest.hexdigest(), str(head["sqlite_version"]))


def _line(source: Iterable[bytes], buffer: bytes, what: str) -> tuple[dict[str, Any], bytes]:
    for chunk in source if b"\n" not in buffer else ():
        buffer += chunk
        if b"\n" in buffer or len(buffer) > _LONGEST_LINE:
            break
    line, newline, rest = buffer.partition(b"\n")
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not newline or not isinstance(found, dict):
        raise StreamError(f"{what} is missing")
    return found, rest
