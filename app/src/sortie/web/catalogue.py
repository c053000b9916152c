"""/api/apps, /api/categories, /api/catalog and /apps.json."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from .. import quotas
from ..catalogue import rows, transfer
from ..catalogue.objects import APP, APP_DEFAULTS, CATEGORY, CATEGORY_DEFAULTS, app_answer, category_answer
from ..catalogue.published import Prepared, View, apps_body, catalogue_body, json_bytes
from ..people import audit
from ..problems import not_found
from .answers import Answer, json_answer, no_content, prepared_answer
from .call import Call
from .route import ADMIN, ANYONE, AUTHOR, Route

_FLAG = {"type": "string", "enum": ["true", "false"], "default": "false"}
_CHANGED_IDS = {"type": "array", "items": {"type": "string"}}
_CHANGES = dict.fromkeys(("created", "updated", "removed"), _CHANGED_IDS)
REPORT = {
    "type": "object",
    "required": ["changed", "dry_run", *_CHANGES, "unchanged", "categories"],
    "properties": {
        "changed": {"type": "boolean"},
        "dry_run": {"type": "boolean"},
        **_CHANGES,
        "unchanged": {"type": "integer"},
        "categories": {"type": "object", "required": list(_CHANGES), "properties": _CHANGES},
    },
}


def list_apps(call: Call) -> Answer:
    return prepared_answer(call.view.prepared("apps", apps_body), call.environ)


def apps_json(call: Call) -> Answer:
    return prepared_answer(call.view.prepared("apps.json", catalogue_body), call.environ)


def get_app(call: Call, app_id: str) -> Answer:
    app = call.view.by_id.get(app_id)
    if app is None:
        raise not_found("application", app_id)
    return json_answer(app)


def create_app(call: Call) -> Answer:
    given = call.body(APP)

    def job(connection: Connection) -> rows.Row:
        row = rows.add_app(connection, given)
        quotas.require_apps(connection, call.site.settings)
        audit.record(connection, _name(call), "CREATE_APP", f"Created app: {row['name']} ({row['id']})")
        return row

    row = call.database.write(job)
    location = ("Location", f"/api/apps/{row['id']}")
    return json_answer(app_answer(row, row["category"]), 201, (location,))


def replace_app(call: Call, app_id: str) -> Answer:
    """Fields that are left out get their defaults."""
    return _change_app(call, app_id, {**APP_DEFAULTS, **call.body(APP)})


def update_app(call: Call, app_id: str) -> Answer:
    """Fields that are left out stay as they are."""
    return _change_app(call, app_id, call.body({**APP, "required": []}))


def _change_app(call: Call, app_id: str, given: dict[str, Any]) -> Answer:
    _require_visible(call, app_id)

    def job(connection: Connection) -> rows.Row:
        row = rows.change_app(connection, app_id, given)
        audit.record(connection, _name(call), "UPDATE_APP", f"Updated app: {row['name']} ({app_id})")
        return row

    row = call.database.write(job)
    return json_answer(app_answer(row, row["category"]))


def delete_app(call: Call, app_id: str) -> Answer:
    _require_visible(call, app_id)

    def job(connection: Connection) -> None:
        row = rows.remove_app(connection, app_id)
        audit.record(connection, _name(call), "DELETE_APP", f"Deleted app: {row['name']} ({app_id})")

    call.database.write(job)
    return no_content()


def _require_visible(call: Call, app_id: str) -> None:
    """An author changes what an author sees; the rest does not exist."""
    if app_id not in call.view.by_id:
        raise not_found("application", app_id)


def list_categories(call: Call) -> Answer:
    return prepared_answer(call.view.prepared("categories", _categories_body), call.environ)


def _categories_body(view: View) -> Prepared:
    return Prepared(json_bytes(view.categories), "application/json")


def get_category(call: Call, category_id: str) -> Answer:
    for category in call.view.categories:
        if category["id"] == category_id:
            return json_answer(category)
    raise not_found("category", category_id)


def create_category(call: Call) -> Answer:
    given = call.body(CATEGORY)

    def job(connection: Connection) -> rows.Row:
        row = rows.add_category(connection, given)
        audit.record(connection, _name(call), "CREATE_CATEGORY", f"Created category: {row['name']}")
        return row

    row = call.database.write(job)
    location = ("Location", f"/api/categories/{row['id']}")
    return json_answer(category_answer(row, row["approved_users"]), 201, (location,))


def replace_category(call: Call, category_id: str) -> Answer:
    """Fields that are left out get their defaults."""
    return _change_category(call, category_id, {**CATEGORY_DEFAULTS, **call.body(CATEGORY)})


def update_category(call: Call, category_id: str) -> Answer:
    """Fields that are left out stay as they are."""
    return _change_category(call, category_id, call.body({**CATEGORY, "required": []}))


def _change_category(call: Call, category_id: str, given: dict[str, Any]) -> Answer:
    def job(connection: Connection) -> rows.Row:
        row = rows.change_category(connection, category_id, given)
        audit.record(connection, _name(call), "UPDATE_CATEGORY", f"Updated category: {row['name']}")
        return row

    row = call.database.write(job)
    return json_answer(category_answer(row, row["approved_users"]))


def delete_category(call: Call, category_id: str) -> Answer:
    def job(connection: Connection) -> None:
        row = rows.remove_category(connection, category_id)
        audit.record(connection, _name(call), "DELETE_CATEGORY", f"Deleted category: {row['name']}")

    call.database.write(job)
    return no_content()


def export_catalogue(call: Call) -> Answer:
    with call.database.read() as connection:
        return json_answer(transfer.exported(connection))


def import_catalogue(call: Call) -> Answer:
    catalogue = transfer.catalogue_of(call.body(transfer.CATALOGUE))

    def also(connection: Connection, report: dict[str, Any]) -> None:
        quotas.require_apps(connection, call.site.settings)
        numbers = ", ".join(f"{len(report[verb])} {verb}" for verb in ("created", "updated", "removed"))
        audit.record(connection, _name(call), "IMPORT_CATALOG", f"Imported the catalogue: {numbers}")

    return json_answer(
        transfer.load(
            call.database, catalogue, prune=call.flag("prune"), dry_run=call.flag("dry_run"), also=also
        )
    )


def _name(call: Call) -> str:
    return call.require_caller().username


_APPS = {"type": "array", "items": APP}
ROUTES = (
    Route("GET", "/api/apps", list_apps, ANYONE, "The applications that the caller sees", {200: _APPS}),
    Route("POST", "/api/apps", create_app, AUTHOR, "Add an application", {201: APP}, APP, problems=(409,)),
    Route("GET", "/api/apps/{app_id}", get_app, ANYONE, "One application", {200: APP}, problems=(404,)),
    Route(
        "PUT",
        "/api/apps/{app_id}",
        replace_app,
        AUTHOR,
        "Replace an application; missing fields get their defaults",
        {200: APP},
        APP,
        problems=(404,),
    ),
    Route(
        "PATCH",
        "/api/apps/{app_id}",
        update_app,
        AUTHOR,
        "Change some fields of an application",
        {200: APP},
        {**APP, "required": []},
        problems=(404,),
    ),
    Route(
        "DELETE",
        "/api/apps/{app_id}",
        delete_app,
        AUTHOR,
        "Remove an application",
        {204: None},
        problems=(404,),
    ),
    Route(
        "GET",
        "/api/categories",
        list_categories,
        ANYONE,
        "The categories that the caller sees something of",
        {200: {"type": "array", "items": CATEGORY}},
    ),
    Route(
        "POST",
        "/api/categories",
        create_category,
        ADMIN,
        "Add a category",
        {201: CATEGORY},
        CATEGORY,
        problems=(409,),
    ),
    Route(
        "GET",
        "/api/categories/{category_id}",
        get_category,
        ANYONE,
        "One category",
        {200: CATEGORY},
        problems=(404,),
    ),
    Route(
        "PUT",
        "/api/categories/{category_id}",
        replace_category,
        ADMIN,
        "Replace a category; missing fields get their defaults",
        {200: CATEGORY},
        CATEGORY,
        problems=(404, 409),
    ),
    Route(
        "PATCH",
        "/api/categories/{category_id}",
        update_category,
        ADMIN,
        "Change some fields of a category",
        {200: CATEGORY},
        {**CATEGORY, "required": []},
        problems=(404, 409),
    ),
    Route(
        "DELETE",
        "/api/categories/{category_id}",
        delete_category,
        ADMIN,
        "Remove a category that no application is in",
        {204: None},
        problems=(404, 409),
    ),
    Route(
        "GET",
        "/api/catalog",
        export_catalogue,
        ADMIN,
        "The whole catalogue, as an import takes it",
        {200: transfer.CATALOGUE["anyOf"][0]},
    ),
    Route(
        "POST",
        "/api/catalog",
        import_catalogue,
        ADMIN,
        "Import a catalogue, all of it or nothing",
        {200: REPORT},
        transfer.CATALOGUE,
        {"dry_run": _FLAG, "prune": _FLAG},
        problems=(409,),
    ),
    Route(
        "GET",
        "/apps.json",
        apps_json,
        ANYONE,
        "The applications that the caller sees, as a catalogue file",
        {200: {"type": "object", "required": ["applications"], "properties": {"applications": _APPS}}},
    ),
)
