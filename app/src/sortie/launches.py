"""Launches and their statistics."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, select

from .storage.database import Database
from .storage.schema import analytics, applications, now


def record(database: Database, app_id: str) -> None:
    """Count a launch; durable when this returns."""
    database.append(analytics, {"app_id": app_id, "timestamp": now()})


def statistics(connection: Connection) -> dict[str, Any]:
    """Launches by application, most launched first. One that is gone is called by its id."""
    query = (
        select(analytics.c.app_id, applications.c.name, func.count().label("launches"))
        .outerjoin(applications, applications.c.id == analytics.c.app_id)
        .group_by(analytics.c.app_id, applications.c.name)
        .order_by(func.count().desc(), analytics.c.app_id)
    )
    rows = connection.execute(query).all()
    return {
        "total_launches": sum(row.launches for row in rows),
        "app_stats": [
            {"app_id": row.app_id, "app_name": row.name or row.app_id, "launch_count": row.launches}
            for row in rows
        ],
    }


def forget(connection: Connection, seconds: float) -> int:
    """Remove launches older than `seconds`; how many."""
    gone = connection.execute(
        delete(analytics).where(analytics.c.timestamp < now() - timedelta(seconds=seconds))
    )
    return int(gone.rowcount)
