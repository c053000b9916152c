"""A consistent copy of a database that is in use.

SQLite's online backup runs inside one read transaction, so it sees the state at its first step however long
it takes: commits made meanwhile neither restart it nor end up in it, and everything acknowledged before it
is in it.

The copy is written to a file that has no name any more: when this process ends, however it ends, the kernel
gives the space back, and nothing is left to clean up.

The stream, on standard output: one line of JSON (format, bytes, sqlite_version), the bytes of the database,
one line of JSON (sha256 of those bytes). Whoever reads it knows by the last line that nothing is missing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pysqlite3 import dbapi2 as sqlite3

from .errors import SnapshotError

FORMAT = "sortie-snapshot-1"
_CHUNK = 1 << 20
_PAGES_PER_STEP = 1024
_SPARE_BYTES = 8 << 20


def stream_copy(database: Path, output: BinaryIO) -> None:
    """Write a framed copy of `database` to `output`."""
    with _unnamed_copy(database) as source:
        size = os.fstat(source).st_size
        _write_line(output, {"format": FORMAT, "bytes": size, "sqlite_version": sqlite3.sqlite_version})
        digest = hashlib.sha256()
        for chunk in _chunks(source):
            digest.update(chunk)
            output.write(chunk)
        _write_line(output, {"sha256": digest.hexdigest()})


def write_copy(database: Path, target: Path) -> str:
    """Write a copy of `database` to the file `target`, complete or not at all; its sha256."""
    partial = target.with_name(f".{target.name}.partial")
    digest = hashlib.sha256()
    try:
        with _unnamed_copy(database) as source, partial.open("wb") as file:
            for chunk in _chunks(source):
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise SnapshotError(
            f"cannot write {target}: {error.strerror}; {target} was left as it was"
        ) from error
    return digest.hexdigest()


@contextlib.contextmanager
def _unnamed_copy(database: Path) -> Iterator[int]:
    """An open file descriptor of a finished copy whose file has no name."""
    if not database.is_file():
        raise SnapshotError(f"there is no database at {database}; name it with --db")
    _require_space(database)
    path = database.with_name(f".{database.name}.snapshot-{os.getpid()}")
    _remove_leftovers(database)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        try:
            _copy_into(database, path)
        finally:
            path.unlink(missing_ok=True)
        yield descriptor
    except sqlite3.Error as error:
        raise SnapshotError(
            f"SQLite could not copy {database}: {error}. The database itself was only read. "
            "Next: free space on its volume if it is full; `sortie check` says whether the database is whole"
        ) from error
    finally:
        os.close(descriptor)


def _copy_into(database: Path, path: Path) -> None:
    source = sqlite3.connect(
        f"{database.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=30
    )
    target = sqlite3.connect(path, isolation_level=None)
    try:
        # Nobody will ever need to recover this copy, so it has no journal and waits for no disk.
        target.execute("PRAGMA journal_mode = OFF")
        target.execute("PRAGMA synchronous = OFF")
        target.execute("PRAGMA locking_mode = EXCLUSIVE")
        target.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        path.unlink()
        # The transaction holds the state still between the steps; without it every commit restarts the copy.
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        source.backup(target, pages=_PAGES_PER_STEP)
        source.execute("COMMIT")
    finally:
        target.close()
        source.close()


def _require_space(database: Path) -> None:
    needed = database.stat().st_size + _wal_size(database) + _SPARE_BYTES
    disk = os.statvfs(database.parent)
    free = disk.f_bavail * disk.f_frsize
    if free < needed:
        raise SnapshotError(
            f"the volume of {database} has {free >> 20} MiB free, and a copy needs {needed >> 20} MiB. "
            "Nothing was written. Next: enlarge the volume (sortie_storage_size), or remove data"
        )


def _wal_size(database: Path) -> int:
    wal = database.with_name(f"{database.name}-wal")
    return wal.stat().st_size if wal.exists() else 0


def _remove_leftovers(database: Path) -> None:
    """Remove what a process left that was killed between making its file and unnaming it."""
    for path in database.parent.glob(f".{database.name}.snapshot-*"):
        if not Path("/proc", path.name.rpartition("-")[2]).exists():
            path.unlink(missing_ok=True)


def _chunks(descriptor: int) -> Iterator[bytes]:
    offset = 0
    while chunk := os.pread(descriptor, _CHUNK, offset):
        yield chunk
        offset += len(chunk)


def _write_line(output: BinaryIO, record: dict[str, object]) -> None:
    output.write(json.dumps(record, separators=(",", ":")).encode() + b"\n")
    output.flush()
