"""What a client is told while no pod answers: by the real Traefik with the middleware as the add-on has it."""

from __future__ import annotations

import http.server
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import pytest
import yaml

from ansible_collections.sortie.platform.plugins.module_utils._go import Program, build, find_toolchain
from ansible_collections.sortie.platform.plugins.module_utils._store import Store
from ansible_collections.sortie.platform.tests.playbook import ROOT, cache_dir

FILES = ROOT / "roles" / "kube_addons" / "files" / "away"
PROGRAMS = yaml.safe_load((ROOT / "roles" / "kube_artifacts" / "vars" / "main.yml").read_text())
OWN = b'{"error":{"code":"unavailable","message":"the database is away"}}'


class Application(http.server.BaseHTTPRequestHandler):
    """Says what its path asks for."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.headers.get("Upgrade"):
            self.send_response(101)
            self.send_header("Connection", "Upgrade")
            self.send_header("Upgrade", "echo")
            self.end_headers()
            self.wfile.write(self.rfile.readline())
            self.close_connection = True
            return
        status, kind = {
            "/json": (503, "application/json"),
            "/later": (503, "text/plain"),
        }.get(self.path, (200, "text/plain"))
        body = OWN if status == 503 else b"here"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if self.path == "/later":
            self.send_header("Retry-After", "60")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        pass


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(port: int, host: str, path: str = "/", accept: str = "*/*") -> Answer:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers={"Host": host, "Accept": accept})
    response: HTTPResponse = connection.getresponse()
    body = response.read()
    connection.close()
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)


@pytest.fixture(scope="module")
def application() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Application)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield int(server.server_address[1])
    server.shutdown()
    thread.join()


def routes(application: int) -> dict[str, Any]:
    """One host whose application runs, one whose application refuses connections, and one that has none."""
    servers: dict[str, list[dict[str, str]]] = {
        "up": [{"url": f"http://127.0.0.1:{application}"}],
        "down": [{"url": f"http://127.0.0.1:{free_port()}"}],
        "gone": [],
    }
    return {
        "routers": {name: {"rule": f"Host(`{name}.test`)", "service": name} for name in servers},
        "services": {name: {"loadBalancer": {"servers": places}} for name, places in servers.items()},
    }


@pytest.fixture(scope="module")
def traefik(application: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Traefik on loopback, with the arguments that the add-on's manifest gives it for this."""
    directory = tmp_path_factory.mktemp("traefik")
    plugin = directory / "plugins-local" / "src" / "sortie.platform" / "away"
    plugin.mkdir(parents=True)
    shutil.copy(FILES / "away.go", plugin)
    shutil.copy(FILES / "traefik.yml", plugin / ".traefik.yml")
    dynamic = directory / "dynamic"
    dynamic.mkdir()
    shutil.copy(FILES / "dynamic.yml", dynamic)
    (dynamic / "routes.yml").write_text(yaml.safe_dump({"http": routes(application)}))
    manifest = (ROOT / "roles" / "kube_addons" / "templates" / "traefik.yaml.j2").read_text()
    arguments = [line.strip().removeprefix("- ") for line in manifest.splitlines()]
    wanted = ("--experimental.localPlugins", "--entryPoints.web.http.middlewares", "--providers.file.watch")
    given = [argument for argument in arguments if argument.startswith(wanted)]
    assert len(given) == len(wanted)
    described = next(one for one in PROGRAMS["_kube_artifacts_programs"] if one["name"] == "traefik")
    program = Program(**{name: value for name, value in described.items() if name != "takes"})
    arch = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout
    built = build(Store(cache_dir()), program, find_toolchain("1.24"), arch.strip())
    port = free_port()
    log = directory / "log"
    with (
        log.open("w") as output,
        subprocess.Popen(
            [
                str(built.path / "traefik"),
                "--global.checknewversion=false",
                f"--entryPoints.web.address=127.0.0.1:{port}",
                f"--providers.file.directory={dynamic}",
                *given,
            ],
            cwd=directory,
            stdout=output,
            stderr=output,
        ) as process,
    ):
        try:
            deadline = time.monotonic() + 60
            while not serves(port):
                ended = process.poll() is not None or time.monotonic() > deadline
                assert not ended, log.read_text()
                time.sleep(0.2)
            yield port
        finally:
            process.terminate()


def serves(port: int) -> bool:
    try:
        return ask(port, "up.test").status == 200
    except OSError:
        return False


@pytest.mark.parametrize("host", ["gone.test", "down.test"])
def test_an_application_that_is_away_is_a_503_that_says_when_to_come_back(traefik: int, host: str) -> None:
    answer = ask(traefik, host, "/api/apps")
    assert (answer.status, answer.headers["retry-after"]) == (503, "2")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert b'"code":"away"' in answer.body


def test_a_visitor_sees_a_page_that_comes_back_by_itself(traefik: int) -> None:
    answer = ask(traefik, "gone.test", accept="text/html,application/xhtml+xml")
    assert (answer.status, answer.headers["retry-after"], answer.headers["refresh"]) == (503, "2", "2")
    assert b"<h1>One moment</h1>" in answer.body


def test_what_the_application_says_passes_as_it_is(traefik: int) -> None:
    assert ask(traefik, "up.test").body == b"here"
    answer = ask(traefik, "up.test", "/json")
    assert (answer.status, answer.body, "retry-after" in answer.headers) == (503, OWN, False)
    later = ask(traefik, "up.test", "/later")
    assert (later.body, later.headers["retry-after"]) == (OWN, "60")


def test_a_host_that_nobody_serves_is_not_found(traefik: int) -> None:
    assert ask(traefik, "other.test").status == 404


def test_a_connection_that_is_upgraded_passes(traefik: int) -> None:
    with socket.create_connection(("127.0.0.1", traefik), timeout=10) as connection:
        head = b"GET / HTTP/1.1\r\nHost: up.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
        connection.sendall(head)
        answer = connection.makefile("rb")
        assert answer.readline().startswith(b"HTTP/1.1 101")
        while answer.readline().strip():
            pass
        connection.sendall(b"hello\n")
        assert answer.readline() == b"hello\n"
