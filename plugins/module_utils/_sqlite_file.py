# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""What a SQLite file on this host holds, and whether it is whole. Nobody else may be writing it."""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

_CHUNK = 1 << 20
_MOST_PROBLEMS = 20


@dataclass(frozen=True)
class DatabaseFacts:
    """Size, schema revision (Alembic's), rows per table, and what SQLite's own checks found wrong."""

    bytes: int
    schema: str | None
    tables: dict[str, int]
    problems: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Rows of all tables together."""
        return sum(self.tables.values())


def inspect(path: Path, *, full: bool = False) -> DatabaseFacts:
    """Check `path` with quick_check (`full`: integrity_check) and foreign_key_check, and count its rows."""
    size = path.stat().st_size
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True, isolation_level=None)
    try:
        check = "integrity_check" if full else "quick_check"
        found = [str(row[0]) for row in connection.execute(f"PRAGMA {check}({_MOST_PROBLEMS})")]
        problems = [] if found == ["ok"] else found
        broken = connection.execute("PRAGMA foreign_key_check").fetchmany(_MOST_PROBLEMS)
        problems += [f"row {row[1]} of {row[0]} refers to a missing row of {row[2]}" for row in broken]
        tables = {name: _rows(connection, name) for name in _tables(connection)}
        return DatabaseFacts(size, _schema(connection, tables), tables, problems)
    except sqlite3.DatabaseError as error:
        return DatabaseFacts(size, None, {}, [str(error)])
    finally:
        connection.close()


def public_applications(path: Path) -> list[dict[str, str]]:
    """The applications that the application serves to whoever has not signed in: id, name and url of each."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)
    try:
        query = "SELECT id, name, url FROM applications WHERE visibility = 'public'"
        return [dict(zip(("id", "name", "url"), row, strict=True)) for row in connection.execute(query)]
    finally:
        connection.close()


def sha256_of(path: Path) -> str:
    """The sha256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _tables(connection: sqlite3.Connection) -> list[str]:
    names = [str(row[0]) for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    return sorted(name for name in names if not name.startswith("sqlite_"))


def _rows(connection: sqlite3.Connection, table: str) -> int:
    quoted = table.replace('"', '""')
    return int(connection.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()[0])  # noqa: S608 (quoted name) # nosec B608


def _schema(connection: sqlite3.Connection, tables: dict[str, int]) -> str | None:
    if "alembic_version" not in tables:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else None
