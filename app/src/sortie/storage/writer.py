"""Who writes. A job is a function of a connection; what it did is durable when `run` returns.

SQLite has one writer at a time and waits for the disk at each commit. So one thread does all writing, and
commits whatever has queued up meanwhile together: many small writes cost one wait. A job that fails takes
back only its own.

PostgreSQL does all that itself, so there each caller's thread writes on its own connection.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Engine, Table

T = TypeVar("T")
_LARGEST_GROUP = 256


class Writer(Protocol):
    """Where writes go."""

    def run(self, job: Callable[[Connection], T]) -> T:
        """Run `job` in a transaction of its own, or as if; its result, once that is durable."""

    def append(self, table: Table, row: dict[str, Any]) -> None:
        """Insert a row that nothing can conflict with; durable when this returns."""

    def close(self) -> None:
        """End after what is queued."""


class DirectWriter:
    """Writes on the caller's thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def run(self, job: Callable[[Connection], T]) -> T:
        with self._engine.begin() as connection:
            return job(connection)

    def append(self, table: Table, row: dict[str, Any]) -> None:
        with self._engine.begin() as connection:
            connection.execute(table.insert(), row)

    def close(self) -> None:
        """There is nothing queued."""


class _Pending:
    """A write that somebody waits for: a job, or a row for a table."""

    __slots__ = ("_done", "error", "job", "result", "row", "table")

    def __init__(
        self,
        job: Callable[[Connection], Any] | None = None,
        table: Table | None = None,
        row: dict[str, Any] | None = None,
    ) -> None:
        self.job = job
        self.table = table
        self.row = row
        self.result: Any = None
        self.error: BaseException | None = None
        # A lock that is released once is the cheapest way to wake one thread.
        self._done = threading.Lock()
        self._done.acquire()

    def wait(self) -> Any:
        self._done.acquire()
        if self.error is not None:
            raise self.error
        return self.result

    def finish(self) -> None:
        self._done.release()


class GroupedWriter:
    """Writes on one thread, in groups."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._queue: queue.SimpleQueue[_Pending | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)
        self._thread.start()

    def run(self, job: Callable[[Connection], T]) -> T:
        result: T = self._wait(_Pending(job=job))
        return result

    def append(self, table: Table, row: dict[str, Any]) -> None:
        self._wait(_Pending(table=table, row=row))

    def close(self) -> None:
        self._closed = True
        self._queue.put(None)
        self._thread.join()

    def _wait(self, pending: _Pending) -> Any:
        if self._closed:
            raise RuntimeError("the writer was closed")
        self._queue.put(pending)
        return pending.wait()

    def _work(self) -> None:
        while (first := self._queue.get()) is not None:
            group, last = [first], False
            while len(group) < _LARGEST_GROUP and not self._queue.empty():
                following = self._queue.get()
                if following is None:
                    last = True
                    break
                group.append(following)
            self._write(group)
            if last:
                return

    def _write(self, group: list[_Pending]) -> None:
        try:
            with self._engine.connect() as connection:
                connection.execution_options(sortie_writes=True)
                with connection.begin():
                    self._jobs(connection, group)
                    self._rows(connection, group)
        except Exception as error:
            for pending in group:
                pending.error = pending.error or error
        finally:
            for pending in group:
                pending.finish()

    @staticmethod
    def _jobs(connection: Connection, group: list[_Pending]) -> None:
        for pending in group:
            if pending.job is None:
                continue
            savepoint = connection.begin_nested()
            try:
                pending.result = pending.job(connection)
                savepoint.commit()
            except Exception as error:
                pending.error = error
                savepoint.rollback()

    @staticmethod
    def _rows(connection: Connection, group: list[_Pending]) -> None:
        tables: dict[Table, list[dict[str, Any]]] = {}
        for pending in group:
            if pending.table is not None and pending.row is not None:
                tables.setdefault(pending.table, []).append(pending.row)
        for table, rows in tables.items():
            connection.execute(table.insert(), rows)
