"""/api/analytics and /api/audit."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime

from .. import launches
from ..people import audit
from ..problems import Problem, invalid, not_found
from .answers import Answer, json_answer
from .call import Call
from .route import ADMIN, ANYONE, Route

LAUNCH = {
    "type": "object",
    "required": ["app_id"],
    "additionalProperties": False,
    "properties": {"app_id": {"type": "string", "maxLength": 128}},
}
_ENTRY = {
    "type": "object",
    "required": ["id", "timestamp", "user", "action", "details"],
    "properties": {
        "id": {"type": "integer"},
        "timestamp": {"type": "string", "format": "date-time"},
        "user": {"type": "string"},
        "action": {"type": "string"},
        "details": {"type": "string"},
    },
}
_MOMENT = {"type": "string", "format": "date-time"}
_FORMULA = re.compile(r"(^|[;\t\r\n])(\s*[=+@\-\uff1d\uff0b\uff20\uff0d]|[\t\r])")
_FILTERS = {"user": {"type": "string"}, "action": {"type": "string"}, "from": _MOMENT, "to": _MOMENT}


def launch(call: Call) -> Answer:
    app_id = call.body(LAUNCH)["app_id"]
    app = call.view.by_id.get(app_id)
    if app is None:
        raise not_found("application", app_id)
    if app["launch_type"] != "url":
        raise Problem(
            422,
            "launch_type_not_supported",
            f"{app_id} has launch type {app['launch_type']}; this server launches addresses only",
            "app_id",
        )
    launches.record(call.database, app_id)
    return json_answer({"status": "recorded"}, 201)


def launch_statistics(call: Call) -> Answer:
    with call.database.read() as connection:
        return json_answer(launches.statistics(connection))


def list_audit(call: Call) -> Answer:
    wanted = _filter(call)
    limit = call.number("limit", 50, 1, audit.MOST_ENTRIES)
    offset = call.number("offset", 0, 0, 10**9 - 1)
    with call.database.read() as connection:
        logs = list(audit.entries(connection, wanted, limit, offset))
        return json_answer({"logs": logs, "total": audit.total(connection, wanted)})


def export_audit(call: Call) -> Answer:
    wanted = _filter(call)
    kind = call.query.get("format", "json")
    if kind not in ("csv", "json"):
        raise invalid(f"format must be csv or json, not {kind!r}", "format")
    with call.database.read() as connection:
        logs = list(audit.entries(connection, wanted))
    attachment = ("Content-Disposition", f"attachment; filename=audit_log.{kind}")
    if kind == "json":
        return json_answer(logs, headers=(attachment,))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["ID", "Timestamp", "User", "Action", "Details"])
    for entry in logs:
        row = [entry["timestamp"], entry["user"], entry["action"], entry["details"]]
        writer.writerow([entry["id"], *map(_plain_cell, row)])
    headers = [("Content-Type", "text/csv; charset=utf-8"), ("Cache-Control", "no-store"), attachment]
    return Answer(200, text.getvalue().encode(), headers)


def audit_filters(call: Call) -> Answer:
    with call.database.read() as connection:
        return json_answer(audit.choices(connection))


def _plain_cell(text: str) -> str:
    """A cell that a spreadsheet does not take for a formula, nor what it makes of the cell where `;` separates cells."""
    return _FORMULA.sub(r"\1'\2", text)


def _filter(call: Call) -> audit.Filter:
    query = call.query
    return audit.Filter(
        query.get("user", ""), query.get("action", ""), _moment(call, "from"), _moment(call, "to")
    )


def _moment(call: Call, name: str) -> datetime | None:
    text = call.query.get(name)
    if not text:
        return None
    try:
        # A `+` of a zone that was not escaped arrives as a space.
        value = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise invalid(
            f"{name} must be a time such as 2025-01-31T12:00:00Z, not {text[:40]!r}", name
        ) from error


_STATISTICS = {
    "type": "object",
    "required": ["total_launches", "app_stats"],
    "properties": {
        "total_launches": {"type": "integer"},
        "app_stats": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["app_id", "app_name", "launch_count"],
                "properties": {
                    "app_id": {"type": "string"},
                    "app_name": {"type": "string"},
                    "launch_count": {"type": "integer"},
                },
            },
        },
    },
}
ROUTES = (
    Route(
        "POST",
        "/api/analytics/launch",
        launch,
        ANYONE,
        "Count a launch",
        {201: {"type": "object", "properties": {"status": {"type": "string"}}}},
        LAUNCH,
        problems=(404, 422),
        quiet=True,
    ),
    Route(
        "GET",
        "/api/analytics/stats",
        launch_statistics,
        ADMIN,
        "Launches by application",
        {200: _STATISTICS},
    ),
    Route(
        "GET",
        "/api/audit",
        list_audit,
        ADMIN,
        "The audit log, newest first",
        {
            200: {
                "type": "object",
                "required": ["logs", "total"],
                "properties": {"logs": {"type": "array", "items": _ENTRY}, "total": {"type": "integer"}},
            }
        },
        query=_FILTERS
        | {
            "limit": {"type": "integer", "minimum": 1, "maximum": audit.MOST_ENTRIES, "default": 50},
            "offset": {"type": "integer", "minimum": 0, "default": 0},
        },
        problems=(400,),
    ),
    Route(
        "GET",
        "/api/audit/export",
        export_audit,
        ADMIN,
        "The whole audit log as a file",
        {200: ({"type": "array", "items": _ENTRY}, "text/csv")},
        query=_FILTERS | {"format": {"type": "string", "enum": ["csv", "json"], "default": "json"}},
        problems=(400,),
    ),
    Route(
        "GET",
        "/api/audit/filters",
        audit_filters,
        ADMIN,
        "Users and actions that the audit log has",
        {
            200: {
                "type": "object",
                "required": ["users", "actions"],
                "properties": {
                    name: {"type": "array", "items": {"type": "string"}} for name in ("users", "actions")
                },
            }
        },
    ),
)
