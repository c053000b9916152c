"""/api/preferences: what a user's pages remember."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, update

from ..catalogue.objects import defaults
from ..people import users
from ..storage.schema import users as users_table
from .answers import Answer, json_answer
from .auth import require_user
from .call import Call
from .route import SIGNED_IN, Route

_IDS = {"type": "array", "items": {"type": "string", "maxLength": 128}, "maxItems": 1000, "default": []}
PREFERENCES: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "theme": {"type": "string", "enum": ["system", "light", "dark"], "default": "system"},
        "favourites": _IDS,
        "recents": _IDS,
    },
}
PREFERENCE_DEFAULTS = defaults(PREFERENCES)


def preferences(call: Call) -> Answer:
    caller = require_user(call)
    with call.database.read() as connection:
        return json_answer(PREFERENCE_DEFAULTS | users.find(connection, caller.user_id)["preferences"])


def set_preferences(call: Call) -> Answer:
    """Change what is given."""
    given = call.body(PREFERENCES)
    caller = require_user(call)

    def job(connection: Connection) -> dict[str, Any]:
        values: dict[str, Any] = users.find(connection, caller.user_id)["preferences"] | given
        connection.execute(
            update(users_table).where(users_table.c.id == caller.user_id).values(preferences=values)
        )
        return values

    return json_answer(PREFERENCE_DEFAULTS | call.database.write(job))


ROUTES = (
    Route(
        "GET", "/api/preferences", preferences, SIGNED_IN, "The caller's", {200: PREFERENCES}, problems=(404,)
    ),
    Route(
        "PATCH",
        "/api/preferences",
        set_preferences,
        SIGNED_IN,
        "Change some of the caller's preferences",
        {200: PREFERENCES},
        PREFERENCES,
        problems=(404,),
    ),
)
