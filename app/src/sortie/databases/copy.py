"""Copies every row from one database to another of the other kind, and proves that it did.

The source is read in one transaction. A PostgreSQL target gets schema and rows in one transaction, a SQLite target in a
file that takes its place by a rename: whatever interrupts a copy, the target is as it was before.

Rows travel as text, in the form that both kinds can say and take: whole numbers, `0` and `1`, moments in UTC as
`YYYY-MM-DD HH:MM:SS.ffffff`. Each table is hashed on its way out and again as it came to lie in the target; only where
all hashes are equal the copy counts.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psycopg
from pysqlite3 import dbapi2
from sqlalchemy import Boolean, Column, Connection, Engine, Table, func, select

from ..settings import Settings
from ..storage import engine as engines
from ..storage.errors import StorageError
from ..storage.migrate import STEPS, current_step, migrate
from ..storage.schema import Instant, metadata, revisions

Fields = tuple[str | None, ...]
BEFORE = ".before-migration"
_SIDE_FILES = ("", "-wal", "-shm")
_ROWS_AT_A_TIME = 2000
_COUNTED = ("audit_log", "analytics")
DRIVERS_ERRORS = (psycopg.Error, dbapi2.Error)


class Digest:
    """Rows and the hash of a table, filled as its rows pass by."""

    def __init__(self) -> None:
        self.rows = 0
        self._hash = hashlib.sha256()

    def passing(self, rows: Iterable[Fields]) -> Iterator[Fields]:
        update = self._hash.update
        for fields in rows:
            self.rows += 1
            # Neither character can be in a text of PostgreSQL's, or is in one of ours; NULL is told from ''.
            update(("\x1f".join(["\x00" if field is None else field for field in fields]) + "\x1e").encode())
            yield fields

    def report(self) -> dict[str, Any]:
        return {"rows": self.rows, "sha256": self._hash.hexdigest()}


def tables() -> list[Table]:
    """All tables, those that others refer to first."""
    return list(metadata.sorted_tables)


def _names(table: Table) -> str:
    return ", ".join(f'"{column.name}"' for column in table.columns)


class _Sqlite:
    """A SQLite file, read and written as text."""

    name = "SQLite"

    def __init__(self, path: Path) -> None:
        self.raw = engines.sqlite_connection(path)

    def read(self, table: Table) -> Iterator[Fields]:
        fields = ", ".join(f'CAST("{column.name}" AS TEXT)' for column in table.columns)
        order = ", ".join(f'"{column.name}"' for column in table.primary_key.columns)
        cursor = self.raw.execute(f'SELECT {fields} FROM "{table.name}" ORDER BY {order}')  # noqa: S608 (names are ours) # nosec B608
        while rows := cursor.fetchmany(_ROWS_AT_A_TIME):
            yield from rows

    def write(self, table: Table, rows: Iterable[Fields]) -> None:
        places = ", ".join("?" for _ in table.columns)
        # Affinity makes numbers of the texts in columns of numbers.
        self.raw.executemany(f'INSERT INTO "{table.name}" ({_names(table)}) VALUES ({places})', rows)  # noqa: S608 (names are ours) # nosec B608

    def last_number(self, table: str) -> int:
        row = self.raw.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
        return int(row[0]) if row else 0

    def count_on_from(self, table: str, number: int) -> None:
        self.raw.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
        self.raw.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, number))


class _Postgres:
    """A PostgreSQL, read and written as text by COPY."""

    name = "PostgreSQL"

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        self.raw = raw

    @staticmethod
    def _said(column: Column[Any]) -> str:
        """A column as the text that SQLite would have."""
        if isinstance(column.type, Instant):
            return f"to_char(\"{column.name}\" AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"
        if isinstance(column.type, Boolean):
            return f'"{column.name}"::int::text'
        return f'"{column.name}"::text'

    def read(self, table: Table) -> Iterator[Fields]:
        fields = ", ".join(self._said(column) for column in table.columns)
        # By bytes, as SQLite does it, and not by whatever language the server is set to. With the table's name, as the mere name
        # of a column is that of its text, and 10 comes before 9 there.
        order = ", ".join(
            f'"{table.name}"."{column.name}"' + (' COLLATE "C"' if column.type.python_type is str else "")
            for column in table.primary_key.columns
        )
        query = f'COPY (SELECT {fields} FROM "{table.name}" ORDER BY {order}) TO STDOUT'  # noqa: S608 (names are ours) # nosec B608
        with self.raw.cursor().copy(query.encode()) as copy:
            yield from copy.rows()

    def write(self, table: Table, rows: Iterable[Fields]) -> None:
        moments = [isinstance(column.type, Instant) for column in table.columns]
        with self.raw.cursor().copy(f'COPY "{table.name}" ({_names(table)}) FROM STDIN'.encode()) as copy:
            for fields in rows:
                copy.write_row(
                    [
                        field + "+00" if moment and field is not None else field
                        for field, moment in zip(fields, moments, strict=True)
                    ]
                    if any(moments)
                    else fields
                )

    def last_number(self, table: str) -> int:
        row = self.raw.execute(
            "SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence(%s, 'id')::regclass), 0)", (table,)
        ).fetchone()
        return int(row[0]) if row else 0

    def count_on_from(self, table: str, number: int) -> None:
        self.raw.execute(
            "SELECT setval(pg_get_serial_sequence(%s, 'id'), %s, %s)", (table, max(number, 1), number > 0)
        )


_Side = _Sqlite | _Postgres


def to_postgres(settings: Settings, path: Path, *, replace: bool = False) -> dict[str, Any]:
    """Copy the SQLite database to the PostgreSQL of `settings`, whose rows go only with `replace`."""
    if not path.is_file():
        raise StorageError(f"there is no SQLite database at {path}. Nothing was changed")
    engine = engines.postgres_engine(settings, 1)
    source = _Sqlite(path)
    try:
        source.raw.execute("BEGIN")
        _require_this_release(_sqlite_step(source), "the SQLite database")
        with engine.begin() as connection:
            migrate(connection)
            _make_room(connection, replace=replace, what="the PostgreSQL database")
            return _copy(source, _Postgres(_driver(connection)))
    finally:
        source.raw.close()
        engine.dispose()


def to_sqlite(settings: Settings, path: Path) -> dict[str, Any]:
    """Copy the PostgreSQL of `settings` to a SQLite database at `path`; one that is there is kept beside it."""
    partial = path.with_name(f".{path.name}.migration")
    _remove(partial)
    engine = engines.postgres_engine(settings, 1).execution_options(isolation_level="REPEATABLE READ")
    try:
        with engine.connect() as connection, connection.begin():
            _require_this_release(current_step(connection), "the PostgreSQL database")
            _make_sqlite(partial)
            target = _Sqlite(partial)
            try:
                target.raw.execute("BEGIN IMMEDIATE")
                report = _copy(_Postgres(_driver(connection)), target)
                target.raw.execute("COMMIT")
                target.raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                target.raw.close()
    finally:
        engine.dispose()
    report["kept"] = _put_in_place(partial, path)
    return report


def _copy(source: _Side, target: _Side) -> dict[str, Any]:
    started = time.monotonic()
    report: dict[str, Any] = {"from": source.name, "to": target.name, "tables": {}}
    for table in tables():
        sent, arrived = Digest(), Digest()
        target.write(table, sent.passing(source.read(table)))
        for _fields in arrived.passing(target.read(table)):
            pass
        if sent.report() != arrived.report():
            raise StorageError(
                f"table {table.name} did not arrive as it was sent: {sent.rows} rows left, {arrived.rows} arrived, "
                f"sha256 {sent.report()['sha256'][:12]} and {arrived.report()['sha256'][:12]}. Nothing was changed"
            )
        report["tables"][table.name] = sent.report()
    for name in _COUNTED:
        # Numbers of rows that are gone are not given out again.
        target.count_on_from(name, source.last_number(name))
    report["rows"] = sum(entry["rows"] for entry in report["tables"].values())
    report["seconds"] = round(time.monotonic() - started, 3)
    return report


def _driver(connection: Connection) -> psycopg.Connection[Any]:
    raw: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
    return raw


def _sqlite_step(source: _Sqlite) -> str | None:
    try:
        row = source.raw.execute("SELECT version_num FROM alembic_version").fetchone()
    except dbapi2.OperationalError:
        return None
    return str(row[0]) if row else None


def _require_this_release(step: str | None, what: str) -> None:
    if step != STEPS[-1]:
        raise StorageError(
            f"{what} has schema {step or 'none'}, and this release copies {STEPS[-1]}. Nothing was changed. "
            "Next: let this release's application run on it once, then copy again"
        )


def _make_room(connection: Connection, *, replace: bool, what: str) -> None:
    """Empty the tables, which a migration fills with the first revisions; with rows of somebody's only if told to."""
    if not replace:
        filled = {
            table.name: rows
            for table in tables()
            if table is not revisions
            and (rows := connection.execute(select(func.count()).select_from(table)).scalar_one())
        }
        if filled:
            told = ", ".join(f"{rows} rows in {name}" for name, rows in sorted(filled.items()))
            raise StorageError(
                f"{what} is not empty: {told}. Nothing was changed. Next: give the tenant an empty database, "
                "or remove what is in it"
            )
    for table in reversed(tables()):
        connection.execute(table.delete())


def _make_sqlite(path: Path) -> None:
    engine: Engine = engines.sqlite_engine(path, 1)
    try:
        with engine.connect() as connection:
            connection.execution_options(sortie_writes=True)
            with connection.begin():
                migrate(connection)
                _make_room(connection, replace=True, what="")
    finally:
        engine.dispose()


def _put_in_place(partial: Path, path: Path) -> str:
    """Rename the finished file to `path`; the name under which what was there is kept, if anything was."""
    kept = path.with_name(path.name + BEFORE)
    if path.exists():
        _remove(kept)
        # The log first: without it the file would be an older state of itself.
        for end in reversed(_SIDE_FILES):
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + end).rename(kept.with_name(kept.name + end))
    partial.replace(path)
    _remove(partial)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return kept.name if kept.exists() else ""


def _remove(path: Path) -> None:
    for end in _SIDE_FILES:
        path.with_name(path.name + end).unlink(missing_ok=True)
