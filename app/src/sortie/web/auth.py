"""/api/auth: sign in, stay signed in, sign out."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, update

from .. import quotas
from ..catalogue import rows
from ..people import audit, passwords, sessions, users
from ..people.sessions import Caller
from ..people.tokens import ACCESS, SESSION
from ..problems import Problem, conflict, invalid, not_found
from ..storage.schema import now
from ..storage.schema import users as users_table
from .answers import Answer, json_answer, no_content
from .call import CSRF_COOKIE, SESSION_COOKIE, Call, csrf_token, forbidden, unauthorized
from .route import ANYONE, SIGNED_IN, Route

CREDENTIALS = {
    "type": "object",
    "required": ["username", "password"],
    "additionalProperties": False,
    "properties": {
        "username": {"type": "string", "maxLength": 200},
        "password": {"type": "string", "maxLength": passwords.MOST_CHARACTERS},
    },
}
REGISTRATION = {
    "type": "object",
    "required": ["username", "password"],
    "additionalProperties": False,
    "properties": {
        name: users.USER_OBJECT["properties"][name]
        for name in ("username", "password", "email", "display_name")
    },
}
REFRESH = {
    "type": "object",
    "required": ["refresh_token"],
    "additionalProperties": False,
    "properties": {"refresh_token": {"type": "string", "maxLength": 200}},
}
NEW_PASSWORD = {
    "type": "object",
    "required": ["current_password", "new_password"],
    "additionalProperties": False,
    "properties": {
        "current_password": {"type": "string", "maxLength": passwords.MOST_CHARACTERS},
        "new_password": users.PASSWORD,
    },
}
ME = {
    "type": "object",
    "required": ["id", "username", "name", "roles"],
    "properties": {
        "id": {"type": "string"},
        "username": {"type": "string"},
        "name": {"type": "string"},
        "email": {"type": "string"},
        "roles": {"type": "array", "items": {"type": "string"}},
        "auth_provider": {"type": "string", "description": "`local` for those who sign in by a password"},
    },
}
SIGNED = {
    "type": "object",
    "required": ["access_token", "refresh_token", "token_type", "expires_in", "user"],
    "properties": {
        "access_token": {"type": "string"},
        "refresh_token": {"type": "string"},
        "token_type": {"type": "string"},
        "expires_in": {"type": "integer"},
        "user": ME,
    },
}


_SCHEME = "Bearer"


def login(call: Call) -> Answer:
    given = call.body(CREDENTIALS)
    name = given["username"]
    limits = ((call.site.logins, (call.origin, name)), (call.site.addresses, call.origin))
    for limiter, key in limits:
        limiter.require(key)
    with call.database.read() as connection:
        user = users.find_by_name(connection, name)
    stored = user["password_hash"] if user else ""
    if not passwords.matches(stored, given["password"]) or user is None:
        for limiter, key in limits:
            limiter.use(key)
        call.database.write(
            lambda connection: audit.record(connection, name, "LOGIN_FAILED", f"From {call.address}")
        )
        raise unauthorized("the user name or the password is wrong")
    call.site.logins.forgive((call.origin, name))
    better = passwords.hashed(given["password"]) if passwords.is_outdated(stored) else ""
    return sign_in(call, user, better)


def sign_in(call: Call, user: users.Row, better_hash: str = "") -> Answer:
    """Begin a session of `user`; tokens in the body and cookies for the page."""

    def job(connection: Connection) -> tuple[str, str]:
        if better_hash:
            values = {"password_hash": better_hash, "updated_at": now()}
            connection.execute(update(users_table).where(users_table.c.id == user["id"]).values(values))
        audit.record(connection, user["username"], "LOGIN", f"User logged in from {call.address}")
        return sessions.begin(connection, user["id"], call.site.settings.refresh_expiry)

    session, refresh_token = call.database.write(job)
    return _signed(call, user, session, refresh_token)


def refresh(call: Call) -> Answer:
    token = call.body(REFRESH)["refresh_token"]
    seconds = call.site.settings.refresh_expiry
    renewed = call.database.write(lambda connection: sessions.renew(connection, token, seconds))
    if renewed is None:
        raise unauthorized("the refresh token is not good any more; sign in again")
    return _signed(call, *renewed)


def _signed(call: Call, user: users.Row, session: str, refresh_token: str) -> Answer:
    settings = call.site.settings
    body = {
        "access_token": call.site.tokens.make(ACCESS, user["id"], session, settings.access_expiry),
        "refresh_token": refresh_token,
        "token_type": _SCHEME,
        "expires_in": int(settings.access_expiry),
        "user": _me(user),
    }
    seconds = int(settings.refresh_expiry)
    cookie = call.site.tokens.make(SESSION, user["id"], session, seconds)
    return json_answer(
        body,
        headers=(
            _cookie(call, SESSION_COOKIE, cookie, seconds, hidden=True),
            _cookie(call, CSRF_COOKIE, csrf_token(call.site, session), seconds, hidden=False),
        ),
    )


def _cookie(call: Call, name: str, value: str, seconds: int, *, hidden: bool) -> tuple[str, str]:
    """A cookie of this site's pages; a `hidden` one cannot be read by their scripts."""
    parts = [f"{name}={value}", "Path=/", f"Max-Age={seconds}", "SameSite=Lax"]
    parts += (["HttpOnly"] if hidden else []) + (["Secure"] if call.is_encrypted else [])
    return "Set-Cookie", "; ".join(parts)


def register(call: Call) -> Answer:
    """Make the visitor an account, if that is allowed, and sign in."""
    if not call.site.settings.allow_registration:
        raise forbidden("visitors cannot register here; ask an administrator for an account")
    given = call.body(REGISTRATION)
    call.site.addresses.require(call.origin)
    call.site.addresses.use(call.origin)
    password_hash = passwords.hashed(given["password"])

    def job(connection: Connection) -> users.Row:
        _require_free(connection, given["username"])
        row = users.add(connection, given, password_hash)
        quotas.require_users(connection, call.site.settings)
        audit.record(connection, row["username"], "REGISTER", f"User registered from {call.address}")
        return row

    return sign_in(call, call.database.write(job))


def _require_free(connection: Connection, username: str) -> None:
    """Refuse names that are taken or that a category was told to show more; which of both is nobody's business."""
    if users.find_by_name(connection, username) or rows.is_named(connection, username):
        raise conflict(
            f"the user name {username!r} cannot be had; choose another one or ask an administrator",
            "username",
        )


def logout(call: Call) -> Answer:
    caller = call.caller
    if caller is not None and caller.session:
        session, name = caller.session, caller.username

        def job(connection: Connection) -> None:
            sessions.end(connection, session)
            audit.record(connection, name, "LOGOUT", "User logged out")

        call.database.write(job)
    answer = no_content()
    answer.headers.append(_cookie(call, SESSION_COOKIE, "", 0, hidden=True))
    answer.headers.append(_cookie(call, CSRF_COOKIE, "", 0, hidden=False))
    return answer


def me(call: Call) -> Answer:
    caller = call.require_caller()
    if not caller.user_id:
        return json_answer({"id": "", "username": caller.username, "name": "Platform", "roles": ["admin"]})
    with call.database.read() as connection:
        return json_answer(_me(users.find(connection, caller.user_id)))


def _me(user: users.Row) -> dict[str, Any]:
    return {
        "id": user["id"],
        "username": user["username"],
        "name": user["display_name"] or user["username"],
        "email": user["email"],
        "roles": user["roles"],
        "auth_provider": user["auth_provider"],
    }


def change_password(call: Call) -> Answer:
    given = call.body(NEW_PASSWORD)
    caller = require_user(call)
    with call.database.read() as connection:
        user = users.find(connection, caller.user_id)
    if user["auth_provider"] != "local":
        raise invalid("the password of this user is kept by the identity provider")
    # By session, so that who found one open cannot keep its owner from it elsewhere.
    tries = ("password", caller.session)
    call.site.logins.require(tries)
    if not passwords.matches(user["password_hash"], given["current_password"]):
        call.site.logins.use(tries)
        raise Problem(403, "forbidden", "the current password is wrong", "current_password")
    password_hash = passwords.hashed(given["new_password"])

    def job(connection: Connection) -> None:
        users.set_password(connection, caller.user_id, password_hash, keep_session=caller.session)
        audit.record(connection, caller.username, "CHANGE_PASSWORD", "User changed the password")

    call.database.write(job)
    return no_content()


def require_user(call: Call) -> Caller:
    """The caller, who must be a user and not the platform."""
    caller = call.require_caller()
    if not caller.user_id:
        raise not_found("user", caller.username)
    return caller


ROUTES = (
    Route(
        "POST", "/api/auth/login", login, ANYONE, "Sign in", {200: SIGNED}, CREDENTIALS, problems=(401, 429)
    ),
    Route(
        "POST",
        "/api/auth/refresh",
        refresh,
        ANYONE,
        "Get new tokens",
        {200: SIGNED},
        REFRESH,
        problems=(401,),
    ),
    Route(
        "POST",
        "/api/auth/register",
        register,
        ANYONE,
        "Make an account, where that is allowed",
        {200: SIGNED},
        REGISTRATION,
        problems=(403, 409, 429),
    ),
    Route("POST", "/api/auth/logout", logout, ANYONE, "End the session", {204: None}),
    Route("GET", "/api/auth/me", me, SIGNED_IN, "Who the caller is", {200: ME}),
    Route(
        "POST",
        "/api/auth/password",
        change_password,
        SIGNED_IN,
        "Change the own password; the user's other sessions end",
        {204: None},
        NEW_PASSWORD,
        problems=(404, 429),
    ),
)
