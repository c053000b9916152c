"""A tenant's application and its ingress, as much of them as the modules speak to, on the loopback interface."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ansible_collections.sortie.platform.plugins.module_utils._certificates import Authority, issue
from ansible_collections.sortie.platform.plugins.module_utils._http import Endpoint

KEY = "signing-key-of-thirty-two-characters"
BRANDING = {"tenant_name": "Acme", "primary_color": "#112233"}


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def claims_of(token: str) -> dict[str, Any] | None:
    """The claims of a token that was signed with the tenant's key and has not ended."""
    signed, _dot, signature = token.rpartition(".")
    expected = hmac.new(KEY.encode(), signed.encode(), hashlib.sha256).digest()
    if not hmac.compare_digest(expected, _decoded(signature)):
        return None
    claims: dict[str, Any] = json.loads(_decoded(signed.partition(".")[2]))
    return claims if claims["exp"] > time.time() else None


class TenantServer(ThreadingHTTPServer):
    """Keeps a catalogue; `unready` requests are answered as an ingress that does not know the tenant yet does."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.catalogue: dict[str, dict[str, Any]] = {}
        self.branding = dict(BRANDING)
        self.unready = 0
        self.hosts: set[str] = set()
        self.refusal: dict[str, Any] | None = None

    def bring(self, body: dict[str, Any], dry_run: bool) -> dict[str, Any]:
        given = {app["id"]: app for app in body["applications"]}
        answer = {
            "created": sorted(set(given) - set(self.catalogue)),
            "updated": sorted(name for name in given if self.catalogue.get(name, given[name]) != given[name]),
            "removed": sorted(set(self.catalogue) - set(given)),
            "categories": {"created": [], "updated": [], "removed": []},
        }
        if not dry_run:
            self.catalogue = given
        return {**answer, "changed": any(answer[verb] for verb in ("created", "updated", "removed"))}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: TenantServer

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name that callers use)
        """Says nothing."""

    def _answer(self, status: int, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _signed_in(self) -> bool:
        token = (self.headers["Authorization"] or "").removeprefix("Bearer ")
        return bool(token and claims_of(token))

    def do_GET(self) -> None:
        self.server.hosts.add(self.headers["Host"])
        if self.server.unready:
            self.server.unready -= 1
            self._answer(404, {})
        elif self.path == "/api/config":
            self._answer(200, self.server.branding)
        elif self.path != "/api/catalog":
            self._answer(200, {"status": "ok"})
        elif self._signed_in():
            self._answer(200, {"applications": list(self.server.catalogue.values())})
        else:
            self._answer(401, {"error": {"code": "unauthorized", "message": "sign in first"}})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self._signed_in():
            self._answer(401, {"error": {"code": "unauthorized", "message": "sign in first"}})
        elif self.server.refusal:
            self._answer(400, {"error": self.server.refusal})
        else:
            self._answer(200, self.server.bring(body, "dry_run=true" in self.path))


@contextmanager
def tenant_server(
    authority: Authority | None = None, directory: Path | None = None
) -> Iterator[TenantServer]:
    """A running server; with an authority it speaks HTTPS as acme.localhost."""
    server = TenantServer()
    if authority and directory:
        pem = directory / "server.pem"
        pem.write_bytes(b"".join(issue(authority, "acme.localhost")))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def endpoint(server: TenantServer, ca_file: str = "") -> Endpoint:
    """Where the server is reached: under the tenant's name, at the loopback address."""
    return Endpoint("acme.localhost", server.server_address[1], "127.0.0.1", bool(ca_file), ca_file)
