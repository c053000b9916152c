"""The running application: its settings and what works on them."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import janitor, replication
from .branding import Branding
from .catalogue.published import Published
from .first_start import first_start
from .limiter import Limiter
from .metrics import Requests
from .people.oidc import Provider
from .people.sessions import Callers
from .people.tokens import Tokens
from .repeating import Repeating
from .settings import Settings, SettingsError
from .snapshots import recover
from .snapshots.errors import SnapshotError
from .storage.database import Database, open_database
from .storage.errors import SchemaTooNew, StorageError

_log = logging.getLogger("sortie.site")
_LONGEST_PAUSE = 5.0
_LOGIN_SECONDS = 300.0


@dataclass(frozen=True)
class Storage:
    """What there is once the database is open."""

    database: Database
    published: Published
    callers: Callers


class Site:
    """The application. It answers before its database is open, if only that it is not."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.branding = Branding(settings)
        self.requests = Requests()
        self.started = time.time()
        self.stopping = False
        if not settings.jwt_secret:
            _log.warning(
                "SORTIE_JWT_SECRET is not set: this start made a key of its own, so nobody stays signed in "
                "over a restart, and replicas do not know each other's tokens"
            )
        self.tokens = Tokens(settings.jwt_secret or secrets.token_hex(32), settings.jwt_secret_previous)
        self.provider = Provider(settings) if settings.oidc_issuer else None
        self._storage: Storage | None = None
        self._workers: list[Repeating] = []
        self.logins = Limiter(settings.login_attempts, _LOGIN_SECONDS)
        self.addresses = Limiter(settings.login_attempts * 5, _LOGIN_SECONDS)
        self._reason = "the database is being opened"
        self._closed = threading.Event()

    @property
    def storage(self) -> Storage:
        """StorageError while there is none."""
        if self._storage is None:
            raise StorageError(self._reason)
        return self._storage

    def open(self) -> None:
        """Open the database, migrate it, and do what a first start has to. A read replica does neither."""
        if self.settings.read_only:
            database = open_database(self.settings)
            self._storage = Storage(database, Published(database), Callers(database))
            return
        if self.settings.db_type == "sqlite":
            _finish_restore(Path(self.settings.db).absolute())
        database = open_database(self.settings)
        try:
            first_start(database, self.settings)
        except BaseException:
            database.close()
            raise
        self._storage = Storage(database, Published(database), Callers(database))
        self._repeat(
            "janitor",
            lambda: janitor.clean(database, self.settings),
            janitor.EVERY_SECONDS,
            "old entries could not be removed",
        )
        if self.settings.heartbeat:
            self._repeat(
                "heartbeat",
                lambda: database.write(replication.beat),
                self.settings.heartbeat,
                "the time could not be written",
            )

    def _repeat(self, name: str, job: Callable[[], object], seconds: float, trouble: str) -> None:
        self._workers.append(Repeating(name, job, seconds, trouble))

    def open_soon(self) -> None:
        """Open the database; if it cannot be used now, keep trying on a thread of its own.

        A newer release's database raises at once, because trying again would not help.
        """
        if not self._try():
            threading.Thread(target=self._keep_trying, name="open", daemon=True).start()

    def close(self) -> None:
        """Finish writes and close the database; SQLite's log of writes goes into the file."""
        self._closed.set()
        for worker in self._workers:
            worker.stop()
        if self._storage is not None:
            self._storage.database.close()

    def _try(self) -> bool:
        try:
            self.open()
        except SchemaTooNew:
            raise
        except StorageError as error:
            if str(error) != self._reason:
                _log.error("%s; trying again until it works", error)
            self._reason = str(error)
            return False
        return True

    def _keep_trying(self) -> None:
        pause = 0.2
        while not self._closed.wait(pause):
            try:
                if self._try():
                    _log.info("the database is open")
                    return
            except (SchemaTooNew, SettingsError) as error:
                _log.critical("%s", error)
                self._reason = str(error)
                return
            pause = min(pause * 2, _LONGEST_PAUSE)


def _finish_restore(database: Path) -> None:
    """Make whole what a restore that was killed left half done."""
    try:
        recover(database)
    except (SnapshotError, OSError) as error:
        raise StorageError(f"a restore that was interrupted could not be finished: {error}") from error
