"""/api/openapi.json and /docs."""

from __future__ import annotations

import functools
import json
from typing import Any

from .. import openapi
from ..catalogue.published import Prepared, json_bytes
from ..page import render
from .answers import Answer, prepared_answer
from .call import Call
from .route import ANYONE, Route


@functools.cache
def _document() -> dict[str, Any]:
    from .routes import ROUTES  # noqa: PLC0415 - the routes contain these

    return openapi.document(ROUTES)


@functools.cache
def _body() -> Prepared:
    return Prepared(json_bytes(_document()), "application/json")


def show_document(call: Call) -> Answer:
    return prepared_answer(_body(), call.environ)


def show_page(call: Call) -> Answer:
    document = _document()
    groups: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            groups.setdefault(operation["tags"][0], []).append((method.upper(), path, operation))
    page = render.page(
        "docs",
        call.branding,
        groups=sorted(groups.items()),
        components=document["components"]["schemas"],
        text=lambda value: json.dumps(value, indent=2, ensure_ascii=False),
    )
    return prepared_answer(page, call.environ)


ROUTES = (
    Route(
        "GET",
        "/api/openapi.json",
        show_document,
        ANYONE,
        "This interface as OpenAPI 3.1",
        {200: {"type": "object"}},
    ),
    Route("GET", "/docs", show_page, ANYONE, "This interface for people", {200: "text/html"}),
)
