"""Signed tokens (JWT, HS256). Each says what it is for, and is good for nothing else.

access   the Authorization header of a signed-in user; names the session, and ends with it
session  the page's cookie, likewise
sealed   values that a browser keeps for a few minutes
service  the platform itself, which shares the key: an administrator for five minutes at most
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from . import jws
from .jws import BadToken

__all__ = ["ACCESS", "SERVICE", "SESSION", "BadToken", "Claims", "Tokens"]

ISSUER = "sortie"
ACCESS, SESSION, SERVICE, SEALED = "access", "session", "service", "sealed"
SERVICE_SECONDS = 300
_CLOCK_LEEWAY = 30
_REMEMBERED = 4096


@dataclass(frozen=True)
class Claims:
    """What a good token says. `session` is empty in a service token."""

    kind: str
    subject: str
    session: str
    expires: float


class Tokens:
    """Makes tokens with `key`, and reads those that were made with it.

    With the `previous` key, if there is one, users stay signed in: their tokens name a session that the database knows. Nothing
    else that it signed is accepted, since who changes a key may do so because somebody else has it.
    """

    def __init__(self, key: str, previous: str = "") -> None:
        self._key = key
        self._previous = previous
        # Checking a signature takes longer than most answers, so good tokens are remembered until they end.
        self._good: OrderedDict[str, Claims] = OrderedDict()

    def make(self, kind: str, user_id: str, session_id: str, seconds: float) -> str:
        return self._signed({"sub": user_id, "typ": kind, "sid": session_id}, seconds)

    def seal(self, values: dict[str, str], seconds: float) -> str:
        """`values` in a token that only this server makes; not secret to who holds it."""
        return self._signed({"typ": SEALED, "values": values}, seconds)

    def unseal(self, token: str) -> dict[str, str]:
        """What `seal` was given; BadToken says why not."""
        said = jws.verify(token, self._key, ISSUER)
        if said.get("typ") != SEALED:
            raise BadToken("it is of another kind")
        values: dict[str, str] = said["values"]
        return values

    def _signed(self, claims: dict[str, Any], seconds: float) -> str:
        issued = int(time.time())
        return jws.sign({"iss": ISSUER, "iat": issued, "exp": issued + int(seconds)} | claims, self._key)

    def sign(self, text: str) -> str:
        """A signature of `text` that only this key makes."""
        return _signature(text, self._key)

    def signed(self, text: str, signature: str) -> bool:
        """Whether `signature` is one of `text`."""
        keys = (self._key, self._previous) if self._previous else (self._key,)
        return any(hmac.compare_digest(signature.encode(), _signature(text, key).encode()) for key in keys)

    def read(self, token: str) -> Claims:
        """The claims of a good token; BadToken says why it is not."""
        claims = self._good.get(token)
        if claims is None:
            claims = self._check(token)
            self._good[token] = claims
            while len(self._good) > _REMEMBERED:
                self._good.popitem(last=False)
        if claims.expires <= time.time():
            raise BadToken("the token has expired")
        return claims

    def _check(self, token: str) -> Claims:
        try:
            said, is_current = jws.verify(token, self._key, ISSUER, _CLOCK_LEEWAY), True
        except BadToken:
            if not self._previous:
                raise
            said, is_current = jws.verify(token, self._previous, ISSUER, _CLOCK_LEEWAY), False
        if not isinstance(said.get("sub"), str):
            raise BadToken("the token does not say whose it is")
        kind = said.get("typ")
        if kind == SERVICE and is_current:
            return self._service(said)
        if kind not in (ACCESS, SESSION) or not isinstance(said.get("sid"), str):
            raise BadToken("the token is of an unknown kind")
        return Claims(kind, said["sub"], said["sid"], float(said["exp"]))

    @staticmethod
    def _service(said: dict[str, Any]) -> Claims:
        if said["exp"] - said["iat"] > SERVICE_SECONDS:
            raise BadToken(f"a service token may live {SERVICE_SECONDS} seconds at most")
        if said.get("roles") != ["admin"]:
            raise BadToken("a service token has the roles [admin]")
        return Claims(SERVICE, said["sub"], "", float(said["exp"]) + _CLOCK_LEEWAY)


def _signature(text: str, key: str) -> str:
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()[:32]
