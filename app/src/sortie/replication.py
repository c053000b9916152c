"""The beat that a primary writes into its database, by which a read replica knows how far it is behind."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime

from sqlalchemy import Connection, insert, select, update

from .storage.database import Database
from .storage.errors import StorageError
from .storage.schema import now, settings

_KEY = "heartbeat"
_log = logging.getLogger("sortie.heartbeat")


def beat(connection: Connection) -> None:
    """Write the present moment. No reader's copy grows old by it, so no revision is touched."""
    moment = now()
    values = {"value": moment.isoformat(), "updated_at": moment}
    if not connection.execute(update(settings).where(settings.c.key == _KEY).values(values)).rowcount:
        connection.execute(insert(settings), {"key": _KEY, **values})


def age(database: Database) -> float | None:
    """Seconds since the last beat that has arrived in this database; None if none ever has."""
    with database.read() as connection:
        value = connection.execute(select(settings.c.value).where(settings.c.key == _KEY)).scalar()
    if value is None:
        return None
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(value)).total_seconds())


class Heartbeat:
    """Beats every so many seconds, until `stop`."""

    def __init__(self, database: Database, seconds: float) -> None:
        self._database = database
        self._seconds = seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stopped.is_set():
            try:
                self._database.write(beat)
            except StorageError as error:
                _log.warning("the time could not be written: %s", error)
            self._stopped.wait(self._seconds)
