"""Runs the application and the Go implementation side by side, and prints the ratios as Markdown.

    sudo .local/venv/bin/python tests/bench/app.py --go DIRECTORY [--sizes 6 100 1000] [--seconds 3] [--rounds 3] [--write]

DIRECTORY holds the Go implementation's `run-go PORT WORKDIR SEED`. Servers run on the first core, the client on the
second, in a network of their own, so root is needed. The rounds of all take turns; medians are shown. Two more
tables: the page beside waitress alone, which answers 20 bytes, and one process beside two on the same database. --write puts
the tables into docs/performance.md. No test: nothing is asserted about times.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from load import Measured, run

ROOT = Path(__file__).parents[2]
SOURCE, PAGE = ROOT / "app/src", ROOT / "docs/performance.md"
KEY, PASSWORD = "0123456789abcdef0123456789abcdef", "admin123"
OURS, GO, SECOND, FLOOR = 18081, 18080, 18082, 18083
# What waitress itself takes, with as many threads as the application has.
ALONE = """
import logging, sys, waitress
logging.getLogger("waitress.queue").setLevel(logging.ERROR)
def answer(environ, start):
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "20")])
    return [b"twenty bytes, really"]
waitress.serve(answer, host="127.0.0.1", port=int(sys.argv[1]), threads=16, asyncore_use_poll=True)
"""
JSON = "Content-Type: application/json"
OK = 200


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
    used: float = 0.0
    start: float = 0.0

    def wait(self, path: str = "/readyz") -> float:
        """Waits for an answer, and gives the seconds that it took."""
        begun = time.monotonic()
        while time.monotonic() < begun + 30:
            with contextlib.suppress(OSError):
                if self._ask("GET", path, None, {})[0].status == OK:
                    return time.monotonic() - begun
            time.sleep(0.005)
        raise SystemExit(f"the server on port {self.port} does not answer")

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
        answer, _ = self._ask("GET", "/api/apps", None, {"Authorization": f"Bearer {self.token}"})
        self.etag = answer.headers.get("ETag", "")

    def _ask(
        self, method: str, path: str, body: str | None, headers: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer, answer.read()
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

    def processor(self) -> float:
        """Seconds of a processor that it has used so far."""
        fields: list[str] = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / float(os.sysconf("SC_CLK_TCK"))

    def memory(self) -> float:
        """MiB in use."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        return 0.0


@contextlib.contextmanager
def serving(
    port: int, command: list[str], environment: dict[str, str], *, core: int = 0, bare: bool = False
) -> Iterator[Server]:
    """A server on a core of its own; a bare one has no users."""
    process = subprocess.Popen(
        ["taskset", "-c", str(core), *command],
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        server = Server(port, process)
        if bare:
            server.wait("/")
        else:
            server.start = server.wait()
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


def settings(directory: Path, port: int, seed: Path) -> dict[str, str]:
    return {
        "PYTHONPATH": str(SOURCE),
        "SORTIE_HOST": "127.0.0.1",
        "SORTIE_PORT": str(port),
        "SORTIE_JWT_SECRET": KEY,
        "SORTIE_ADMIN_PASSWORD": PASSWORD,
        "SORTIE_DB": str(directory / f"ours-{seed.stem}.db"),
        "SORTIE_SEED": str(seed),
    }


COMMAND = [sys.executable, "-m", "sortie"]


def measure(arguments: argparse.Namespace, size: int, directory: Path) -> list[str]:
    seed = catalogue(directory, size)
    own = settings(directory, OURS, seed)
    theirs = [str(arguments.go / "run-go"), str(GO), str(directory / f"go-{size}"), str(seed)]
    # Started once before: a first start loads what makes the tables.
    with serving(OURS, COMMAND, own):
        pass
    with serving(OURS, COMMAND, own) as ours, serving(GO, theirs, {}) as go:
        rows = [row(arguments, size, case, ours, go) for case in CASES]
        ratio = ours.memory() / go.memory()
        rows.append(
            f"| {size} | memory | {ours.memory():.0f} MiB | | | | {go.memory():.0f} MiB | | | | {ratio:.2f}x | |"
        )
        rows.append(
            f"| {size} | start, until /readyz | {ours.start:.2f} s | | | | {go.start:.2f} s | | | | {ours.start / go.start:.2f}x | |"
        )
    return rows


def beside_the_floor(arguments: argparse.Namespace, directory: Path) -> str:
    """What the page takes beside what waitress takes for anything."""
    own = settings(directory, OURS, catalogue(directory, 100))
    alone = [sys.executable, "-c", ALONE, str(FLOOR)]
    with serving(OURS, COMMAND, own) as ours, serving(FLOOR, alone, {}, bare=True) as floor:
        questions = {
            "waitress alone, 20 bytes": (floor, Case("", "GET", "/")),
            "GET / of 100 apps, gzip": (ours, Case("", "GET", "/", compressed=True)),
            "GET /api/apps of 100 apps, gzip": (ours, Case("", "GET", "/api/apps", compressed=True)),
        }
        costs: dict[str, list[float]] = {name: [] for name in questions}
        for _ in range(arguments.rounds):
            for name, (server, case) in questions.items():
                server.used = server.processor()
                costs[name].append(cost([server], [run(*client(server, case, arguments.seconds))]))
    least = statistics.median(costs["waitress alone, 20 bytes"])
    lines = ["| processor time of the server for a request | | beside waitress alone |", "|---|---|---|"]
    for name, measured in costs.items():
        middle = statistics.median(measured)
        lines.append(f"| {name} | {middle:.0f} us | {middle / least:.2f}x |")
    return "\n".join(lines) + "\n"


def client(server: Server, case: Case, seconds: float) -> tuple[int, bytes, int, float]:
    return server.port, server.request(case), case.connections, seconds


def cost(servers: Sequence[Server], runs: Sequence[Measured]) -> float:
    """Microseconds of a processor for a request, since the last time that these servers were asked."""
    used = 0.0
    for server in servers:
        now = server.processor()
        used += now - server.used
        server.used = now
    return 1e6 * used / sum(each.good for each in runs)


def two_processes(arguments: argparse.Namespace, directory: Path) -> str:
    """One process beside two on the same database, each with a client of its own, all of them on the same two cores."""
    seed = catalogue(directory, 100)
    first, second = settings(directory, OURS, seed), settings(directory, SECOND, seed)
    case = Case("", "GET", "/api/apps", compressed=True)
    rates: dict[int, list[float]] = {1: [], 2: []}
    costs: dict[int, list[float]] = {1: [], 2: []}
    with (
        serving(OURS, COMMAND, first) as one,
        serving(SECOND, COMMAND, second, core=1) as other,
        ProcessPoolExecutor(2) as clients,
    ):
        for _ in range(arguments.rounds):
            for servers in ([one], [one, other]):
                for server in servers:
                    server.used = server.processor()
                # A client on the core of the other server: each core has one server and one client.
                waiting = [
                    clients.submit(pinned, 1 - core, client(server, case, arguments.seconds))
                    for core, server in enumerate(servers)
                ]
                runs = [each.result() for each in waiting]
                rates[len(servers)].append(sum(each.per_second for each in runs))
                costs[len(servers)].append(cost(servers, runs))
    lines = [
        "| GET /api/apps of 100 apps, gzip | requests | processor time of the servers for a request |",
        "|---|---|---|",
    ]
    for count, name in ((1, "one process, the client on the other core"), (2, "two processes, two clients")):
        lines.append(
            f"| {name} | {statistics.median(rates[count]):.0f}/s | {statistics.median(costs[count]):.0f} us |"
        )
    lines.append(
        f"| two beside one | {statistics.median(rates[2]) / statistics.median(rates[1]):.2f}x | "
        f"{statistics.median(costs[2]) / statistics.median(costs[1]):.2f}x |"
    )
    return "\n".join(lines) + "\n"


def pinned(core: int, arguments: tuple[int, bytes, int, float]) -> Measured:
    os.sched_setaffinity(0, {core})
    return run(*arguments)


def row(arguments: argparse.Namespace, size: int, case: Case, ours: Server, go: Server) -> str:
    results: dict[int, list[Measured]] = {OURS: [], GO: []}
    costs: dict[int, list[float]] = {OURS: [], GO: []}
    for _ in range(arguments.rounds):
        for server in (ours, go):
            server.used = server.processor()
            results[server.port].append(run(*client(server, case, arguments.seconds)))
            costs[server.port].append(cost([server], results[server.port][-1:]))
    cells, rates, times = [], [], []
    for port, runs in results.items():
        rate = statistics.median(each.per_second for each in runs)
        failed = sum(sum(each.statuses.values()) - each.good + each.lost for each in runs)
        answered = sum(sum(each.statuses.values()) for each in runs)
        note = f" ({100 * failed / answered:.0f} % failed)" if failed else ""
        p50, p99 = (
            statistics.median(each.percentile(share) for each in runs) * 1000 for share in (0.5, 0.99)
        )
        used = statistics.median(costs[port])
        cells += [f"{rate:.0f}/s{note}", f"{p50:.1f} ms", f"{p99:.1f} ms", f"{used:.0f} us"]
        rates.append(rate)
        times.append(used)
    return f"| {size} | {case.name} | {' | '.join(cells)} | {rates[0] / rates[1]:.2f}x | {times[1] / times[0]:.2f}x |"


def write(text: str) -> None:
    """Puts a text between the page's markers."""
    pattern = re.compile(r"(<!-- bench: app -->\n).*?(<!-- end of bench: app -->)", re.DOTALL)
    page, count = pattern.subn(lambda match: match[1] + text + match[2], PAGE.read_text())
    if count != 1:
        raise SystemExit(f"{PAGE} has no markers of app")
    PAGE.write_text(page)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--go", type=Path, required=True, help="directory with run-go")
    parser.add_argument("--sizes", type=int, nargs="+", default=[6, 100, 1000])
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--write", action="store_true", help="write the tables into docs/performance.md as well"
    )
    arguments = parser.parse_args()
    if os.environ.get("SORTIE_BENCH") != "inside":
        inside = f'ip link set lo up && exec taskset -c 1 {sys.executable} "$@"'
        command = ["unshare", "--net", "sh", "-c", inside, "sh", *sys.argv]
        return subprocess.run(command, env=os.environ | {"SORTIE_BENCH": "inside"}, check=False).returncode
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        rows = [
            "| apps | request | ours | p50 | p99 | processor | Go | p50 | p99 | processor | requests | per processor |",
            "|---|---|---|---|---|---|---|---|---|---|---|---|",
        ]
        for size in arguments.sizes:
            rows += measure(arguments, size, directory)
            print("\n".join(rows[-len(CASES) - 2 :]), flush=True)
        tables = ["\n".join(rows) + "\n"]
        for make in (beside_the_floor, two_processes):
            tables.append(make(arguments, directory))
            print(tables[-1], flush=True)
    if arguments.write:
        given = f"`tests/bench/app.py --go DIRECTORY --seconds {arguments.seconds:g} --rounds {arguments.rounds} --write`"
        busy = f"load {load:.1f} before and {os.getloadavg()[1]:.1f} at the end"
        write(
            f"Made by {given} on {time.strftime('%Y-%m-%d')}: {os.cpu_count()} processors, Linux {platform.release()}; {busy}. Medians.\n\n"
            + "\n".join(tables)
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
