"""Removes what is older than it is kept."""

from __future__ import annotations

import logging

from sqlalchemy import Connection, delete

from . import launches
from .people import audit
from .settings import Settings
from .storage.database import Database
from .storage.schema import now, sessions

EVERY_SECONDS = 3600.0
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

    gone = database.write(job)
    if any(gone.values()):
        _log.info("removed what was too old", extra={"removed": gone})
    return gone
