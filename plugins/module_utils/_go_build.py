# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Reads which Go modules are in a program, from what Go's linker (1.18 and newer) leaves in it.

It is a header of 32 bytes that begins with a magic text, then Go's version and the modules as two texts, each behind
its length: 7 bits of it in each byte, the lowest first. The second text has 16 bytes of frame at each end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

MAGIC = b"\xff Go buildinf:"
HEADER, FRAME = 32, 16
# In the header: the texts follow it, as they do since Go 1.18.
FLAGS, INLINE = 15, 0x2


def read_modules(program: bytes) -> list[tuple[str, str]]:
    """Modules and their versions, the standard library first; none of a program that Go did not make."""
    start = program.find(MAGIC)
    if start < 0 or not program[start + FLAGS] & INLINE:
        return []
    version, following = _text(program, start + HEADER)
    framed, _ = _text(program, following)
    number = re.search(r"go(\d[\w.]*)", version.decode())
    modules = _listed(framed[FRAME:-FRAME].decode())
    return [*([("stdlib", number[1])] if number else []), *modules]


def _listed(text: str) -> Iterator[tuple[str, str]]:
    """The modules of a list like `dep\tgolang.org/x/sys\tv0.30.0\th1:...`; a line `=>` replaces the one above."""
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        kind, *fields = line.split("\t")
        if kind in ("mod", "dep", "=>") and len(fields) > 1:
            if kind == "=>":
                found.pop()
            found.append((fields[0], fields[1]))
    # What was built from a directory has no version.
    yield from ((module, version) for module, version in found if version.startswith("v"))


def _text(program: bytes, start: int) -> tuple[bytes, int]:
    """The text at a place, and the place behind it."""
    length, shift = 0, 0
    while True:
        byte = program[start]
        length |= (byte & 0x7F) << shift
        start, shift = start + 1, shift + 7
        if byte < 0x80:
            return program[start : start + length], start + length
