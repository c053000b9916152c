"""/healthz, /readyz, /metrics, /api/config and /api/admin/branding."""

from __future__ import annotations

from sqlalchemy import Connection

from .. import branding, measures, quotas
from ..metrics import CONTENT_TYPE
from ..people import audit
from ..storage.errors import StorageError
from .answers import Answer, json_answer
from .call import Call
from .route import ADMIN, ANYONE, SIGNED_IN, Route

_STATUS = {
    "type": "object",
    "required": ["status"],
    "properties": {"status": {"type": "string"}, "reason": {"type": "string"}},
}
_CONFIG = {
    "type": "object",
    "required": [*branding.NAMES, "allow_registration", "sso_enabled"],
    "properties": {
        **{name: {"type": "string"} for name in branding.NAMES},
        "allow_registration": {"type": "boolean"},
        "sso_enabled": {"type": "boolean"},
    },
}


def healthz(_call: Call) -> Answer:
    """The process answers."""
    return json_answer({"status": "ok"})


def readyz(call: Call) -> Answer:
    """The database answers too, and the process is not about to end."""
    if call.site.stopping:
        return json_answer({"status": "unavailable", "reason": "the process is ending"}, 503)
    try:
        call.database.probe()
    except StorageError as error:
        return json_answer({"status": "unavailable", "reason": str(error)}, 503)
    return json_answer({"status": "ok"})


def show_metrics(call: Call) -> Answer:
    body = "\n".join([*call.site.requests.lines(), *measures.lines(call.site)]) + "\n"
    return Answer(200, body.encode(), [("Content-Type", CONTENT_TYPE), ("Cache-Control", "no-store")])


def config(call: Call) -> Answer:
    return json_answer(
        {
            **call.branding,
            "allow_registration": call.site.settings.allow_registration,
            "sso_enabled": call.site.provider is not None,
        }
    )


def show_quotas(call: Call) -> Answer:
    with call.database.read() as connection:
        return json_answer(quotas.report(connection, call.site.settings))


def set_branding(call: Call) -> Answer:
    given = call.body(branding.BRANDING)
    call.site.branding.require_free(given)
    name = call.require_caller().username

    def job(connection: Connection) -> None:
        branding.store(connection, given)
        audit.record(connection, name, "UPDATE_BRANDING", f"Updated branding: {', '.join(given)}")

    call.database.write(job)
    return json_answer(call.site.branding.current(call.database, call.database.revisions()["settings"]))


_QUOTAS = {
    "type": "object",
    "required": ["max_apps", "apps", "max_users", "users"],
    "properties": {name: {"type": "integer"} for name in ("max_apps", "apps", "max_users", "users")},
}
ROUTES = (
    Route("GET", "/api/quotas", show_quotas, SIGNED_IN, "Limits and what is used of them", {200: _QUOTAS}),
    Route("GET", "/healthz", healthz, ANYONE, "Whether the process answers", {200: _STATUS}),
    Route("GET", "/readyz", readyz, ANYONE, "Whether the database can be used", {200: _STATUS, 503: _STATUS}),
    Route("GET", "/metrics", show_metrics, ANYONE, "Metrics for Prometheus", {200: "text/plain"}),
    Route("GET", "/api/config", config, ANYONE, "Branding and what is switched on", {200: _CONFIG}),
    Route(
        "PUT",
        "/api/admin/branding",
        set_branding,
        ADMIN,
        "Set name, logo and colours",
        {200: branding.BRANDING},
        branding.BRANDING,
        problems=(409,),
    ),
)
