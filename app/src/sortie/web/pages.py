"""The pages, what they load, and the tenant's colours."""

from __future__ import annotations

from ..catalogue.published import Prepared
from ..page import render
from ..page.assets import assets
from ..page.colours import style_sheet
from ..problems import not_found
from .answers import Answer, prepared_answer
from .call import Call
from .route import ANYONE, Route

_FOR_EVER = "public, max-age=31536000, immutable"


def launcher(call: Call) -> Answer:
    branding, settings = call.branding, call.site.settings
    prepared = call.view.prepared(
        "\n".join(("launcher", *branding.values())),
        lambda view: render.launcher(
            view, branding, may_register=settings.allow_registration, has_provider=bool(settings.oidc_issuer)
        ),
    )
    return prepared_answer(prepared, call.environ)


def admin(call: Call) -> Answer:
    """The administration, for those who may do something there; others are asked to sign in."""
    caller = call.caller
    if caller is None:
        return Answer(303, b"", [("Location", "/#sign-in"), ("Cache-Control", "no-store")])
    if not caller.is_author:
        words = "Only administrators and authors of applications may do something here."
        page = render.page("message", call.branding, heading="Not for this account", words=words)
        return Answer(403, page.body, [("Content-Type", render.HTML), ("Cache-Control", "no-store")])
    return prepared_answer(render.page("admin", call.branding, is_admin=caller.is_admin), call.environ)


def branding_style(call: Call) -> Answer:
    branding = call.branding
    text = style_sheet(branding["primary_color"], branding["secondary_color"])
    return prepared_answer(Prepared(text.encode(), "text/css; charset=utf-8"), call.environ, "no-cache")


def asset(call: Call, version: str, name: str) -> Answer:
    file = assets().find(name)
    if file is None:
        raise not_found("file", name)
    current = assets().base.endswith(f"/{version}")
    return prepared_answer(file, call.environ, _FOR_EVER if current else "no-cache")


ROUTES = (
    Route(
        "GET", "/admin", admin, ANYONE, "The administration", {200: "text/html", 303: None, 403: "text/html"}
    ),
    Route("GET", "/", launcher, ANYONE, "The launcher", {200: "text/html"}),
    Route("GET", "/branding.css", branding_style, ANYONE, "The tenant's colours", {200: "text/css"}),
    Route(
        "GET",
        "/static/{version}/{name}",
        asset,
        ANYONE,
        "What the pages load",
        {200: "text/css"},
        problems=(404,),
    ),
)
