"""An OpenID Connect provider for the tests: discovery, keys, code flow with PKCE, and ways to misbehave."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "sortie", "the client's secret"


class Provider:
    """Signs in whoever `user` describes. `wrong` overrules claims of the ID token."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "k1", "use": "sig", "alg": "RS256"})
        self.user: dict[str, Any] = {
            "sub": "s-1",
            "preferred_username": "jo",
            "name": "Jo",
            "email": "jo@example.org",
        }
        self.wrong: dict[str, Any] = {}
        self.signing_key = self.key
        self.codes: dict[str, dict[str, str]] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.get(self)

            def do_POST(self) -> None:
                provider.post(self)

            def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - its caller's name
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def get(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/.well-known/openid-configuration":
            endpoints = {name: f"{self.issuer}/{name}" for name in ("authorize", "token", "keys")}
            self._json(
                handler,
                {
                    "issuer": self.issuer,
                    "authorization_endpoint": endpoints["authorize"],
                    "token_endpoint": endpoints["token"],
                    "jwks_uri": endpoints["keys"],
                },
            )
        elif parts.path == "/keys":
            self._json(handler, {"keys": [self.key.as_dict(private=False)]})
        elif parts.path == "/authorize":
            assert query["code_challenge_method"] == "S256"
            assert query["response_type"] == "code"
            assert "openid" in query["scope"].split()
            code = secrets.token_urlsafe()
            self.codes[code] = query
            answer = urlencode({"code": code, "state": query["state"]})
            handler.send_response(302)
            handler.send_header("Location", f"{query['redirect_uri']}?{answer}")
            handler.end_headers()
        else:
            handler.send_error(404)

    def post(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers["Content-Length"])
        form = {name: values[0] for name, values in parse_qs(handler.rfile.read(length).decode()).items()}
        asked = self.codes.pop(form.get("code", ""), None)
        credentials = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        good = (
            asked is not None
            and handler.headers["Authorization"] == f"Basic {credentials}"
            and asked["code_challenge"] == challenge.rstrip(b"=").decode()
            and asked["redirect_uri"] == form["redirect_uri"]
        )
        if not good or asked is None:
            self._json(handler, {"error": "invalid_grant"}, 400)
            return
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 60, "nonce": asked["nonce"]}
        token = jwt.encode({"alg": "RS256", "kid": "k1"}, claims | self.user | self.wrong, self.signing_key)
        self._json(handler, {"access_token": "a", "token_type": "Bearer", "id_token": token})

    @staticmethod
    def _json(handler: BaseHTTPRequestHandler, value: Any, status: int = 200) -> None:
        body = json.dumps(value).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
