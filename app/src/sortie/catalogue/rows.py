"""Applications and categories in the database, changed inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from ..problems import conflict, invalid, not_found
from ..storage.database import touch
from ..storage.schema import applications, categories, category_users, now
from .objects import APP_DEFAULTS, CATEGORY_DEFAULTS, make_id

Row = dict[str, Any]
CATALOGUE = "catalogue"


def all_apps(connection: Connection) -> list[Row]:
    """Every application in the order of the page: category, name, id."""
    query = select(applications, categories.c.name.label("category")).outerjoin(categories)
    rows = [dict(row._mapping) for row in connection.execute(query)]
    for row in rows:
        row["category"] = row["category"] or ""
    # Sorted here: databases differ in how they compare text.
    return sorted(rows, key=lambda row: (row["category"].casefold(), row["name"].casefold(), row["id"]))


def all_categories(connection: Connection) -> list[Row]:
    """Every category by name; `approved_users` is a sorted list."""
    approved: dict[str, list[str]] = {}
    for category, username in connection.execute(select(category_users)).tuples():
        approved.setdefault(category, []).append(username)
    rows = [dict(row._mapping) for row in connection.execute(select(categories))]
    for row in rows:
        row["approved_users"] = sorted(approved.get(row["id"], []))
    return sorted(rows, key=lambda row: (row["name"].casefold(), row["id"]))


def find_app(connection: Connection, app_id: str) -> Row:
    query = select(applications, categories.c.name.label("category")).outerjoin(categories)
    row = connection.execute(query.where(applications.c.id == app_id)).first()
    if row is None:
        raise not_found("application", app_id)
    return {**row._mapping, "category": row._mapping["category"] or ""}


def require_launchable(app: Mapping[str, Any]) -> None:
    """Refuse an application that has no address although its kind of launch needs one."""
    if app["launch_type"] != "container" and not app["url"]:
        raise invalid(f"url is missing; launch type {app['launch_type']} needs it", "url")


def add_app(connection: Connection, given: Mapping[str, Any], *, managed: bool = False) -> Row:
    """Add an application; missing fields get their defaults, a missing category is made."""
    app = {**APP_DEFAULTS, **given}
    app.setdefault("id", make_id(app["name"]))
    require_launchable(app)
    if connection.execute(select(applications.c.id).where(applications.c.id == app["id"])).first():
        raise conflict(f"there is already an application {app['id']!r}", "id")
    moment = now()
    row = _app_row(connection, app, managed) | {
        "id": app["id"],
        "managed": managed,
        "created_at": moment,
        "updated_at": moment,
    }
    connection.execute(insert(applications), row)
    touch(connection, CATALOGUE)
    return {**row, "category": app["category"]}


def change_app(
    connection: Connection, app_id: str, given: Mapping[str, Any], *, managed: bool | None = None
) -> Row:
    """Change what `given` has. An application cannot get another id."""
    before = find_app(connection, app_id)
    if given.get("id", app_id) != app_id:
        raise invalid(f"id must be {app_id!r}, as in the address, or left out", "id")
    after = {**before, **given}
    require_launchable(after)
    row = _app_row(connection, after, bool(before["managed"] or managed)) | {"updated_at": now()}
    if managed is not None:
        row["managed"] = managed
    connection.execute(update(applications).where(applications.c.id == app_id).values(row))
    touch(connection, CATALOGUE)
    return {**after, **row}


def remove_app(connection: Connection, app_id: str) -> Row:
    before = find_app(connection, app_id)
    connection.execute(delete(applications).where(applications.c.id == app_id))
    touch(connection, CATALOGUE)
    return before


def _app_row(connection: Connection, app: Mapping[str, Any], managed: bool) -> Row:
    """The columns of an application that callers may set."""
    row = {name: app[name] for name in APP_DEFAULTS if name != "category"} | {"name": app["name"]}
    return row | {"category_id": ensure_category(connection, app["category"], managed=managed)}


def ensure_category(connection: Connection, name: str, *, managed: bool = False) -> str | None:
    """The id of the category called `name`, which is made if there is none; None for no name."""
    if not name:
        return None
    found = connection.execute(select(categories.c.id).where(categories.c.name == name)).scalar()
    if found is not None:
        return str(found)
    return str(add_category(connection, {"name": name}, managed=managed)["id"])


def find_category(connection: Connection, category_id: str) -> Row:
    row = connection.execute(select(categories).where(categories.c.id == category_id)).first()
    if row is None:
        raise not_found("category", category_id)
    return {**row._mapping, "approved_users": _approved(connection, category_id)}


def add_category(connection: Connection, given: Mapping[str, Any], *, managed: bool = False) -> Row:
    category = {**CATEGORY_DEFAULTS, **given}
    category.setdefault("id", make_id(category["name"]))
    if connection.execute(select(categories.c.id).where(categories.c.id == category["id"])).first():
        raise conflict(f"there is already a category {category['id']!r}", "id")
    _require_free_name(connection, category["name"])
    moment = now()
    row = {name: category[name] for name in ("id", "name", "description", "tenant_id")}
    row |= {"managed": managed, "created_at": moment, "updated_at": moment}
    connection.execute(insert(categories), row)
    _approve(connection, category["id"], category["approved_users"])
    touch(connection, CATALOGUE)
    return {**row, "approved_users": sorted(set(category["approved_users"]))}


def change_category(
    connection: Connection, category_id: str, given: Mapping[str, Any], *, managed: bool | None = None
) -> Row:
    """Change what `given` has; its applications follow a new name."""
    before = find_category(connection, category_id)
    if given.get("id", category_id) != category_id:
        raise invalid(f"id must be {category_id!r}, as in the address, or left out", "id")
    after = {**before, **given}
    if after["name"] != before["name"]:
        _require_free_name(connection, after["name"])
    row = {name: after[name] for name in ("name", "description", "tenant_id")} | {"updated_at": now()}
    if managed is not None:
        row["managed"] = managed
    connection.execute(update(categories).where(categories.c.id == category_id).values(row))
    if "approved_users" in given:
        _approve(connection, category_id, given["approved_users"])
    touch(connection, CATALOGUE)
    return {**after, **row, "approved_users": sorted(set(after["approved_users"]))}


def remove_category(connection: Connection, category_id: str) -> Row:
    """Remove a category that no application is in."""
    before = find_category(connection, category_id)
    query = select(func.count()).select_from(applications).where(applications.c.category_id == category_id)
    if used := connection.execute(query).scalar_one():
        raise conflict(
            f"{used} applications are in the category {before['name']!r}; move or remove them first"
        )
    connection.execute(delete(categories).where(categories.c.id == category_id))
    touch(connection, CATALOGUE)
    return before


def is_named(connection: Connection, username: str) -> bool:
    """Whether a category shows somebody of this name its approved applications."""
    query = select(category_users.c.username).where(category_users.c.username == username)
    return connection.execute(query).first() is not None


def _require_free_name(connection: Connection, name: str) -> None:
    if connection.execute(select(categories.c.id).where(categories.c.name == name)).first():
        raise conflict(f"there is already a category called {name!r}", "name")


def _approved(connection: Connection, category_id: str) -> list[str]:
    query = select(category_users.c.username).where(category_users.c.category_id == category_id)
    return sorted(connection.execute(query).scalars())


def _approve(connection: Connection, category_id: str, usernames: Sequence[str]) -> None:
    connection.execute(delete(category_users).where(category_users.c.category_id == category_id))
    if usernames:
        rows = [{"category_id": category_id, "username": username} for username in sorted(set(usernames))]
        connection.execute(insert(category_users), rows)
