"""Removes what is older than it is kept, once an hour."""

from __future__ import annotations

import logging
import threading

from sqlalchemy import Connection, delete

from . import launches
from .people import audit
from .settings import Settings
from .storage.database import Database
from .storage.errors import StorageError
from .storage.schema import now, sessions

_PAUSE = 3600.0
_log = logging.getLogger("sortie.janitor")


def clean(database: Database, settings: Settings) -> dict[str, int]:
    """Remove what is too old; how many of each."""

    def job(connection: Connection) -> dict[str, int]:
        gone = {
            "sessions": connection.execute(delete(sessions).where(sessions.c.expires_at < now())).rowcount
        }
        if settings.audit_retention:
            gone["audit"] = audit.forget(connection, settings.audit_retention)
        if settings.launch_retention:
            gone["launches"] = launches.forget(connection, settings.launch_retention)
        return gone

    return database.write(job)


class Janitor:
    """Cleans at the start and every hour, until `stop`."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="janitor", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stopped.is_set():
            try:
                gone = clean(self._database, self._settings)
                if any(gone.values()):
                    _log.info("removed what was too old", extra={"removed": gone})
            except StorageError as error:
                _log.warning("old entries could not be removed: %s", error)
            self._stopped.wait(_PAUSE)
