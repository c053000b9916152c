"""A real server on a loopback port, as tests use it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KEY = "0123456789abcdef0123456789abcdef"
PASSWORD = "correct horse battery"
SOURCE = Path(__file__).parents[2] / "app/src"
JSON = {"Content-Type": "application/json"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(check: Callable[[], Any], seconds: float = 20) -> Any:
    """What `check` returns once it is true."""
    deadline = time.monotonic() + seconds
    while not (result := check()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)
    return result


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes
    cookies: list[str] = field(default_factory=list)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, str]:
        error: dict[str, str] = self.json["error"]
        return error


@dataclass
class App:
    """A running server."""

    port: int
    process: subprocess.Popen[bytes]
    log_path: Path
    environment: dict[str, str]

    def raw(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        cookies = answer.headers.get_all("Set-Cookie") or []
        named = {name.lower(): value for name, value in answer.headers.items()}
        return Reply(answer.status, named, content, cookies)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        token: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        sent = dict(headers or {})
        if token:
            sent["Authorization"] = f"Bearer {token}"
        if body is not None:
            sent |= JSON
        return self.raw(method, path, None if body is None else json.dumps(body).encode(), sent)

    def get(self, path: str, token: str | None = None) -> Reply:
        return self.call("GET", path, token=token)

    def login(self, username: str = "admin", password: str = PASSWORD) -> str:
        reply = self.call("POST", "/api/auth/login", {"username": username, "password": password})
        assert reply.status == 200, reply.body
        return str(reply.json["access_token"])

    def add_user(self, admin: str, username: str, *roles: str) -> str:
        """A token of a new user."""
        body = {"username": username, "password": PASSWORD, "roles": list(roles) or ["user"]}
        reply = self.call("POST", "/api/users", body, admin)
        assert reply.status == 201, reply.body
        return self.login(username)

    def logs(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log_path.read_text().splitlines() if line.startswith("{")]

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)


def command_environment(environment: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SORTIE_")}
    return kept | {"PYTHONPATH": str(SOURCE), "PYTHONDONTWRITEBYTECODE": "1"} | environment


def run_command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sortie", *arguments],
        env=command_environment(environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@dataclass
class Starter:
    """Starts servers over one kind of database, each over a database of its own unless told which."""

    kind: str
    directory: Path
    postgres: Callable[[], dict[str, str]] | None
    started: list[App] = field(default_factory=list)

    def database(self) -> dict[str, str]:
        """The settings of a new database."""
        if self.postgres is not None:
            return self.postgres()
        directory = Path(tempfile.mkdtemp(dir=self.directory))
        return {"SORTIE_DB": str(directory / "sortie.db")}

    def __call__(self, database: dict[str, str] | None = None, *, wait: bool = True, **settings: str) -> App:
        port = free_port()
        environment = {
            "SORTIE_HOST": "127.0.0.1",
            "SORTIE_PORT": str(port),
            "SORTIE_JWT_SECRET": KEY,
            "SORTIE_ADMIN_PASSWORD": PASSWORD,
            **(database or self.database()),
            **settings,
        }
        log_path = self.directory / f"log-{port}-{len(self.started)}"
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "sortie"],
                env=command_environment(environment),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        app = App(port, process, log_path, environment)
        self.started.append(app)
        eventually(lambda: _answers(app, "/readyz" if wait else "/healthz"))
        return app

    def stop(self) -> None:
        for app in self.started:
            if app.process.poll() is None:
                app.process.kill()
                app.process.wait()


def _answers(app: App, path: str) -> bool:
    assert app.process.poll() is None, app.log_path.read_text()
    with contextlib.suppress(OSError):
        return app.get(path).status == 200
    return False
