"""What was done, by whom, when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select

from ..catalogue.objects import moment
from ..storage.schema import audit_log, now

MOST_ENTRIES = 1000


@dataclass(frozen=True)
class Filter:
    """Which entries; empty parts do not filter. `until` is exclusive."""

    user: str = ""
    action: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def apply(self, query: Select[Any]) -> Select[Any]:
        if self.user:
            query = query.where(audit_log.c.user == self.user)
        if self.action:
            query = query.where(audit_log.c.action == self.action)
        if self.since:
            query = query.where(audit_log.c.timestamp >= self.since)
        if self.until:
            query = query.where(audit_log.c.timestamp < self.until)
        return query


def record(connection: Connection, user: str, action: str, details: str) -> None:
    connection.execute(
        insert(audit_log), {"timestamp": now(), "user": user, "action": action, "details": details}
    )


def entries(
    connection: Connection, wanted: Filter, limit: int | None = None, offset: int = 0
) -> Iterator[dict[str, Any]]:
    """Entries as answers have them, newest first."""
    query = wanted.apply(select(audit_log)).order_by(audit_log.c.id.desc()).limit(limit).offset(offset)
    for row in connection.execute(query).mappings():
        yield {**row, "timestamp": moment(row["timestamp"])}


def total(connection: Connection, wanted: Filter) -> int:
    return int(connection.execute(wanted.apply(select(func.count()).select_from(audit_log))).scalar_one())


def choices(connection: Connection) -> dict[str, list[str]]:
    """Every user and action that the log has."""
    return {
        name: sorted(connection.execute(select(column).distinct()).scalars())
        for name, column in (("users", audit_log.c.user), ("actions", audit_log.c.action))
    }


def forget(connection: Connection, seconds: float) -> int:
    """Remove entries older than `seconds`; how many."""
    gone = connection.execute(
        delete(audit_log).where(audit_log.c.timestamp < now() - timedelta(seconds=seconds))
    )
    return int(gone.rowcount)
