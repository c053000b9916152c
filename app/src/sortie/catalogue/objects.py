"""What an application and a category look like outside: schemas, defaults, conversion from and to rows."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from typing import Any

VISIBILITIES = ("public", "approved", "admin_only")
LAUNCH_TYPES = ("url", "container", "web_proxy")
DEFAULT_TENANT = "default"

_ID = {
    "type": "string",
    "pattern": r"^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$",
    "description": "Letters, digits and . _ ~ -; made from the name if it is not given",
}
_TENANT = {"type": "string", "maxLength": 128, "default": DEFAULT_TENANT}
_CREATED = {"type": "string", "format": "date-time", "readOnly": True}

APP: dict[str, Any] = {
    "type": "object",
    "required": ["name"],
    "additionalProperties": False,
    "properties": {
        "id": _ID,
        "name": {"type": "string", "minLength": 1, "maxLength": 200},
        "description": {"type": "string", "maxLength": 4000, "default": ""},
        "url": {
            "type": "string",
            "format": "web-address",
            "pattern": "^(https?://.+)?$",
            "maxLength": 4000,
            "default": "",
            "description": "Where it opens, http:// or https://; needed for launch types url and web_proxy",
        },
        "icon": {
            "type": "string",
            "format": "image-address",
            "maxLength": 100_000,
            "default": "",
            "description": "An http(s) address, data:image/..., or a path of this site",
        },
        "category": {"type": "string", "maxLength": 200, "default": "", "description": "A category's name"},
        "visibility": {"type": "string", "enum": list(VISIBILITIES), "default": "public"},
        "launch_type": {"type": "string", "enum": list(LAUNCH_TYPES), "default": "url"},
        "os_type": {"type": "string", "maxLength": 40, "default": "linux"},
        "container_image": {"type": "string", "maxLength": 1000, "default": ""},
        "container_port": {"type": "integer", "minimum": 0, "maximum": 65535, "default": 0},
        "container_args": {"type": "array", "items": {"type": "string"}, "maxItems": 200, "default": []},
        "resource_limits": {"type": "object", "default": {}},
        "egress_policy": {"anyOf": [{"type": "object"}, {"type": "string"}], "default": ""},
        "tenant_id": _TENANT,
    },
}
CATEGORY: dict[str, Any] = {
    "type": "object",
    "required": ["name"],
    "additionalProperties": False,
    "properties": {
        "id": _ID,
        "name": {"type": "string", "minLength": 1, "maxLength": 200},
        "description": {"type": "string", "maxLength": 4000, "default": ""},
        "approved_users": {
            "type": "array",
            "items": {"type": "string", "minLength": 1, "maxLength": 200},
            "maxItems": 10_000,
            "default": [],
            "description": "Names of users who see its approved applications; shown to administrators",
        },
        "tenant_id": _TENANT,
        "created_at": _CREATED,
        "updated_at": _CREATED,
    },
}
CATALOGUE: dict[str, Any] = {
    "anyOf": [
        {
            "type": "object",
            "required": ["applications"],
            "additionalProperties": False,
            "properties": {
                "applications": {"type": "array", "items": APP, "maxItems": 20_000},
                "categories": {"type": "array", "items": CATEGORY, "maxItems": 20_000},
            },
        },
        {"type": "array", "items": APP, "maxItems": 20_000},
    ]
}

# What an answer leaves out while it says nothing, as the answers of other implementations do.
_SILENT = ("container_image", "container_port", "container_args", "resource_limits", "egress_policy")


def defaults(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {name: part["default"] for name, part in schema["properties"].items() if "default" in part}


APP_DEFAULTS = defaults(APP)
CATEGORY_DEFAULTS = defaults(CATEGORY)


def app_answer(row: Mapping[str, Any], category: str) -> dict[str, Any]:
    """An application as answers have it; `category` is the category's name."""
    return {
        name: category if name == "category" else row[name]
        for name in APP["properties"]
        if name not in _SILENT or row[name]
    }


def category_answer(row: Mapping[str, Any], approved: list[str] | None) -> dict[str, Any]:
    """A category as answers have it; `approved` is None for callers who may not know them."""
    answer = {name: row[name] for name in ("id", "name", "description", "tenant_id")}
    if approved is not None:
        answer["approved_users"] = approved
    return answer | {"created_at": moment(row["created_at"]), "updated_at": moment(row["updated_at"])}


def moment(value: datetime) -> str:
    """RFC 3339 in UTC, to the second as everywhere in this interface."""
    return value.strftime("%Y-%m-%dT%H:%M:%SZ")


def make_id(name: str) -> str:
    """An id that reads like `name`, with something random so that it is free."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60]
    return f"{slug}-{secrets.token_hex(3)}" if slug else secrets.token_hex(6)
