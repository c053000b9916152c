"""Brings over what a database of the Go implementation has: categories, applications, users, audit, launches.

Its passwords keep working: they are bcrypt's, and are replaced by better ones as their users sign in. What is
there already under the same id or name stays, so the import can be run again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pysqlite3 import dbapi2 as sqlite3
from sqlalchemy import Connection, insert, select

from .catalogue import rows
from .catalogue.objects import APP, APP_DEFAULTS, CATEGORY
from .people import audit, users
from .problems import Problem
from .storage.database import Database
from .storage.errors import StorageError
from .storage.schema import analytics, audit_log, now
from .storage.schema import users as users_table
from .validation import check

_NEEDED = {"applications", "users", "audit_log", "analytics"}
_LIMITS = ("cpu_request", "cpu_limit", "memory_request", "memory_limit")


@dataclass
class Report:
    """How many of each came over, how many were there already, and what could not be taken, with why."""

    brought: dict[str, int] = field(default_factory=dict)
    present: dict[str, int] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    def count(self, what: str, *, new: bool) -> None:
        counted = self.brought if new else self.present
        counted[what] = counted.get(what, 0) + 1


class Source:
    """A database of the Go implementation, opened so that it cannot be changed."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise StorageError(f"there is no database at {path}")
        try:
            self._connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False
            )
            self._connection.row_factory = sqlite3.Row
            self._tables = {
                row["name"]
                for row in self._connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
            }
        except sqlite3.Error as error:
            raise StorageError(f"{path} cannot be read: {error}") from error
        if missing := _NEEDED - self._tables:
            raise StorageError(
                f"{path} is no database of the Go implementation: it has no table {', '.join(sorted(missing))}"
            )

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        """Rows of a table as dicts without NULLs; none if there is no such table."""
        if table not in self._tables:
            return
        for row in self._connection.execute(f'SELECT * FROM "{table}"'):  # noqa: S608 (names are ours) # nosec B608
            yield {name: row[name] for name in row.keys() if row[name] is not None}  # noqa: SIM118 - no mapping

    def close(self) -> None:
        self._connection.close()


def bring(database: Database, path: Path) -> Report:
    """Import everything in one transaction."""
    source = Source(path)
    try:
        return database.write(lambda connection: _Import(connection, source).run())
    finally:
        source.close()


class _Import:
    def __init__(self, connection: Connection, source: Source) -> None:
        self._connection = connection
        self._source = source
        self._report = Report()

    def run(self) -> Report:
        names = self._users()
        self._categories(names)
        self._applications()
        self._audit()
        self._launches()
        brought = ", ".join(f"{count} {what}" for what, count in self._report.brought.items()) or "nothing"
        audit.record(self._connection, "system", "IMPORT_DB", f"Imported {brought}")
        return self._report

    def _users(self) -> dict[str, str]:
        """The user names by the source's ids."""
        names = {}
        known = {row["username"] for row in users.all_users(self._connection)}
        taken = {row["id"] for row in users.all_users(self._connection)}
        for row in self._source.rows("users"):
            names[row["id"]] = row["username"]
            if row["username"] in known:
                self._report.count("users", new=False)
                continue
            roles = [role for role in _list(row.get("roles")) if role in users.ROLES]
            moment = now()
            values = {
                "id": row["id"] if row["id"] not in taken else f"{row['id']}-imported",
                "username": row["username"],
                "email": row.get("email", ""),
                "display_name": row.get("display_name", ""),
                "password_hash": row.get("password_hash", ""),
                "roles": users.ordered(roles),
                "auth_provider": row.get("auth_provider") or "local",
                "auth_provider_id": row.get("auth_provider_id", ""),
                "preferences": {},
                "tenant_id": row.get("tenant_id", "default"),
                "created_at": _moment(row.get("created_at")) or moment,
                "updated_at": moment,
            }
            self._connection.execute(insert(users_table), values)
            self._report.count("users", new=True)
        return names

    def _categories(self, names: Mapping[str, str]) -> None:
        approved: dict[str, list[str]] = {}
        for table in ("category_approved_users", "category_admins"):
            for row in self._source.rows(table):
                if row["user_id"] in names:
                    approved.setdefault(row["category_id"], []).append(names[row["user_id"]])
        present = rows.all_categories(self._connection)
        taken = {row["id"] for row in present} | {row["name"] for row in present}
        for row in self._source.rows("categories"):
            if row["id"] in taken or row["name"] in taken:
                self._report.count("categories", new=False)
                continue
            given = {name: row.get(name, "") for name in ("name", "description")}
            given |= {"id": _id(row["id"]), "approved_users": approved.get(row["id"], [])}
            self._add(
                "categories",
                row["id"],
                lambda given=given: rows.add_category(self._connection, check(given, CATEGORY)),
            )

    def _applications(self) -> None:
        present = {row["id"] for row in rows.all_apps(self._connection)}
        for row in self._source.rows("applications"):
            if row["id"] in present:
                self._report.count("applications", new=False)
                continue
            given = {name: row[name] for name in APP["properties"] if row.get(name) not in (None, "")}
            given |= {
                "id": _id(row["id"]),
                "container_args": [str(part) for part in _list(row.get("container_args"))],
                "egress_policy": _json(row.get("egress_policy"), APP_DEFAULTS["egress_policy"]),
                "resource_limits": {name: row[name] for name in _LIMITS if row.get(name)},
            }
            self._add(
                "applications",
                row["id"],
                lambda given=given: rows.add_app(self._connection, check(given, APP)),
            )

    def _add(self, what: str, name: str, add: Any) -> None:
        try:
            add()
        except Problem as problem:
            self._report.refused.append(f"{what}: {name!r}: {problem.message}")
        else:
            self._report.count(what, new=True)

    def _audit(self) -> None:
        columns = (audit_log.c.timestamp, audit_log.c.user, audit_log.c.action, audit_log.c.details)
        present = set(self._connection.execute(select(*columns)).tuples())
        for row in self._source.rows("audit_log"):
            moment = _moment(row.get("timestamp")) or now()
            values = (moment, row.get("user", ""), row.get("action", ""), row.get("details", ""))
            if values in present:
                self._report.count("audit entries", new=False)
                continue
            names = ("timestamp", "user", "action", "details")
            self._connection.execute(insert(audit_log), dict(zip(names, values, strict=True)))
            self._report.count("audit entries", new=True)

    def _launches(self) -> None:
        left: dict[tuple[str, datetime], int] = {}
        for app_id, moment in self._connection.execute(
            select(analytics.c.app_id, analytics.c.timestamp)
        ).tuples():
            left[(app_id, moment)] = left.get((app_id, moment), 0) + 1
        for row in self._source.rows("analytics"):
            key = (str(row["app_id"]), _moment(row.get("timestamp")) or now())
            if left.get(key, 0) > 0:
                left[key] -= 1
                self._report.count("launches", new=False)
                continue
            self._connection.execute(insert(analytics), {"app_id": key[0], "timestamp": key[1]})
            self._report.count("launches", new=True)


def _id(text: str) -> str:
    """An id that ours allow; almost always the same one."""
    return re.sub(r"[^A-Za-z0-9._~-]+", "-", text).lstrip("._~-")[:128] or "imported"


def _json(text: Any, default: Any) -> Any:
    """The value of a column that holds JSON; text that is no JSON is taken as it is."""
    if not text:
        return default
    try:
        return json.loads(text)
    except ValueError:
        return text


def _list(text: Any) -> list[Any]:
    value = _json(text, [])
    return value if isinstance(value, list) else []


def _moment(text: Any) -> datetime | None:
    """A time as Go's driver writes it: `2025-01-31 12:00:00.123 +0000 UTC`, RFC 3339, or SQLite's own."""
    found = re.match(
        r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d(?:\.\d{1,6})?)\d*\s*(Z|[+-]\d\d:?\d\d)?", str(text or "")
    )
    if found is None:
        return None
    zone = (found[3] or "Z").replace("Z", "+00:00")
    try:
        return datetime.fromisoformat(f"{found[1]}T{found[2]}{zone}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None
