"""Tokens of the platform, made by another library than the application's own."""

from __future__ import annotations

import time
from typing import Any

from joserfc import jwt
from joserfc.jwk import OctKey

from .server import KEY


def service_token(key: str = KEY, **changes: Any) -> str:
    issued = int(time.time())
    claims: dict[str, Any] = {
        "iss": "sortie",
        "sub": "platform",
        "typ": "service",
        "roles": ["admin"],
        "iat": issued,
        "exp": issued + 300,
    }
    return jwt.encode({"alg": "HS256", "typ": "JWT"}, claims | changes, OctKey.import_key(key))
