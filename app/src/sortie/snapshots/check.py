"""What a database file holds, and whether it is whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pysqlite3 import dbapi2 as sqlite3

from .errors import SnapshotError

_MOST_PROBLEMS = 20


def check_file(database: Path, *, full: bool = False) -> dict[str, Any]:
    """Size, schema revision, rows per table, and the problems that SQLite finds.

    `full` runs integrity_check instead of quick_check; it also compares indexes with tables (20 s for 1 GB).
    """
    if not database.is_file():
        raise SnapshotError(f"there is no database at {database}")
    report: dict[str, Any] = {
        "bytes": database.stat().st_size,
        "sqlite_version": sqlite3.sqlite_version,
        "check": "integrity_check" if full else "quick_check",
    }
    connection = sqlite3.connect(
        f"{database.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=30
    )
    try:
        # One transaction: all the answers are about the same state.
        connection.execute("BEGIN")
        found = [row[0] for row in connection.execute(f"PRAGMA {report['check']}({_MOST_PROBLEMS})")]
        problems = [] if found == ["ok"] else found
        broken = connection.execute("PRAGMA foreign_key_check").fetchmany(_MOST_PROBLEMS)
        problems += [f"row {row[1]} of {row[0]} refers to a missing row of {row[2]}" for row in broken]
        report["tables"] = {name: _rows(connection, name) for name in _tables(connection)}
        report["schema"] = _schema(connection, report["tables"])
        connection.execute("COMMIT")
    except sqlite3.DatabaseError as error:
        problems = [str(error)]
        report.setdefault("tables", {})
        report.setdefault("schema", None)
    finally:
        connection.close()
    report["problems"] = problems
    return report


def _tables(connection: sqlite3.Connection) -> list[str]:
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    return sorted(name for name in names if not name.startswith("sqlite_"))


def _rows(connection: sqlite3.Connection, table: str) -> int:
    quoted = table.replace('"', '""')
    return int(connection.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()[0])  # noqa: S608 (quoted name) # nosec B608


def _schema(connection: sqlite3.Connection, tables: dict[str, int]) -> str | None:
    if "alembic_version" not in tables:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else None
