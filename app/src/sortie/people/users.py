"""Users in the database, changed inside the caller's transaction."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from ..catalogue.objects import DEFAULT_TENANT, moment
from ..problems import conflict, not_found
from ..storage.database import touch
from ..storage.schema import now, sessions, users
from . import passwords

Row = dict[str, Any]
ACCESS = "access"
ADMIN, AUTHOR, USER = "admin", "app-author", "user"
ROLES = (ADMIN, AUTHOR, USER)
_USERNAME = {
    "type": "string",
    "pattern": r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}$",
    "description": "Letters, digits and . _ @ + -",
}
PASSWORD = {
    "type": "string",
    "minLength": passwords.LEAST_CHARACTERS,
    "maxLength": passwords.MOST_CHARACTERS,
}
USER_OBJECT: dict[str, Any] = {
    "type": "object",
    "required": ["username"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string", "readOnly": True},
        "username": _USERNAME,
        "email": {"type": "string", "maxLength": 320, "default": ""},
        "display_name": {"type": "string", "maxLength": 200, "default": ""},
        "roles": {"type": "array", "items": {"type": "string", "enum": list(ROLES)}, "default": [USER]},
        "password": PASSWORD | {"writeOnly": True},
        "auth_provider": {"type": "string", "readOnly": True},
        "tenant_id": {"type": "string", "readOnly": True},
        "created_at": {"type": "string", "format": "date-time", "readOnly": True},
        "updated_at": {"type": "string", "format": "date-time", "readOnly": True},
    },
}
_SHOWN = ("id", "username", "email", "display_name", "roles", "auth_provider", "tenant_id")


def answer(row: Mapping[str, Any]) -> dict[str, Any]:
    """A user as answers have it; never with the hash."""
    shown = {name: row[name] for name in _SHOWN}
    return shown | {"created_at": moment(row["created_at"]), "updated_at": moment(row["updated_at"])}


def all_users(connection: Connection) -> list[Row]:
    rows = [dict(row._mapping) for row in connection.execute(select(users))]
    return sorted(rows, key=lambda row: row["username"].casefold())


def find(connection: Connection, user_id: str) -> Row:
    row = connection.execute(select(users).where(users.c.id == user_id)).first()
    if row is None:
        raise not_found("user", user_id)
    return dict(row._mapping)


def find_by_name(connection: Connection, username: str) -> Row | None:
    row = connection.execute(select(users).where(users.c.username == username)).first()
    return None if row is None else dict(row._mapping)


def count(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(users)).scalar_one())


def add(connection: Connection, given: Mapping[str, Any], password_hash: str, **columns: str) -> Row:
    """Add a user. `columns` overrule what is set for a local one: auth_provider, auth_provider_id, id."""
    if find_by_name(connection, given["username"]):
        raise conflict(f"there is already a user {given['username']!r}", "username")
    moment_now = now()
    row: Row = {
        "id": f"user-{secrets.token_hex(8)}",
        "username": given["username"],
        "email": given.get("email", ""),
        "display_name": given.get("display_name", ""),
        "roles": ordered(given.get("roles", [USER])),
        "password_hash": password_hash,
        "auth_provider": "local",
        "auth_provider_id": "",
        "preferences": {},
        "tenant_id": DEFAULT_TENANT,
        "created_at": moment_now,
        "updated_at": moment_now,
    } | columns
    connection.execute(insert(users), row)
    touch(connection, ACCESS)
    return row


def change(connection: Connection, user_id: str, given: Mapping[str, Any]) -> Row:
    """Change what `given` has of username, email, display_name, roles."""
    before = find(connection, user_id)
    after = {**before, **given, "roles": ordered(given.get("roles", before["roles"]))}
    if after["username"] != before["username"] and find_by_name(connection, after["username"]):
        raise conflict(f"there is already a user {after['username']!r}", "username")
    if ADMIN in before["roles"] and ADMIN not in after["roles"]:
        _require_other_admin(connection, user_id)
    names = ("username", "email", "display_name", "roles")
    row = {name: after[name] for name in names} | {"updated_at": now()}
    connection.execute(update(users).where(users.c.id == user_id).values(row))
    touch(connection, ACCESS)
    return {**before, **row}


def set_password(connection: Connection, user_id: str, password_hash: str, *, keep_session: str = "") -> None:
    """Set a password; every session of the user ends but `keep_session`."""
    values = {"password_hash": password_hash, "updated_at": now()}
    connection.execute(update(users).where(users.c.id == user_id).values(values))
    connection.execute(delete(sessions).where(sessions.c.user_id == user_id, sessions.c.id != keep_session))
    touch(connection, ACCESS)


def remove(connection: Connection, user_id: str) -> Row:
    before = find(connection, user_id)
    if ADMIN in before["roles"]:
        _require_other_admin(connection, user_id)
    connection.execute(delete(users).where(users.c.id == user_id))
    touch(connection, ACCESS)
    return before


def ordered(roles: list[str]) -> list[str]:
    """Each role once, the mightiest first; everybody is a user."""
    return [role for role in ROLES if role in roles or role == USER]


def _require_other_admin(connection: Connection, user_id: str) -> None:
    others = connection.execute(select(users.c.roles).where(users.c.id != user_id)).scalars()
    if not any(ADMIN in roles for roles in others):
        raise conflict("this is the only administrator; make another one first")
