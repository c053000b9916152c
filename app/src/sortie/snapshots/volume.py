"""Puts a restored database in place of the present one, and back again.

Everything happens by renames and hard links inside `<directory of the database>/.restore`, and `state.json`
there says how far it came, so that a run that was killed at any point is taken up by the next one:

    received    incoming.db is complete and checked; the present database is untouched
    swapping    the present database is being kept as previous.db and replaced
    swapped     incoming.db is the database; previous.db is the one before
    undoing     previous.db is being put back

`commit` removes previous.db once the application is proven to work; `rollback` puts it back.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any, BinaryIO

from pysqlite3 import dbapi2 as sqlite3

from .check import check_file
from .errors import SnapshotError

_CHUNK = 1 << 20
_SPARE_BYTES = 8 << 20


class Volume:
    """The data directory of a database while a restore is under way."""

    def __init__(self, database: Path) -> None:
        self.database = database
        self.directory = database.parent / ".restore"
        self.incoming = self.directory / "incoming.db"
        self.previous = self.directory / "previous.db"
        self._state = self.directory / "state.json"

    def state(self) -> dict[str, Any]:
        """How far a restore came; {"phase": "none"} when there is none."""
        try:
            state: dict[str, Any] = json.loads(self._state.read_text())
        except FileNotFoundError:
            return {"phase": "none"}
        return state

    def receive(self, source: BinaryIO, size: int, sha256: str, snapshot: str) -> dict[str, Any]:
        """Write exactly `size` bytes of `source` to incoming.db and check them; the check's report."""
        phase = self.state()["phase"]
        if phase not in ("none", "received"):
            raise SnapshotError(
                f"a restore is under way here ({phase}); finish it with `commit` or `rollback` first"
            )
        self.directory.mkdir(mode=0o700, exist_ok=True)
        self._require_space(size)
        partial = self.directory / "incoming.partial"
        received = _write_exactly(source, partial, size)
        if received != sha256:
            partial.unlink()
            raise SnapshotError(
                f"the bytes that arrived have sha256 {received}, expected {sha256}; "
                "the present database was not touched. Next: run the restore again"
            )
        partial.replace(self.incoming)
        report = check_file(self.incoming)
        for suffix in ("-wal", "-shm"):
            _beside(self.incoming, suffix).unlink(missing_ok=True)
        self._record("received", snapshot=snapshot, sha256=sha256)
        return report

    def swap(self) -> None:
        """Make incoming.db the database and the present one previous.db. The application must be stopped."""
        phase = self.state()["phase"]
        if phase == "swapped":
            return
        if phase not in ("received", "swapping"):
            raise SnapshotError(f"there is no received database to put in place (state: {phase})")
        if self.incoming.exists():
            self._fold_present_wal()
            self._record("swapping")
            self._keep_present()
            for suffix in ("-wal", "-shm"):
                _beside(self.database, suffix).unlink(missing_ok=True)
            _sync(self.database.parent)
            self.incoming.replace(self.database)
            _sync(self.database.parent)
        self._record("swapped")

    def rollback(self) -> None:
        """Put previous.db back."""
        phase = self.state()["phase"]
        if phase in ("none", "received"):
            self._remove_directory()
            return
        if phase == "swapping":
            self._undo_swapping()
            self._remove_directory()
            return
        if phase == "swapped" and not self.previous.exists():
            raise SnapshotError("there was no database here before the restore, so there is none to put back")
        self._record("undoing")
        if self.previous.exists():
            for suffix in ("-wal", "-shm"):
                _beside(self.database, suffix).unlink(missing_ok=True)
            if _beside(self.previous, "-wal").exists():
                _beside(self.previous, "-wal").replace(_beside(self.database, "-wal"))
            self.previous.replace(self.database)
            _sync(self.database.parent)
        self._remove_directory()

    def commit(self) -> None:
        """Remove previous.db: the restored database is proven."""
        phase = self.state()["phase"]
        if phase not in ("swapped", "none"):
            raise SnapshotError(f"nothing was put in place that could be committed (state: {phase})")
        self._remove_directory()

    def _require_space(self, size: int) -> None:
        disk = os.statvfs(self.directory)
        free = disk.f_bavail * disk.f_frsize
        if free < size + _SPARE_BYTES:
            raise SnapshotError(
                f"the volume of {self.database} has {free >> 20} MiB free, and the restored database has "
                f"{size >> 20} MiB and stands beside the present one for a while. Nothing was changed. "
                "Next: enlarge the volume (sortie_storage_size)"
            )

    def _fold_present_wal(self) -> None:
        """Bring what is in the -wal file into the database itself, and prove that nobody has it open."""
        if not self.database.exists() or self.state()["phase"] == "swapping":
            return
        # SQLite removes the -wal of a database it cannot read, so it gets a second name first.
        wal, kept = _beside(self.database, "-wal"), _beside(self.previous, "-wal")
        kept.unlink(missing_ok=True)
        if wal.exists():
            kept.hardlink_to(wal)
        try:
            connection = sqlite3.connect(
                f"{self.database.as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=5
            )
            try:
                # Leaving WAL mode needs to be the only connection.
                connection.execute("PRAGMA journal_mode = DELETE").fetchone()
                connection.execute("PRAGMA journal_mode = WAL").fetchone()
            finally:
                connection.close()
        except sqlite3.DatabaseError as error:
            if "locked" not in str(error):
                return  # A damaged database cannot be folded: it is kept with its -wal as it is.
            kept.unlink(missing_ok=True)
            raise SnapshotError(
                f"{self.database} is still open in another process; nothing was changed. "
                "Next: stop the application"
            ) from error
        kept.unlink(missing_ok=True)

    def _keep_present(self) -> None:
        if self.database.exists() and not self.previous.exists():
            self.previous.hardlink_to(self.database)
        _sync(self.directory)

    def _undo_swapping(self) -> None:
        """Killed while swapping: finish if the new file is in place already, else make it as it was."""
        if not self.incoming.exists():
            self._record("swapped")
            self.rollback()
            return
        wal = _beside(self.previous, "-wal")
        if wal.exists() and not _beside(self.database, "-wal").exists():
            wal.replace(_beside(self.database, "-wal"))

    def _record(self, phase: str, **more: str) -> None:
        state = {**self.state(), **more, "phase": phase, "at": int(time.time())}
        partial = self._state.with_suffix(".partial")
        with partial.open("w") as file:
            json.dump(state, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._state)
        _sync(self.directory)

    def _remove_directory(self) -> None:
        # The state goes last, so that an interrupted removal is taken up where it was.
        names = (
            "incoming.partial",
            "incoming.db",
            "previous.db",
            "previous.db-wal",
            "state.partial",
            "state.json",
        )
        for name in names:
            (self.directory / name).unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self.directory.rmdir()


def recover(database: Path) -> None:
    """Called before the application opens its database: make whole what a killed restore left half done."""
    volume = Volume(database)
    phase = volume.state()["phase"]
    if phase == "swapping":
        if volume.incoming.exists():
            volume.rollback()
        else:
            volume.swap()
    elif phase == "undoing":
        volume.rollback()


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_exactly(source: BinaryIO, target: Path, size: int) -> str:
    digest, left = hashlib.sha256(), size
    with target.open("wb") as file:
        while left:
            chunk = source.read(min(_CHUNK, left))
            if not chunk:
                raise SnapshotError(
                    f"the stream ended {left} bytes early; the present database was not touched. "
                    "Next: run the restore again"
                )
            file.write(chunk)
            digest.update(chunk)
            left -= len(chunk)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()
