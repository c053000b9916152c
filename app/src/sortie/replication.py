"""The beat that a primary writes into its database, by which a read replica knows how far it is behind."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection, insert, select, update

from .storage.database import Database
from .storage.schema import now, settings

_KEY = "heartbeat"


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
