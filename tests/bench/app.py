"""Runs the application and the Go implementation side by side, and prints the ratios as Markdown.

    sudo .local/venv/bin/python tests/bench/app.py --go DIRECTORY [--sizes 6 100 1000] [--seconds 3] [--rounds 3]

DIRECTORY holds the Go implementation's `run-go PORT WORKDIR SEED`. Servers run on the first core, the client on the
second, in a network of their own, so root is needed. The rounds of both take turns; medians are shown.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from load import Measured, run

SOURCE = Path(__file__).parents[2] / "app/src"
KEY, PASSWORD = "0123456789abcdef0123456789abcdef", "admin123"
OURS, GO = 18081, 18080
JSON = "Content-Type: application/json"


@dataclass(frozen=True)
class Case:
    """One kind of request; `needs` is sent with it."""

    name: str
    method: str
    path: str
    connections: int = 8
    compressed: bool = False
    conditional: bool = False
    body: bytes = b""


CASES = (
    Case("GET /api/apps", "GET", "/api/apps"),
    Case("the same, gzip", "GET", "/api/apps", compressed=True),
    Case("the same, If-None-Match", "GET", "/api/apps", conditional=True),
    Case("GET /", "GET", "/", compressed=True),
    Case("POST launch, 8 clients", "POST", "/api/analytics/launch", body=b'{"app_id": "app-0"}'),
    Case("POST launch, 64 clients", "POST", "/api/analytics/launch", 64, body=b'{"app_id": "app-0"}'),
)


@dataclass
class Server:
    """A running server and what its requests need."""

    port: int
    process: subprocess.Popen[bytes]
    token: str = ""
    etag: str = ""

    def prepare(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError):
                credentials = json.dumps({"username": "admin", "password": PASSWORD})
                answer = self._ask(
                    "POST", "/api/auth/login", credentials, {"Content-Type": "application/json"}
                )
                self.token = json.loads(answer[1])["access_token"]
                break
            if time.monotonic() > deadline:
                raise SystemExit(f"the server on port {self.port} does not answer")
            time.sleep(0.1)
        headers, _ = self._ask("GET", "/api/apps", None, {"Authorization": f"Bearer {self.token}"})
        self.etag = headers.get("ETag", "")

    def _ask(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> tuple[Any, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.headers, answer.read()
        finally:
            connection.close()

    def request(self, case: Case) -> bytes:
        lines = [
            f"{case.method} {case.path} HTTP/1.1",
            "Host: localhost",
            f"Authorization: Bearer {self.token}",
        ]
        lines += ["Accept-Encoding: gzip"] if case.compressed else []
        lines += [f"If-None-Match: {self.etag}"] if case.conditional and self.etag else []
        lines += [JSON, f"Content-Length: {len(case.body)}"] if case.body else []
        return "\r\n".join([*lines, "", ""]).encode() + case.body

    def memory(self) -> float:
        """MiB in use."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        return 0.0


@contextlib.contextmanager
def serving(port: int, command: list[str], environment: dict[str, str]) -> Iterator[Server]:
    process = subprocess.Popen(
        ["taskset", "-c", "0", *command],
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        server = Server(port, process)
        server.prepare()
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def catalogue(directory: Path, size: int) -> Path:
    file = directory / f"apps-{size}.json"
    apps = [
        {
            "id": f"app-{number}",
            "name": f"Application {number}",
            "description": f"What people use for the things of kind {number % 37}",
            "url": f"https://app-{number}.example.org/start",
            "icon": f"https://app-{number}.example.org/favicon.svg",
            "category": f"Category {number % 12}",
        }
        for number in range(size)
    ]
    file.write_text(json.dumps({"applications": apps}))
    return file


def measure(arguments: argparse.Namespace, size: int, directory: Path) -> list[str]:
    seed = str(catalogue(directory, size))
    own = {
        "PYTHONPATH": str(SOURCE),
        "SORTIE_HOST": "127.0.0.1",
        "SORTIE_PORT": str(OURS),
        "SORTIE_JWT_SECRET": KEY,
        "SORTIE_ADMIN_PASSWORD": PASSWORD,
        "SORTIE_DB": str(directory / f"ours-{size}.db"),
        "SORTIE_SEED": seed,
    }
    theirs = [str(arguments.go / "run-go"), str(GO), str(directory / f"go-{size}"), seed]
    command = [sys.executable, "-m", "sortie"]
    # Started once before: a first start loads what makes the tables.
    with serving(OURS, command, own):
        pass
    with serving(OURS, command, own) as ours, serving(GO, theirs, {}) as go:
        rows = [row(arguments, size, case, ours, go) for case in CASES]
        ratio = ours.memory() / go.memory()
        rows.append(
            f"| {size} | memory | {ours.memory():.0f} MiB | | | {go.memory():.0f} MiB | | | {ratio:.2f}x |"
        )
    return rows


def row(arguments: argparse.Namespace, size: int, case: Case, ours: Server, go: Server) -> str:
    results: dict[int, list[Measured]] = {OURS: [], GO: []}
    for _ in range(arguments.rounds):
        for server in (ours, go):
            results[server.port].append(
                run(server.port, server.request(case), case.connections, arguments.seconds)
            )
    cells, rates = [], []
    for runs in results.values():
        rate = statistics.median(each.per_second for each in runs)
        failed = sum(sum(each.statuses.values()) - each.good + each.lost for each in runs)
        answered = sum(sum(each.statuses.values()) for each in runs)
        note = f" ({100 * failed / answered:.0f} % failed)" if failed else ""
        p50, p99 = (
            statistics.median(each.percentile(share) for each in runs) * 1000 for share in (0.5, 0.99)
        )
        cells += [f"{rate:.0f}/s{note}", f"{p50:.1f} ms", f"{p99:.1f} ms"]
        rates.append(rate)
    return f"| {size} | {case.name} | {' | '.join(cells)} | {rates[0] / rates[1]:.2f}x |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--go", type=Path, required=True, help="directory with run-go")
    parser.add_argument("--sizes", type=int, nargs="+", default=[6, 100, 1000])
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if os.environ.get("SORTIE_BENCH") != "inside":
        inside = f'ip link set lo up && exec taskset -c 1 {sys.executable} "$@"'
        command = ["unshare", "--net", "sh", "-c", inside, "sh", *sys.argv]
        return subprocess.run(command, env=os.environ | {"SORTIE_BENCH": "inside"}, check=False).returncode
    with tempfile.TemporaryDirectory() as directory:
        print(
            "| apps | request | ours | p50 | p99 | Go | p50 | p99 | ratio |\n|---|---|---|---|---|---|---|---|---|"
        )
        for size in arguments.sizes:
            print("\n".join(measure(arguments, size, Path(directory))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
