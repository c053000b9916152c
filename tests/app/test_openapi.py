"""The OpenAPI document says what the server does."""

from __future__ import annotations

import json
import re
from typing import Any

from jsonschema import Draft202012Validator

from sortie import openapi
from sortie.web.routes import ROUTES

from .server import App

DOCUMENT = openapi.document(ROUTES)


def validator(schema: Any) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": DOCUMENT["components"]})


def test_the_server_shows_the_document(shared: App) -> None:
    assert shared.get("/api/openapi.json").json == json.loads(json.dumps(DOCUMENT))


def test_every_reference_leads_somewhere() -> None:
    references = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(DOCUMENT)))
    assert references >= {"#/components/schemas/App", "#/components/schemas/Error"}
    for reference in references:
        part: Any = DOCUMENT
        for name in reference.removeprefix("#/").split("/"):
            part = part[name]


def test_operations_have_names_of_their_own() -> None:
    names = [operation["operationId"] for path in DOCUMENT["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names)) == len(ROUTES)


def test_every_schema_is_one() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_answers_are_as_documented(shared: App, admin: str) -> None:
    """Every GET without parameters, as administrator and as nobody."""
    shared.call(
        "POST", "/api/apps", {"id": "one", "name": "One", "url": "https://x.org", "category": "C"}, admin
    )
    for path, operations in DOCUMENT["paths"].items():
        if "get" not in operations or "{" in path:
            continue
        for token in (admin, None):
            reply = shared.get(path, token)
            documented = operations["get"]["responses"][str(reply.status)]
            if "content" not in documented:
                assert reply.body == b""
                continue
            kind = reply.headers["content-type"].partition(";")[0]
            schema = documented["content"][kind]["schema"]
            if kind == "application/json":
                validator(schema).validate(reply.json)


def test_the_page_lists_every_route(shared: App) -> None:
    page = shared.get("/docs").body.decode()
    for route in ROUTES:
        assert f"<code>{route.path}</code>" in page
