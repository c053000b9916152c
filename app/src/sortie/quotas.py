"""How much there may be. Counted inside the transaction that adds, so that nobody slips past."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table, func, select

from .problems import Problem
from .settings import Settings
from .storage.schema import applications, users


def require_apps(connection: Connection, settings: Settings) -> None:
    """Refuse what the transaction did if there are too many applications now."""
    _require(connection, applications, settings.max_apps, "applications", "SORTIE_MAX_APPS")


def require_users(connection: Connection, settings: Settings) -> None:
    """Refuse what the transaction did if there are too many users now."""
    _require(connection, users, settings.max_users, "users", "SORTIE_MAX_USERS")


def report(connection: Connection, settings: Settings) -> dict[str, Any]:
    """The limits (0 is none) and what is used of them."""
    return {
        "max_apps": settings.max_apps,
        "apps": _count(connection, applications),
        "max_users": settings.max_users,
        "users": _count(connection, users),
    }


def _require(connection: Connection, table: Table, most: int, what: str, setting: str) -> None:
    if most and _count(connection, table) > most:
        raise Problem(409, "quota_exceeded", f"there may be {most} {what} ({setting})")


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())
