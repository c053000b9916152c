"""Tokens signed with HMAC-SHA256: the compact JWS of RFC 7515 and the JWT of RFC 7519, with this algorithm alone.

A library for all of JOSE loads 9 MiB that nothing else here needs. What a token says about its own signature is not
believed: any header but ours is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from typing import Any

_HEADER = {"alg": "HS256", "typ": "JWT"}
_LONGEST = 4096


class BadToken(Exception):  # noqa: N818 - a caller's mistake
    """Says why a token is not accepted."""


def sign(claims: dict[str, Any], key: str) -> str:
    """A token that says `claims`."""
    signed = f"{_encoded(_HEADER)}.{_encoded(claims)}"
    return f"{signed}.{_base64(_signature(signed, key))}"


def verify(token: str, key: str, issuer: str, leeway: float = 0.0) -> dict[str, Any]:
    """The claims of a token of `issuer` that this key signed and that has not ended `leeway` seconds ago."""
    if len(token) > _LONGEST or not token.isascii():
        raise BadToken("the token is not one of this server")
    signed, _, signature = token.rpartition(".")
    header, _, body = signed.partition(".")
    if not hmac.compare_digest(_base64(_signature(signed, key)), signature):
        raise BadToken("the token is not one of this server")
    said, claims = _decoded(header), _decoded(body)
    if said != _HEADER or claims.get("iss") != issuer:
        raise BadToken("the token is not one of this server")
    if not (_is_moment(claims.get("exp")) and _is_moment(claims.get("iat"))):
        raise BadToken("the token does not say when it was made and when it ends")
    if claims["exp"] + leeway <= time.time():
        raise BadToken("the token has expired")
    if claims["iat"] - leeway > time.time():
        raise BadToken("the token is from the future; the clocks differ")
    return claims


def _is_moment(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _signature(text: str, key: str) -> bytes:
    return hmac.digest(key.encode(), text.encode(), hashlib.sha256)


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _encoded(value: dict[str, Any]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _decoded(part: str) -> dict[str, Any]:
    try:
        value = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise BadToken("the token is not one of this server") from error
    if not isinstance(value, dict):
        raise BadToken("the token is not one of this server")
    return value
