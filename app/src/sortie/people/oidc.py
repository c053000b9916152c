"""Sign-in by an OpenID Connect provider: code flow with PKCE.

What belongs to one attempt (state, nonce, verifier) waits in a signed cookie of the browser that makes it, so any
replica can finish what another one began. The provider's libraries are loaded with the first attempt.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
import secrets
import threading
import time
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, select, update

from ..problems import Problem
from ..settings import Settings
from ..storage.schema import users as users_table
from . import users

PROVIDER = "oidc"
ATTEMPT_SECONDS = 600
_TIMEOUT = 10
_REMEMBER_SECONDS = 3600
# How old keys must be before a token that they do not fit makes us ask for new ones.
_KEYS_SECONDS = 10
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
_log = logging.getLogger("sortie.oidc")


def _failed(message: str) -> Problem:
    return Problem(502, "identity_provider", f"signing in with the identity provider failed: {message}")


class Provider:
    """The provider that the settings name."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._known: tuple[float, dict[str, Any], dict[str, Any]] = (0.0, {}, {})
        self._waiting = threading.BoundedSemaphore(max(1, settings.threads // 2))

    @contextlib.contextmanager
    def _conversation(self) -> Iterator[None]:
        """Keeps half of the threads for everything else, however long the provider takes."""
        if not self._waiting.acquire(blocking=False):
            message = "too many sign-ins wait for the identity provider at this moment; try again"
            raise Problem(503, "unavailable", message, headers=(("Retry-After", "2"),))
        try:
            yield
        finally:
            self._waiting.release()

    def begin(self) -> tuple[str, dict[str, str]]:
        """Where to send the browser, and what has to come back with it."""
        attempt = {
            "state": secrets.token_urlsafe(24),
            "nonce": secrets.token_urlsafe(24),
            "verifier": secrets.token_urlsafe(48),
        }
        with self._conversation():
            metadata, _ = self._metadata()
        address, _ = self._client().create_authorization_url(
            metadata["authorization_endpoint"],
            state=attempt["state"],
            nonce=attempt["nonce"],
            code_verifier=attempt["verifier"],
        )
        return str(address), attempt

    def finish(self, attempt: dict[str, str], code: str) -> dict[str, Any]:
        """The checked claims of the user that `code` stands for."""
        with self._conversation():
            return self._finish(attempt, code)

    def _finish(self, attempt: dict[str, str], code: str) -> dict[str, Any]:
        from authlib.common.errors import AuthlibBaseError  # type: ignore[import-untyped] # noqa: PLC0415 - it ships no types
        from joserfc.errors import JoseError  # noqa: PLC0415
        from requests import RequestException  # noqa: PLC0415

        metadata, keys = self._metadata()
        try:
            token = self._client().fetch_token(
                metadata["token_endpoint"],
                grant_type="authorization_code",
                code=code,
                code_verifier=attempt["verifier"],
                timeout=_TIMEOUT,
            )
            signed = str(token["id_token"])
            try:
                return self._claims(signed, keys, attempt["nonce"], metadata["issuer"])
            except JoseError:
                # Perhaps signed with a key that is newer than what is remembered.
                _, keys = self._metadata(_KEYS_SECONDS)
                return self._claims(signed, keys, attempt["nonce"], metadata["issuer"])
        except (AuthlibBaseError, JoseError, RequestException, KeyError, ValueError) as error:
            _log.warning("the identity provider's answer was not accepted: %s", error)
            raise _failed("its answer was not accepted; the log says why") from error

    def _claims(self, token: str, keys: dict[str, Any], nonce: str, issuer: str) -> dict[str, Any]:
        from joserfc import jwt  # noqa: PLC0415
        from joserfc.jwk import KeySet  # noqa: PLC0415

        decoded = jwt.decode(token, KeySet.import_key_set(keys), algorithms=_ALGORITHMS)  # type: ignore[arg-type]
        registry = jwt.JWTClaimsRegistry(
            leeway=60,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": self._settings.oidc_client_id},
            sub={"essential": True},
            exp={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        registry.validate(decoded.claims)
        return dict(decoded.claims)

    def _client(self) -> Any:
        from authlib.integrations.requests_client import OAuth2Session  # type: ignore[import-untyped] # noqa: PLC0415 - likewise

        return OAuth2Session(
            self._settings.oidc_client_id,
            self._settings.oidc_client_secret or None,
            scope=self._settings.oidc_scopes,
            redirect_uri=self._settings.oidc_redirect_url,
            code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_basic" if self._settings.oidc_client_secret else "none",
        )

    def _metadata(self, oldest: float = _REMEMBER_SECONDS) -> tuple[dict[str, Any], dict[str, Any]]:
        """The provider's description and keys, asked for again when they are older than `oldest` seconds."""
        with self._lock:
            asked, metadata, keys = self._known
            if not metadata or time.monotonic() - asked > oldest:
                metadata = self._get(
                    f"{self._settings.oidc_issuer.rstrip('/')}/.well-known/openid-configuration"
                )
                if metadata.get("issuer") != self._settings.oidc_issuer:
                    raise _failed(
                        f"it calls itself {metadata.get('issuer')!r}, and SORTIE_OIDC_ISSUER says otherwise"
                    )
                keys = self._get(str(metadata.get("jwks_uri")))
                self._known = (time.monotonic(), metadata, keys)
            return metadata, keys

    @staticmethod
    def _get(address: str) -> dict[str, Any]:
        import requests  # noqa: PLC0415

        try:
            answer = requests.get(address, timeout=_TIMEOUT)
            answer.raise_for_status()
            value = answer.json()
        except (requests.RequestException, ValueError) as error:
            _log.warning("the identity provider does not answer: %s", error)
            raise _failed("it does not answer") from error
        if not isinstance(value, dict):
            raise _failed("it does not answer as OpenID Connect asks")
        return value


def user_of(connection: Connection, claims: dict[str, Any]) -> tuple[users.Row, bool]:
    """The user with the provider's subject, made at the first time; and whether it was made now.

    A user is found by issuer and subject alone: a name or an e-mail address at the provider gives nobody the
    account of somebody who has them here, nor does another provider's user with the same subject.
    """
    subject = _subject(claims)
    found = _find(connection, subject)
    if found is None and (found := _find(connection, str(claims["sub"]))):
        # Kept by an earlier version or another implementation, which did not note whose subject it is.
        connection.execute(
            update(users_table).where(users_table.c.id == found["id"]).values(auth_provider_id=subject)
        )
    if found is not None:
        return found, False
    given = {
        "username": _free_name(connection, claims),
        "email": str(claims.get("email", ""))[:320],
        "display_name": str(claims.get("name", ""))[:200],
    }
    return users.add(connection, given, "", auth_provider=PROVIDER, auth_provider_id=subject), True


def _subject(claims: dict[str, Any]) -> str:
    """What names a user of any provider; as long as its column allows, however long the parts are."""
    return "sha256:" + hashlib.sha256(f"{claims['iss']}\n{claims['sub']}".encode()).hexdigest()


def _find(connection: Connection, subject: str) -> users.Row | None:
    query = select(users_table).where(
        users_table.c.auth_provider == PROVIDER, users_table.c.auth_provider_id == subject
    )
    found = connection.execute(query).first()
    return None if found is None else dict(found._mapping)


def _free_name(connection: Connection, claims: dict[str, Any]) -> str:
    wanted = str(claims.get("preferred_username") or claims.get("email") or claims["sub"])
    name = re.sub(r"[^A-Za-z0-9._@+-]+", "-", wanted).lstrip("._@+-")[:90] or "user"
    if users.find_by_name(connection, name) is None:
        return name
    return f"{name}-{secrets.token_hex(3)}"
