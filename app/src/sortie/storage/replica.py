"""A database that somebody else writes: `litestream restore -f` puts its changes into the file, under SQLite's own locks.

Whoever follows may begin anew with another file, to which the name then leads.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TypeVar

from sqlalchemy import Connection, Table

from ..problems import Problem
from . import engine as engines
from .database import REVISIONS, Database, Revisions
from .errors import StorageError
from .migrate import STEPS, current_step

T = TypeVar("T")
# Where a database file says how it is written, and what stands there without a log of writes.
_VERSIONS_AT, _ROLLBACK = 18, b"\x01\x01"
# SQLite's lock bytes, as its file format documents them: pending, and those that readers share.
_PENDING, _SHARED, _SHARED_SIZE = 0x40000000, 0x40000002, 510


class ReadOnlyWriter:
    """Refuses, and says where writes go."""

    def run(self, job: Callable[[Connection], T]) -> NoReturn:
        raise _refusal()

    def append(self, table: Table, row: dict[str, Any]) -> NoReturn:
        raise _refusal()

    def close(self) -> None:
        """There is nothing queued."""


def _refusal() -> Problem:
    message = (
        "this is a read replica, which changes nothing and signs nobody in; "
        "send this to the tenant's own address (Service sortie)"
    )
    return Problem(503, "read_only", message)


class ReplicaDatabase(Database):
    """A file that is only read here.

    Every read has a connection of its own: Litestream changes pages without the counter by which SQLite would see
    that what it remembers of them is old.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._opening = threading.Lock()
        self._opened: tuple[int, int] | None = None
        self._known: tuple[Any, Revisions] = (None, {})
        super().__init__(engines.read_only_engine(self._connect), ReadOnlyWriter())
        with self.read() as connection:
            _require_schema(connection)

    def revisions(self) -> Revisions:
        with self._guarded():
            version = self._version()
        if version is None or self._known[0] != version:
            with self.read() as connection:
                self._known = (version, dict(connection.execute(REVISIONS).tuples().all()))
        return self._known[1]

    def size(self) -> int:
        return self.path.stat().st_size

    def _verify(self) -> None:
        """The primary looks after the data; what came of it is brought anew when it changes."""

    def _connect(self) -> Any:
        try:
            path = self.path.resolve(strict=True)
            identity = _identity(path)
            with self._opening:
                if identity != self._opened:
                    without_log(path)
                    self._opened = identity
        except OSError as error:
            raise _missing(self.path) from error
        return engines.read_only_connection(path)

    def _version(self) -> Any:
        """What stays the same as long as the data does; None where nothing tells."""
        try:
            path = self.path.resolve(strict=True)
            identity = _identity(path)
        except OSError as error:
            raise _missing(self.path) from error
        try:
            # Litestream's own note of the last transaction that it has brought.
            return identity, path.with_name(f"{path.name}-txid").read_bytes()
        except OSError:
            return None


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _missing(path: Path) -> StorageError:
    return StorageError(f"{path} has not been restored yet")


def without_log(path: Path) -> None:
    """Have SQLite read a restored file without a log of writes.

    Restored as the primary had it, the file asks for one. A reader would then hold its lock for as long as its
    connection is open, and whoever brings the changes would wait for ever.
    """
    with path.open("r+b") as file, _locked(file):
        file.seek(_VERSIONS_AT)
        if file.read(2) == b"\x02\x02":
            file.seek(_VERSIONS_AT)
            file.write(_ROLLBACK)
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def _locked(file: BinaryIO) -> Iterator[None]:
    """Alone with the file, by the locks that SQLite and Litestream take."""
    fcntl.lockf(file, fcntl.LOCK_EX, 1, _PENDING)
    fcntl.lockf(file, fcntl.LOCK_EX, _SHARED_SIZE, _SHARED)
    try:
        yield
    finally:
        fcntl.lockf(file, fcntl.LOCK_UN, _SHARED_SIZE, _SHARED)
        fcntl.lockf(file, fcntl.LOCK_UN, 1, _PENDING)


def _require_schema(connection: Connection) -> None:
    step = current_step(connection)
    if step != STEPS[-1]:
        raise StorageError(
            f"the replica has schema {step}, and this release reads {STEPS[-1]}; "
            "it comes once the primary runs this release"
        )
