# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Speaks to a tenant's application through its ingress.

The ingress may be reached at another address than its name has (a cluster on this machine, a tenant whose DNS
entry does not exist yet), while name indication, certificate check and Host header are the real ones.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import secrets
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TOKEN_SECONDS = 120


class HttpError(Exception):
    """No usable answer. `status` is HTTP's, 0 without an answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Endpoint:
    """Where a tenant is served."""

    host: str
    port: int = 443
    address: str = ""
    tls: bool = True
    ca_file: str = ""

    @property
    def url(self) -> str:
        usual = 443 if self.tls else 80
        return f"http{'s' if self.tls else ''}://{self.host}" + (
            "" if self.port == usual else f":{self.port}"
        )


class _Connection(http.client.HTTPConnection):
    """A connection to an endpoint's address under the endpoint's name."""

    def __init__(self, endpoint: Endpoint, timeout: float) -> None:
        super().__init__(endpoint.host, endpoint.port, timeout=timeout)
        self._endpoint = endpoint

    def connect(self) -> None:
        endpoint = self._endpoint
        connection = socket.create_connection(
            (endpoint.address or endpoint.host, endpoint.port), self.timeout
        )
        # Head and body are sent apart; without this the second waits for the first to be acknowledged, 40 ms.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if endpoint.tls:
            context = ssl.create_default_context(cafile=endpoint.ca_file or None)
            connection = context.wrap_socket(connection, server_hostname=endpoint.host)
        self.sock = connection


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    # By their names in lower case.
    headers: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise HttpError(
                f"it answered something that is not JSON: {self.body[:80]!r}", self.status
            ) from error


class Client:
    """A tenant's HTTP interface, over one connection."""

    def __init__(self, endpoint: Endpoint, timeout: float = 10) -> None:
        self.endpoint = endpoint
        self._connection = _Connection(endpoint, timeout)

    def request(self, method: str, path: str, body: Any = None, token: str | None = None) -> Answer:
        headers = {"Accept": "application/json", "User-Agent": "sortie.platform"}
        # The port of a forwarded or published address is not part of the name that the ingress routes by.
        headers["Host"] = self.endpoint.host
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        content = None if body is None else json.dumps(body).encode()
        try:
            self._connection.request(method, path, content, headers)
            response = self._connection.getresponse()
            told = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, response.read(), told)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise HttpError(f"{self.endpoint.url} does not answer: {_words(error)}") from error

    def get(self, path: str, token: str | None = None) -> Answer:
        return self._good(self.request("GET", path, token=token), "GET", path)

    def post(self, path: str, body: Any, token: str) -> Answer:
        return self._good(self.request("POST", path, body, token), "POST", path)

    def close(self) -> None:
        self._connection.close()

    @staticmethod
    def _good(answer: Answer, method: str, path: str) -> Answer:
        if 200 <= answer.status < 300:
            return answer
        raise HttpError(f"{method} {path} answered {answer.status}{_reason(answer)}", answer.status)


def _reason(answer: Answer) -> str:
    """The application's own words, from its error object."""
    try:
        error = json.loads(answer.body)["error"]
        return f": {error['message']}" + (f" (field {error['field']})" if error.get("field") else "")
    except (ValueError, KeyError, TypeError):
        return ""


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    return str(error) or type(error).__name__


def _part(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def service_token(signing_key: str, now: float | None = None) -> str:
    """A short-lived token of the platform itself: no user, no password, accepted for five minutes at most."""
    issued = int(time.time() if now is None else now)
    claims = {
        "iss": "sortie",
        "sub": "platform",
        "typ": "service",
        "roles": ["admin"],
        "iat": issued,
        "exp": issued + TOKEN_SECONDS,
        "jti": secrets.token_hex(16),
    }
    signed = ".".join(
        _part(json.dumps(part, separators=(",", ":")).encode())
        for part in ({"alg": "HS256", "typ": "JWT"}, claims)
    )
    return f"{signed}.{_part(hmac.new(signing_key.encode(), signed.encode(), hashlib.sha256).digest())}"
