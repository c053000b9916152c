# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Keeps a directory of generated files at what it should be.

A file belongs to the generator if its first line is the generator's. Only such files are removed when they
are no longer given; what else lies in the directory stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Outcome:
    """What changed in a directory: names, and contents before and after by name."""

    written: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    before: dict[str, str] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)


def _belongs(path: Path, first_line: str) -> bool:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline().rstrip("\n") == first_line


def write(directory: Path, files: Mapping[str, str], first_line: str, *, dry_run: bool = False) -> Outcome:
    """Writes the files that differ, behind the generator's first line, and removes what is not given."""
    outcome = Outcome()
    if not dry_run:
        directory.mkdir(parents=True, exist_ok=True)
    for name, text in sorted(files.items()):
        path, content = directory / name, f"{first_line}\n{text}"
        before = path.read_text(encoding="utf-8") if path.is_file() else ""
        if before != content:
            outcome.written.append(name)
            outcome.before[name], outcome.after[name] = before, content
            if not dry_run:
                path.write_text(content, encoding="utf-8")
    for path in sorted(directory.iterdir()) if directory.is_dir() else []:
        if path.is_file() and path.name not in files and _belongs(path, first_line):
            outcome.removed.append(path.name)
            outcome.before[path.name], outcome.after[path.name] = path.read_text(encoding="utf-8"), ""
            if not dry_run:
                path.unlink()
    return outcome
