"""The OpenAPI 3.1 document, made from the routes that serve."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from .catalogue.objects import APP, CATALOGUE, CATEGORY
from .people.users import USER_OBJECT
from .version import VERSION

if TYPE_CHECKING:
    from .web.route import Route

_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "string", "description": "For programs; does not change"},
                "message": {"type": "string", "description": "For people"},
                "field": {"type": "string", "description": "The part of the body that is wrong"},
            },
        }
    },
}
_COMPONENTS: dict[str, Any] = {
    "App": APP,
    "Category": CATEGORY,
    "User": USER_OBJECT,
    "Catalogue": CATALOGUE["anyOf"][0],
    "Error": _ERROR,
}


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """The document for all `routes`."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Sortie",
            "version": VERSION,
            "description": "A self-hosted launcher portal. Every answer carries X-Request-ID; "
            "an error is JSON with a code, a message, and the field that is wrong.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": {name: _named(schema, name) for name, schema in _COMPONENTS.items()},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "sortie_session",
                    "description": "The pages' cookie; changes need the header X-CSRF-Token too",
                },
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{route.method.lower()}_{route.handler.__name__}",
        "summary": route.summary,
        "tags": [tag(route)],
        "responses": _responses(route),
    }
    if route.who == "anyone":
        operation["security"] = [{}, {"token": []}, {"session": []}]
    else:
        operation["security"] = [{"token": []}, {"session": []}]
        operation["description"] = f"For: {route.who}"
    if parameters := _parameters(route):
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _named(route.body)}},
        }
    return operation


def tag(route: Route) -> str:
    """The part of the interface that a route belongs to."""
    parts = route.path.strip("/").split("/")
    return (
        parts[1] if parts[0] == "api" and len(parts) > 1 else "pages" if "text" in _kind(route) else "service"
    )


def _kind(route: Route) -> str:
    return " ".join(kind for kind in route.answers.values() if isinstance(kind, str))


def _parameters(route: Route) -> list[dict[str, Any]]:
    names = re.findall(r"\{(\w+)\}", route.path)
    path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in names
    ]
    query = [
        {"name": name, "in": "query", "required": False, "schema": dict(schema)}
        for name, schema in route.query.items()
    ]
    return path + query


def _responses(route: Route) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, kind in route.answers.items():
        response: dict[str, Any] = {"description": HTTPStatus(status).phrase}
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if content := {name: media for each in kinds if each is not None for name, media in [_media(each)]}:
            response["content"] = content
        responses[str(status)] = response
    for status in sorted({*_usual(route), *route.problems} - set(route.answers)):
        responses[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
        }
    return responses


def _media(kind: Mapping[str, Any] | str) -> tuple[str, Any]:
    """The content type of an answer that is JSON of a schema, or of another type, and what it holds."""
    if isinstance(kind, str):
        return kind, {"schema": {"type": "string"}}
    return "application/json", {"schema": _named(kind)}


def _usual(route: Route) -> set[int]:
    """What can go wrong with any route of this kind."""
    usual = {401, 503}
    if route.body is not None:
        usual |= {400, 403, 413, 415}
    if route.query:
        usual.add(400)
    if route.who != "anyone" or route.method != "GET":
        usual.add(403)
    return usual


def _named(schema: Mapping[str, Any], but: str = "") -> Any:
    """`schema` with references in place of the components in it."""
    for name, component in _COMPONENTS.items():
        if schema is component and name != but:
            return {"$ref": f"#/components/schemas/{name}"}
    return {key: _inner(value) for key, value in schema.items()}


def _inner(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _named(value)
    if isinstance(value, list):
        return [_inner(item) for item in value]
    return value
