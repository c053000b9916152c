"""Checks values against JSON Schemas, the part of that language which ours use.

The same schemas are in the OpenAPI document, so what it says is what is enforced.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from .parsers import is_image_address, is_web_address
from .problems import invalid

Schema = Mapping[str, Any]
_DEEPEST = 32
_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}
_WORDS = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
}
_UNWANTED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
FORMATS: dict[str, tuple[Callable[[str], bool], str]] = {
    "web-address": (lambda value: not value or is_web_address(value), "an http:// or https:// address"),
    "image-address": (
        lambda value: not value or is_image_address(value),
        "an http:// or https:// address, data:image/..., or a path of this site",
    ),
}


def parse_json(body: bytes) -> Any:
    """The value of a body; a Problem 400 if it is not JSON."""
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except RecursionError as error:
        raise invalid("the body is nested too deeply") from error
    except ValueError as error:
        raise invalid(f"the body is not JSON in UTF-8: {error}") from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no value of JSON")


def check(value: Any, schema: Schema, field: str = "") -> Any:
    """`value` without its read-only parts; a Problem 400 that names the first field that is wrong."""
    if "anyOf" in schema:
        return _any_of(value, schema, field)
    kind = schema.get("type")
    if kind is None:
        _free(value, field)
        return value
    if not isinstance(value, _KINDS[kind]) or (kind in ("integer", "number") and isinstance(value, bool)):
        raise invalid(f"{field or 'the body'} must be {_WORDS[kind]}, not {_shown(value)}", field)
    checks: dict[str, Callable[[Any, Schema, str], Any]] = {
        "string": _string,
        "integer": _number,
        "number": _number,
        "array": _array,
        "object": _object,
    }
    return checks[kind](value, schema, field) if kind in checks else value


def _any_of(value: Any, schema: Schema, field: str) -> Any:
    for alternative in schema["anyOf"]:
        if isinstance(value, _KINDS[alternative["type"]]):
            return check(value, alternative, field)
    words = " or ".join(_WORDS[alternative["type"]] for alternative in schema["anyOf"])
    raise invalid(f"{field or 'the body'} must be {words}, not {_shown(value)}", field)


def _string(value: str, schema: Schema, field: str) -> str:
    if unwanted := _UNWANTED.search(value):
        raise invalid(f"{field} has the character U+{ord(unwanted[0]):04X}, which cannot be stored", field)
    if "enum" in schema and value not in schema["enum"]:
        raise invalid(f"{field} must be {' or '.join(schema['enum'])}, not {_shown(value)}", field)
    if len(value) > schema.get("maxLength", 1 << 20):
        raise invalid(f"{field} has {len(value)} characters; {schema['maxLength']} are allowed", field)
    if len(value.strip()) < schema.get("minLength", 0):
        least = schema["minLength"]
        raise invalid(
            f"{field} must {'not be empty' if least == 1 else f'have at least {least} characters'}", field
        )
    if "format" in schema and schema["format"] in FORMATS:
        good, expected = FORMATS[schema["format"]]
        if not good(value):
            raise invalid(f"{field} is {_shown(value)}, but must be {expected}", field)
    if "pattern" in schema and not re.fullmatch(schema["pattern"], value):
        raise invalid(f"{field} is {_shown(value)}, but must match {schema['pattern']}", field)
    return value


def _number(value: float, schema: Schema, field: str) -> float:
    if not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        raise invalid(
            f"{field} must be from {schema.get('minimum')} to {schema.get('maximum')}, not {value}", field
        )
    return value


def _array(value: list[Any], schema: Schema, field: str) -> list[Any]:
    if len(value) > schema.get("maxItems", len(value)):
        raise invalid(
            f"{field or 'the list'} has {len(value)} entries; {schema['maxItems']} are allowed", field
        )
    return [check(item, schema.get("items", {}), f"{field}[{index}]") for index, item in enumerate(value)]


def _object(value: dict[str, Any], schema: Schema, field: str) -> dict[str, Any]:
    if "properties" not in schema:
        _free(value, field)
        return value
    properties = schema["properties"]
    prefix = f"{field}." if field else ""
    if unknown := [name for name in value if name not in properties]:
        names = ", ".join(prefix + name for name in unknown[:10])
        known = ", ".join(properties)
        raise invalid(
            f"unknown field{'s' if len(unknown) > 1 else ''} {names}; known are {known}", prefix + unknown[0]
        )
    for name in schema.get("required", ()):
        if name not in value:
            raise invalid(f"{prefix}{name} is missing", prefix + name)
    return {
        name: check(item, properties[name], prefix + name)
        for name, item in value.items()
        if not properties[name].get("readOnly")
    }


def _free(value: Any, field: str, depth: int = 0) -> None:
    """Any JSON, as long as every database can store it."""
    if depth > _DEEPEST:
        raise invalid(f"{field} is nested too deeply", field)
    if isinstance(value, str):
        _string(value, {}, field)
    elif isinstance(value, float) and not math.isfinite(value):
        # 1e999 reads as infinity, which no answer can have: JSON has no word for it.
        raise invalid(f"{field} has a number that is too large", field)
    elif isinstance(value, dict):
        for name, item in value.items():
            _string(name, {}, field)
            _free(item, field, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _free(item, field, depth + 1)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= 80 else text[:77] + "..."
