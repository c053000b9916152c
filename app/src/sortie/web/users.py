"""/api/users."""

from __future__ import annotations

from sqlalchemy import Connection

from .. import quotas
from ..people import audit, passwords, users
from ..problems import invalid
from .answers import Answer, json_answer, no_content
from .call import Call
from .route import ADMIN, Route


def list_users(call: Call) -> Answer:
    with call.database.read() as connection:
        return json_answer([users.answer(row) for row in users.all_users(connection)])


def get_user(call: Call, user_id: str) -> Answer:
    with call.database.read() as connection:
        return json_answer(users.answer(users.find(connection, user_id)))


def create_user(call: Call) -> Answer:
    given = call.body(users.USER_OBJECT)
    if "password" not in given:
        raise invalid("password is missing", "password")
    password_hash = passwords.hashed(given["password"])
    name = call.require_caller().username

    def job(connection: Connection) -> users.Row:
        row = users.add(connection, given, password_hash)
        quotas.require_users(connection, call.site.settings)
        audit.record(connection, name, "CREATE_USER", f"Created user: {row['username']}")
        return row

    row = call.database.write(job)
    return json_answer(users.answer(row), 201, (("Location", f"/api/users/{row['id']}"),))


def update_user(call: Call, user_id: str) -> Answer:
    """Change what is given; a new password ends the user's sessions."""
    given = call.body({**users.USER_OBJECT, "required": []})
    password_hash = passwords.hashed(given["password"]) if "password" in given else ""
    caller = call.require_caller()

    def job(connection: Connection) -> users.Row:
        row = users.change(connection, user_id, given)
        if password_hash:
            users.set_password(connection, user_id, password_hash, keep_session=caller.session)
        audit.record(connection, caller.username, "UPDATE_USER", f"Updated user: {row['username']}")
        return row

    return json_answer(users.answer(call.database.write(job)))


def delete_user(call: Call, user_id: str) -> Answer:
    name = call.require_caller().username

    def job(connection: Connection) -> None:
        row = users.remove(connection, user_id)
        audit.record(connection, name, "DELETE_USER", f"Deleted user: {row['username']}")

    call.database.write(job)
    return no_content()


_USER = users.USER_OBJECT
_CHANGES = {**_USER, "required": []}
ROUTES = (
    Route("GET", "/api/users", list_users, ADMIN, "The users", {200: {"type": "array", "items": _USER}}),
    Route("POST", "/api/users", create_user, ADMIN, "Add a user", {201: _USER}, _USER, problems=(409,)),
    Route("GET", "/api/users/{user_id}", get_user, ADMIN, "One user", {200: _USER}, problems=(404,)),
    *(
        Route(
            method,
            "/api/users/{user_id}",
            update_user,
            ADMIN,
            "Change a user; what is left out stays",
            {200: _USER},
            _CHANGES,
            problems=(404, 409),
        )
        for method in ("PUT", "PATCH")
    ),
    Route(
        "DELETE",
        "/api/users/{user_id}",
        delete_user,
        ADMIN,
        "Remove a user",
        {204: None},
        problems=(404, 409),
    ),
)
