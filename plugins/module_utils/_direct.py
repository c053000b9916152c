# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""The short way to a cluster whose kubeconfig holds all that is needed: certificates or a token, as data.

Loading the official client costs a module half a second, more than most of them take for all the rest. Whatever needs
more than this (programs that sign in, files, passwords, proxies) goes the official way, which `open_direct` says by None.
"""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import getproxies

import urllib3
import yaml

# With the C library where PyYAML was built with it.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Kept open; several threads may ask at once.
CONNECTIONS = 8
_CLUSTER_KEYS = {"server", "certificate-authority-data"}
_USER_KEYS = {"client-certificate-data", "client-key-data", "token"}


@dataclass(frozen=True)
class Answer:
    """HTTP's status, what it means, and the content."""

    status: int
    reason: str
    body: bytes


class Direct:
    """One API server, with connections that are kept open between requests."""

    def __init__(self, server: str, context: ssl.SSLContext, token: str, timeout: urllib3.Timeout) -> None:
        self.server = server
        self._headers = {"User-Agent": "sortie.platform"} | (
            {"Authorization": f"Bearer {token}"} if token else {}
        )
        self._timeout = timeout
        # A cluster that does not answer is told at once; whoever wants to wait, waits around the call.
        self._pool = urllib3.PoolManager(ssl_context=context, retries=1, maxsize=CONNECTIONS)

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: dict[str, Any] | None,
    ) -> Answer:
        """The answer, whatever its status. Raises urllib3's HTTPError where there is none."""
        answer = self._pool.request(
            method,
            self.server + path + (f"?{urlencode(query)}" if query else ""),
            headers={**self._headers, **headers},
            body=None if body is None else json.dumps(body).encode(),
            timeout=self._timeout,
        )
        return Answer(answer.status, answer.reason or "", answer.data)


def open_direct(
    kubeconfig: Path, context: str | None = None, timeout: tuple[float, float] = (5, 30)
) -> Direct | None:
    """The API server of a context (default: the current one); None if the official client has to read the kubeconfig.

    `timeout`, in seconds: to connect, and between two pieces of an answer.
    """
    if {"http", "https", "all"} & getproxies().keys():
        return None
    try:
        content = yaml.load(kubeconfig.read_text(), _Loader)  # noqa: S506 (a safe loader, in C) # nosec B506
        chosen = _named(content, "context", context or content["current-context"])
        cluster = _named(content, "cluster", chosen["cluster"])
        user = _named(content, "user", chosen["user"])
        if not (cluster.keys() <= _CLUSTER_KEYS and user.keys() <= _USER_KEYS):
            return None
        if not cluster["server"].startswith("https://"):
            return None
        server, token = cluster["server"].rstrip("/"), user.get("token", "")
        return Direct(
            server, _tls(cluster, user), token, urllib3.Timeout(connect=timeout[0], read=timeout[1])
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError):
        # Not what a kubeconfig is; the official client has the words for that.
        return None


def _named(content: Mapping[str, Any], kind: str, name: str) -> dict[str, Any]:
    """The entry of a kubeconfig's list of contexts, clusters or users."""
    entries: dict[str, dict[str, Any]] = {entry["name"]: entry[kind] for entry in content[f"{kind}s"]}
    return entries[name]


def _tls(cluster: Mapping[str, str], user: Mapping[str, str]) -> ssl.SSLContext:
    authority = cluster.get("certificate-authority-data")
    context = ssl.create_default_context(cadata=_decoded(authority) if authority else None)
    if "client-certificate-data" in user:
        # Python reads them from a file only; this one is readable for its owner alone, and gone at once.
        with tempfile.NamedTemporaryFile("w", prefix="sortie-") as file:
            file.write(_decoded(user["client-key-data"]) + "\n" + _decoded(user["client-certificate-data"]))
            file.flush()
            context.load_cert_chain(file.name)
    return context


def _decoded(value: str) -> str:
    return base64.b64decode(value).decode()
