"""/api/auth/oidc: sign in by an identity provider."""

from __future__ import annotations

import hmac
from typing import Any

from sqlalchemy import Connection

from .. import quotas
from ..people import audit, users
from ..people.oidc import ATTEMPT_SECONDS, user_of
from ..people.tokens import BadToken
from ..problems import Problem, not_found
from .answers import Answer
from .auth import sign_in
from .call import Call
from .route import ANYONE, Route

_COOKIE = "sortie_oidc"
_PATH = "/api/auth/oidc"


def begin(call: Call) -> Answer:
    """Send the browser to the provider."""
    provider = _provider(call)
    address, attempt = provider.begin()
    value = call.site.tokens.seal(attempt, ATTEMPT_SECONDS)
    return _redirect(address, _cookie(call, value, ATTEMPT_SECONDS))


def finish(call: Call) -> Answer:
    """Take the browser back from the provider, signed in."""
    provider = _provider(call)
    query = call.query
    try:
        attempt = call.site.tokens.unseal(call.cookies.get(_COOKIE, ""))
    except BadToken as error:
        raise Problem(
            400, "attempt_unknown", f"this sign-in was not begun here, or too long ago ({error})"
        ) from error
    if not hmac.compare_digest(query.get("state", "").encode(), str(attempt["state"]).encode()):
        raise Problem(400, "attempt_unknown", "the identity provider answered another sign-in than this one")
    if "code" not in query:
        raise Problem(
            403, "forbidden", f"the identity provider refused: {query.get('error', 'no code')[:100]}"
        )
    claims = provider.finish(attempt, query["code"])

    def job(connection: Connection) -> users.Row:
        user, made = user_of(connection, claims)
        if made:
            quotas.require_users(connection, call.site.settings)
            audit.record(connection, user["username"], "REGISTER", "First sign-in by the identity provider")
        return user

    answer = sign_in(call, call.database.write(job))
    cookies = [header for header in answer.headers if header[0] == "Set-Cookie"]
    return _redirect("/", _cookie(call, "", 0), *cookies)


def _provider(call: Call) -> Any:
    if call.site.provider is None:
        raise not_found("identity provider", "SORTIE_OIDC_ISSUER")
    return call.site.provider


def _redirect(address: str, *headers: tuple[str, str]) -> Answer:
    return Answer(303, b"", [("Location", address), ("Cache-Control", "no-store"), *headers])


def _cookie(call: Call, value: str, seconds: int) -> tuple[str, str]:
    secure = "; Secure" if call.is_encrypted else ""
    return "Set-Cookie", f"{_COOKIE}={value}; Path={_PATH}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"


_TEXT = {"type": "string"}
ROUTES = (
    Route(
        "GET",
        f"{_PATH}/login",
        begin,
        ANYONE,
        "Sign in by the identity provider",
        {303: None},
        problems=(404, 502),
    ),
    Route(
        "GET",
        f"{_PATH}/callback",
        finish,
        ANYONE,
        "Where the identity provider sends browsers back to",
        {303: None},
        query={"code": _TEXT, "state": _TEXT, "error": _TEXT},
        problems=(403, 404, 409, 502),
    ),
)
