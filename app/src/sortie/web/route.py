"""What a route is: one row that dispatches requests and is in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..validation import Schema
from .answers import Answer
from .call import Call, forbidden

# What an answer holds: JSON of a schema, another content type, nothing.
Kind = Schema | str | None
ANYONE, SIGNED_IN, AUTHOR, ADMIN = "anyone", "signed in", "app-author", "admin"


@dataclass(frozen=True)
class Route:
    """`path` has its parameters as `{name}`; `answers` are the good ones, by status.

    `who` may call it; `query` are its parameters with their schemas.
    """

    method: str
    path: str
    handler: Callable[..., Answer]
    who: str
    summary: str
    answers: Mapping[int, Kind | tuple[Kind, ...]] = field(default_factory=dict)
    body: Schema | None = None
    query: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[int, ...] = ()
    # Not in the access log unless everything is: there are many, and each says little.
    quiet: bool = False

    def answer(self, call: Call, parameters: Mapping[str, str]) -> Answer:
        if self.who != ANYONE:
            self._require(call)
        return self.handler(call, **parameters)

    def _require(self, call: Call) -> None:
        caller = call.require_caller()
        if self.who == ADMIN and not caller.is_admin:
            raise forbidden("only administrators may do this")
        if self.who == AUTHOR and not caller.is_author:
            raise forbidden("only administrators and app-authors may do this")
