"""Answers, before the headers that every one has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from ..catalogue.published import Prepared, json_bytes
from ..problems import Problem

JSON = "application/json"
_GZIP_SUFFIX = '-gz"'
STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


@dataclass
class Answer:
    """A status, a body, and headers beside Content-Length."""

    status: int
    body: bytes
    headers: list[tuple[str, str]]


def json_answer(value: Any, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """JSON that belongs to this caller at this moment."""
    return Answer(
        status, json_bytes(value), [("Content-Type", JSON), ("Cache-Control", "no-store"), *headers]
    )


def no_content() -> Answer:
    return Answer(204, b"", [])


def problem_answer(problem: Problem) -> Answer:
    return json_answer(problem.body(), problem.status, problem.headers)


def prepared_answer(
    prepared: Prepared, environ: Mapping[str, Any], cache_control: str = "private, no-cache"
) -> Answer:
    """A prepared body, compressed if the caller takes that; 304 if the caller has it already."""
    gzipped = prepared.gzipped if "gzip" in environ.get("HTTP_ACCEPT_ENCODING", "") else None
    etag = prepared.etag if gzipped is None else prepared.etag[:-1] + _GZIP_SUFFIX
    headers = [
        ("Content-Type", prepared.content_type),
        ("Cache-Control", cache_control),
        ("Vary", "Accept-Encoding, Authorization, Cookie"),
        ("ETag", etag),
    ]
    if _has(environ.get("HTTP_IF_NONE_MATCH"), etag):
        return Answer(304, b"", headers[1:])
    if gzipped is None:
        return Answer(200, prepared.body, headers)
    return Answer(200, gzipped, [*headers, ("Content-Encoding", "gzip")])


def _has(condition: str | None, etag: str) -> bool:
    if not condition:
        return False
    return condition == "*" or etag in [tag.strip().removeprefix("W/") for tag in condition.split(",")]
