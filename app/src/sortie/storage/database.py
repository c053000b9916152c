"""The database as the rest of the application sees it: read, write, and whether something changed."""

from __future__ import annotations

import abc
import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from pysqlite3 import dbapi2
from sqlalchemy import Connection, Engine, Table, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from ..problems import conflict
from ..settings import Settings
from . import engine as engines
from .errors import StorageError
from .migrate import migrate
from .schema import revisions
from .writer import DirectWriter, GroupedWriter, Writer

T = TypeVar("T")
Revisions = dict[str, int]
_SPARE_CONNECTIONS = 4
_DOWN_SECONDS = 1.0
_SPARE_BYTES = 256 << 10
_WRITE_NOTHING = update(revisions).where(revisions.c.name == "settings").values(value=revisions.c.value)
REVISIONS = select(revisions.c.name, revisions.c.value)


def touch(connection: Connection, name: str) -> None:
    """Say that the thing called `name` changed: catalogue, access or settings."""
    connection.execute(update(revisions).where(revisions.c.name == name).values(value=revisions.c.value + 1))


class Database(abc.ABC):
    """Storage behind three verbs.

    `seconds` and `operations` say how long it worked so far, and how often, by `read` and `write`.
    """

    def __init__(self, engine: Engine, writer: Writer) -> None:
        self.engine = engine
        self._reader = engine
        self._writer = writer
        self.seconds = {"read": 0.0, "write": 0.0}
        self.operations = {"read": 0, "write": 0}
        # What went wrong last, until `probe` finds that it is over.
        self.trouble = ""

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection with one view of the data throughout."""
        started = time.perf_counter()
        try:
            with self._guarded(), self._reader.connect() as connection, connection.begin():
                yield connection
        finally:
            self._count("read", started)

    def write(self, job: Callable[[Connection], T]) -> T:
        """Run `job` in a transaction; durable when this returns."""
        started = time.perf_counter()
        try:
            with self._guarded():
                return self._writer.run(job)
        finally:
            self._count("write", started)

    def append(self, table: Table, row: dict[str, Any]) -> None:
        """Insert a row that nothing can conflict with; durable when this returns."""
        started = time.perf_counter()
        try:
            with self._guarded():
                self._writer.append(table, row)
        finally:
            self._count("write", started)

    @abc.abstractmethod
    def revisions(self) -> Revisions:
        """The number of each thing that readers keep, with every change that was acknowledged anywhere."""

    def probe(self) -> None:
        """Raise StorageError if the database cannot be used. After trouble it must take a write, too."""
        before = self.trouble
        with self.read() as connection:
            connection.execute(REVISIONS).all()
        if before:
            self._verify()
            self.write(lambda connection: connection.execute(_WRITE_NOTHING).rowcount)
            self.trouble = ""

    @abc.abstractmethod
    def _verify(self) -> None:
        """Raise StorageError if the stored data is damaged."""

    @abc.abstractmethod
    def size(self) -> int:
        """Bytes."""

    def close(self) -> None:
        """Finish what is queued and close every connection."""
        self._writer.close()
        self.engine.dispose()

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """Turn the drivers' errors into StorageError, and remember them as trouble."""
        try:
            with storage_errors():
                yield
        except StorageError as error:
            self.trouble = str(error)
            raise

    def _count(self, kind: str, started: float) -> None:
        self.seconds[kind] += time.perf_counter() - started
        self.operations[kind] += 1


class SqliteDatabase(Database):
    """A file, written by one thread."""

    def __init__(self, path: Path, engine: Engine) -> None:
        super().__init__(engine, GroupedWriter(engine))
        self.path = path
        self._local = threading.local()
        self._watchers: list[Any] = []

    def revisions(self) -> Revisions:
        local = self._local
        with self._guarded():
            if not hasattr(local, "watcher"):
                local.watcher = engines.sqlite_connection(self.path)
                local.version, local.known = -1, {}
                self._watchers.append(local.watcher)
            version = local.watcher.execute("PRAGMA data_version").fetchone()[0]
            if version != local.version:
                # Asked after the version: what is committed in between is found at the next question.
                local.known = dict(local.watcher.execute("SELECT name, value FROM revisions").fetchall())
                local.version = version
        known: Revisions = local.known
        return known

    def _verify(self) -> None:
        disk = os.statvfs(self.path.parent)
        free = disk.f_bavail * disk.f_frsize
        if free < _SPARE_BYTES:
            raise StorageError(f"the volume of {self.path} is full: {free >> 10} KiB are free")
        with self.read() as connection:
            found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        if found != "ok":
            raise StorageError(f"the database is damaged: {found}. Next: restore a snapshot")

    def size(self) -> int:
        paths = (self.path, self.path.with_name(self.path.name + "-wal"))
        return sum(path.stat().st_size for path in paths if path.exists())

    def close(self) -> None:
        super().close()
        for watcher in self._watchers:
            watcher.close()
        with contextlib.suppress(dbapi2.Error):
            last = engines.sqlite_connection(self.path)
            # Litestream, where it stands beside us, reads for as long as it runs, and no waiting would end that.
            last.execute("PRAGMA busy_timeout = 0").fetchone()
            last.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            last.close()


class PostgresDatabase(Database):
    """A server, which several replicas may use."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, DirectWriter(engine))
        self._reader = engine.execution_options(isolation_level="REPEATABLE READ")
        self._watcher = engine.execution_options(isolation_level="AUTOCOMMIT")
        # A server that cannot be reached may take seconds to say so, and must not keep every thread waiting.
        self._down_until = 0.0

    def revisions(self) -> Revisions:
        if time.monotonic() < self._down_until:
            raise StorageError(self.trouble)
        try:
            # A connection that stayed open over a restart of the server fails once; the next one is a new one.
            with contextlib.suppress(DBAPIError):
                return self._ask()
            with self._guarded():
                return self._ask()
        except StorageError:
            self._down_until = time.monotonic() + _DOWN_SECONDS
            raise

    def probe(self) -> None:
        super().probe()
        self._down_until = 0.0

    def _ask(self) -> Revisions:
        # One statement needs no transaction, which would be two more trips to the server on every request.
        with self._watcher.connect() as connection:
            return dict(connection.execute(REVISIONS).tuples().all())

    def _verify(self) -> None:
        """A server looks after its own data."""

    def size(self) -> int:
        with self.read() as connection:
            return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())


@contextlib.contextmanager
def storage_errors() -> Iterator[None]:
    """Turn the drivers' errors into StorageError; those of the schema's rules stay what they are."""
    try:
        yield
    except IntegrityError as error:
        # Checked before each write, so this is somebody else's write at the same moment.
        raise conflict("somebody else made the same change at the same time") from error
    except DBAPIError as error:
        raise StorageError(_words(error.orig or error)) from error
    except dbapi2.Error as error:
        raise StorageError(_words(error)) from error


def _words(error: BaseException) -> str:
    return f"the database does not work: {' '.join(str(error).split())}"


def open_database(settings: Settings) -> Database:
    """Open the database and bring it to this release's schema.

    Raises StorageError (SchemaTooNew for a newer release's), whose text says what to do.
    """
    connections = settings.threads + _SPARE_CONNECTIONS
    if settings.read_only:
        from .replica import ReplicaDatabase  # noqa: PLC0415 - which stands on this module

        return ReplicaDatabase(Path(settings.db).absolute())
    if settings.db_type == "postgres":
        engine = engines.postgres_engine(settings, connections)
        make: Callable[[], Database] = lambda: PostgresDatabase(engine)  # noqa: E731
    else:
        path = Path(settings.db).absolute()
        if not path.parent.is_dir():
            raise StorageError(f"{path} cannot be opened: there is no directory {path.parent}")
        engine = engines.sqlite_engine(path, connections)
        make = lambda: SqliteDatabase(path, engine)  # noqa: E731
    try:
        with storage_errors(), engine.connect() as connection:
            connection.execution_options(sortie_writes=True)
            with connection.begin():
                migrate(connection)
    except BaseException:
        engine.dispose()
        raise
    return make()
