#!/usr/bin/env python3
"""How long deployments take, side by side with `kubectl apply` and `helm upgrade` of the very same manifests.

    tests/bench/deploy.py                       tenants: 1 and 20 of them, first and unchanged
    tests/bench/deploy.py --phases              the phases of a whole bin/deploy as well
    tests/bench/deploy.py --phases --tenants    these alone
    tests/bench/deploy.py --write               writes the tables into docs/performance.md as well

Makes a cluster of its own (tests/bench/cluster.yml) and removes it at the end, unless told to keep it (--keep). Needs what
bin/test makes: run it with the Python of .local/venv. No test: nothing is asserted about times.

While others are measured, the node is cordoned, so that the pods of `kubectl` and `helm` do not compete with what is
measured. Ways are measured in turn, so that whatever else the machine does meets all of them.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import re
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / ".local" / "collections"))

from ansible_collections.sortie.platform.plugins.module_utils._go import (  # noqa: E402 (found by the line above)
    Program,
    build,
    find_toolchain,
)
from ansible_collections.sortie.platform.plugins.module_utils._http import Client, Endpoint  # noqa: E402
from ansible_collections.sortie.platform.plugins.module_utils._store import Store  # noqa: E402

CLUSTER = ROOT / "tests" / "bench" / "cluster.yml"
VARIABLES: dict[str, Any] = yaml.safe_load(CLUSTER.read_text())
LOCAL = ROOT / ".local" / "bench"
PAGE = ROOT / "docs" / "performance.md"
HELM = Program(
    name="helm",
    module="helm.sh/helm/v3",
    version="v3.19.0",
    checksum="h1:krVyCGa8fa/wzTZgqw0DUiXuRT5BPdeqE/sQXujQ22k=",
    package="./cmd/helm",
)
ENVIRONMENT = {
    **os.environ,
    "SORTIE_LOCAL_DIR": str(LOCAL),
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    "PYTHONUNBUFFERED": "1",
    "ANSIBLE_FORCE_COLOR": "0",
    "COLUMNS": "200",
    **{f"HELM_{kind}_HOME": str(LOCAL / "helm" / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")},
}
OURS, APPLY, SERVER_SIDE = "playbooks/tenants.yml", "kubectl apply", "kubectl apply --server-side"
HELM_WAY = "helm upgrade --install"
# What the tenants are called in each way; the name is the namespace too.
PREFIXES = {OURS: "ours", APPLY: "apply", SERVER_SIDE: "server-side", HELM_WAY: "helm"}
LAST_LINES = 25
LONGEST = 1800

# A tenant of ten objects, small enough for twenty on one machine.
TENANT: dict[str, Any] = {
    "sortie_kubeconfig": str(LOCAL / "kubeconfig"),
    "sortie_namespace": "{{ inventory_hostname }}",
    "sortie_ingress_host": "{{ inventory_hostname }}.localhost",
    "sortie_ingress_port": VARIABLES["common_https_port"],
    "sortie_ingress_address": "127.0.0.1",
    "sortie_tls": "self_signed",
    "sortie_load_balancer": True,
    "sortie_pod_disruption_budget": True,
    "sortie_rollout_timeout": 900,
    "sortie_resources": {
        "requests": {"cpu": "10m", "memory": "32Mi"},
        "limits": {"cpu": "500m", "memory": "256Mi"},
    },
    "sortie_apps": [
        {"id": f"app-{number}", "name": f"App {number}", "url": f"https://app-{number}.example.com"}
        for number in range(1, 11)
    ],
}


class BenchError(Exception):
    """Something that is measured failed, so its time means nothing."""


def say(message: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {message}", file=sys.stderr, flush=True)


@dataclass
class Ran:
    """A command that succeeded: its duration and the second at which each line of its output came."""

    seconds: float
    lines: list[tuple[float, str]]

    def starts(self, pattern: str) -> list[tuple[str, float]]:
        """(first group, second) of each line that matches."""
        return [(match[1], at) for at, line in self.lines if (match := re.match(pattern, line))]


def run(*command: str | Path, directory: Path = ROOT) -> Ran:
    """Runs a command to its end, with its whole family stopped if this program is. Raises BenchError if it fails."""
    started, lines = time.monotonic(), list[tuple[float, str]]()
    with subprocess.Popen(
        command,
        cwd=directory,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        # Ends a command that would never end, and with it the loop below.
        watchdog = threading.Timer(LONGEST, os.killpg, (process.pid, signal.SIGKILL))
        watchdog.daemon = True
        watchdog.start()
        try:
            for line in process.stdout:
                lines.append((time.monotonic() - started, line.rstrip("\n")))
            code = process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            raise
        finally:
            watchdog.cancel()
    if code:
        told = "\n".join(line for _at, line in lines[-LAST_LINES:])
        raise BenchError(f"{shlex.join(map(str, command))} ended with {code}:\n{told}")
    return Ran(time.monotonic() - started, lines)


def kubectl(*arguments: str | Path) -> Ran:
    return run(LOCAL / "bin" / "kubectl", "--kubeconfig", LOCAL / "kubeconfig", *arguments)


def playbook(name: str, inventory: Path, *arguments: str | Path) -> Ran:
    return run(
        *("ansible-playbook", f"playbooks/{name}.yml", "-i", inventory, "-e", f"@{CLUSTER}", *arguments)
    )


# --- the cluster


def remove_cluster() -> None:
    say("removing the cluster")
    playbook(
        "cluster_reset",
        ROOT / "inventories" / "local",
        "-e",
        f"confirm={VARIABLES['common_cluster_name']}",
    )


def make_cluster() -> None:
    for name in ("cluster", "image"):
        say(f"bringing the {name}")
        playbook(name, ROOT / "inventories" / "local")


@contextmanager
def one_run(keep: bool) -> Iterator[None]:
    """The place for everything that is made; removed at the end, unless it is kept."""
    LOCAL.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        if keep:
            say(f"the cluster stays: SORTIE_LOCAL_DIR={LOCAL}")
        else:
            remove_cluster()
            shutil.rmtree(LOCAL)


# --- tenants


def names(way: str, count: int) -> list[str]:
    return [f"{PREFIXES[way]}-{number:02}" for number in range(1, count + 1)]


def inventory(ways: Sequence[str], count: int) -> Path:
    """An inventory with the tenants of these ways."""
    path = LOCAL / f"{PREFIXES[ways[0]]}-{count}.yml"
    hosts: dict[str, None] = {name: None for way in ways for name in names(way, count)}
    path.write_text(yaml.safe_dump({"tenants": {"hosts": hosts, "vars": TENANT}}))
    return path


def rendered(way: str, count: int) -> list[str]:
    """The manifests of the tenants of a way, as playbooks/render.yml writes them, in the order of their kustomization."""
    documents = []
    for name in names(way, count):
        directory = LOCAL / "rendered" / name
        resources = yaml.safe_load((directory / "kustomization.yaml").read_text())["resources"]
        documents += [(directory / resource).read_text() for resource in resources]
    return documents


def render(ways: Sequence[str], count: int) -> None:
    playbook("render", inventory(ways, count), "-e", f"render_dir={LOCAL / 'rendered'}")


def manifest_file(way: str, count: int) -> Path:
    path = LOCAL / f"{PREFIXES[way]}-{count}.manifests.yaml"
    path.write_text("---\n".join(rendered(way, count)))
    return path


def chart(count: int) -> Path:
    """A Helm chart of the rendered manifests."""
    directory = LOCAL / "chart"
    shutil.rmtree(directory, ignore_errors=True)
    (directory / "templates").mkdir(parents=True)
    (directory / "Chart.yaml").write_text("apiVersion: v2\nname: sortie\nversion: 0.1.0\n")
    for number, document in enumerate(rendered(HELM_WAY, count)):
        if "{{" in document:
            raise BenchError("a manifest has braces, which Helm would take for a template of its own")
        (directory / "templates" / f"{number:03}.yaml").write_text(document)
    return directory


@dataclass
class Way:
    """A way to deploy the same manifests, with what it took."""

    name: str
    deploy: Callable[[], Ran]
    first: list[float] = field(default_factory=list)
    waiting: list[float] = field(default_factory=list)
    unchanged: list[float] = field(default_factory=list)


def expect_unchanged(way: Way, ran: Ran) -> None:
    told = "\n".join(line for _at, line in ran.lines)
    if way.name == OURS and re.search(r"changed=[1-9]", told):
        raise BenchError(f"the second deployment of unchanged tenants changed something:\n{told}")


def waited_for_pods(ran: Ran) -> float:
    """The seconds in the task that waits for the pods. A task's line comes with its first result, at its end."""
    tasks = ran.starts(r"TASK \[(.+)\] \*")
    return sum(
        at - before for (_name, before), (name, at) in itertools.pairwise(tasks) if "Wait until" in name
    )


class Tenants:
    """The measurement of so many tenants."""

    def __init__(self, count: int, helm: Path | None) -> None:
        self.count = count
        others = [APPLY, SERVER_SIDE] + ([HELM_WAY] if helm else [])
        self.title = "1 tenant" if count == 1 else f"{count} tenants"
        say(f"{self.title}: rendering")
        render(others, count)
        ours = inventory([OURS], count)
        files = {way: manifest_file(way, count) for way in (APPLY, SERVER_SIDE)}
        self.ways = [
            Way(OURS, lambda: playbook("tenants", ours)),
            Way(APPLY, lambda: kubectl("apply", "-f", files[APPLY])),
            Way(SERVER_SIDE, lambda: kubectl("apply", "--server-side", "-f", files[SERVER_SIDE])),
        ]
        self._helm = helm
        if helm:
            arguments = ("--kubeconfig", LOCAL / "kubeconfig", "--namespace", "default")
            place = chart(count)
            self.ways.append(
                Way(HELM_WAY, lambda: run(helm, "upgrade", "--install", "bench", place, *arguments))
            )
            self._uninstall = (helm, "uninstall", "bench", "--ignore-not-found", *arguments)

    def measure(self, rounds: int, repeats: int) -> None:
        for number in range(rounds):
            self.remove()
            for way in self.ways:
                ran = way.deploy()
                say(f"{self.title}, first ({number + 1} of {rounds}), {way.name}: {ran.seconds:.2f} s")
                way.first.append(ran.seconds)
                if way.name == OURS:
                    way.waiting.append(waited_for_pods(ran))
                    # What follows is not to start pods beside what is measured.
                    self.node("cordon")
        for number in range(repeats):
            for way in self.ways:
                ran = way.deploy()
                expect_unchanged(way, ran)
                say(f"{self.title}, unchanged ({number + 1} of {repeats}), {way.name}: {ran.seconds:.2f} s")
                way.unchanged.append(ran.seconds)

    def remove(self) -> None:
        """Removes the tenants of all ways; those whose pods wait for the node first, so that they never start."""
        say(f"{self.title}: removing what is there")
        if self._helm:
            run(*self._uninstall)
        others = [name for way in self.ways if way.name != OURS for name in names(way.name, self.count)]
        kubectl("delete", "namespace", "--ignore-not-found", *others)
        self.node("uncordon")
        kubectl("delete", "namespace", "--ignore-not-found", *names(OURS, self.count))

    @staticmethod
    def node(verb: str) -> None:
        kubectl(verb, "control-plane-1")

    @property
    def table(self) -> str:
        """A row for each way; ratios are those of the medians."""
        base = next(way for way in self.ways if way.name == APPLY)
        lines = [
            f"| {self.title}, {len(rendered(APPLY, self.count))} objects | first | unchanged | unchanged, as a multiple of `{APPLY}` |",
            "|---|---|---|---|",
        ]
        for way in self.ways:
            first, again = statistics.median(way.first), statistics.median(way.unchanged)
            waiting = f", {statistics.median(way.waiting):.1f} s of it for pods" if way.waiting else ""
            spread = f"{again:.2f} s ({min(way.unchanged):.2f}-{max(way.unchanged):.2f})"
            ratio = again / statistics.median(base.unchanged)
            lines.append(f"| `{way.name}` | {first:.1f} s{waiting} | {spread} | {ratio:.2f} |")
        return "\n".join(lines) + "\n"


# --- a whole bin/deploy

BEFORE = "packages, virtual environment, start of Ansible"


def checkout() -> Path:
    """A clone of what is committed, so that neither work in progress nor what bin/deploy makes in it meets this one."""
    place = LOCAL / "checkout"
    shutil.rmtree(place, ignore_errors=True)
    run("git", "clone", "--quiet", ROOT, place)
    return place


def phases(ran: Ran) -> dict[str, float]:
    """The seconds of each play of a run, and of what comes before the first."""
    starts = [(BEFORE, 0.0), *ran.starts(r"PLAY \[(.+)\] \*")]
    ends = [at for _name, at in starts[1:]] + [ran.seconds]
    found: dict[str, float] = {}
    for (name, at), end in zip(starts, ends, strict=True):
        found[name] = found.get(name, 0) + end - at
    return found


def page_answers() -> None:
    endpoint = Endpoint(
        "demo.localhost", VARIABLES["common_https_port"], "127.0.0.1", ca_file=str(LOCAL / "ca" / "ca.crt")
    )
    client = Client(endpoint)
    try:
        client.get("/")
    finally:
        client.close()


class Whole:
    """The measurement of a whole bin/deploy."""

    def __init__(self) -> None:
        self._place = checkout()
        self.nothing: list[dict[str, float]] = []
        self.unchanged: list[dict[str, float]] = []

    def _deploy(self) -> dict[str, float]:
        ran = run("bin/deploy", "-e", f"@{CLUSTER}", directory=self._place)
        page_answers()
        return phases(ran)

    def measure(self, rounds: int, repeats: int) -> None:
        say("warming the caches")
        remove_cluster()
        self._deploy()
        for kind, count, found in (
            ("from nothing", rounds, self.nothing),
            ("unchanged", repeats, self.unchanged),
        ):
            for number in range(count):
                if kind == "from nothing":
                    remove_cluster()
                found.append(self._deploy())
                say(f"bin/deploy {kind} ({number + 1} of {count}): {sum(found[-1].values()):.1f} s")

    @property
    def table(self) -> str:
        def cell(runs: Sequence[Mapping[str, float]], name: str) -> str:
            values = [one[name] for one in runs if name in one]
            return f"{statistics.median(values):.1f} s" if values else ""

        lines = ["| phase | from nothing, caches warm | unchanged |", "|---|---|---|"]
        lines += [
            f"| {name} | {cell(self.nothing, name)} | {cell(self.unchanged, name)} |"
            for name in self.nothing[0]
        ]
        total = [
            f"**{statistics.median(sum(one.values()) for one in runs):.1f} s**"
            for runs in (self.nothing, self.unchanged)
        ]
        return "\n".join([*lines, f"| **all of it** | {total[0]} | {total[1]} |"]) + "\n"


# --- the page


def machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return f"{os.cpu_count()} processors, {memory:.0f} GiB of memory, Linux {platform.release()}"


def section(tables: Sequence[str], load: Sequence[float]) -> str:
    command = shlex.join(
        ["tests/bench/deploy.py", *(argument for argument in sys.argv[1:] if argument != "--keep")]
    )
    busy = f"{load[0]:.1f} before and {os.getloadavg()[1]:.1f} at the end"
    return (
        f"Made by `{command}` on {time.strftime('%Y-%m-%d')}: {machine()}; load {busy}. Medians, with the range in brackets.\n\n"
        + "\n".join(tables)
    )


def write(name: str, text: str) -> None:
    """Puts a text between the page's markers of that name."""
    pattern = re.compile(rf"(<!-- bench: {name} -->\n).*?(<!-- end of bench: {name} -->)", re.DOTALL)
    page, count = pattern.subn(lambda match: match[1] + text + match[2], PAGE.read_text())
    if count != 1:
        raise BenchError(f"{PAGE} has no markers of {name}")
    PAGE.write_text(page)
    say(f"wrote {name} into {PAGE.relative_to(ROOT)}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--tenants", type=int, nargs="*", default=[1, 20], help="how many tenants (default: 1 20)"
    )
    parser.add_argument("--phases", action="store_true", help="measure the phases of a whole bin/deploy")
    parser.add_argument(
        "--repeats", type=int, default=5, help="measurements of what is unchanged (default: 5)"
    )
    parser.add_argument(
        "--rounds", type=int, default=2, help="measurements of what is done from nothing (default: 2)"
    )
    parser.add_argument("--keep", action="store_true", help="keep the cluster for the next run")
    parser.add_argument(
        "--write", action="store_true", help=f"write the tables into {PAGE.relative_to(ROOT)}"
    )
    given = parser.parse_args()
    if given.repeats < 1 or given.rounds < 1:
        parser.error("--repeats and --rounds are at least 1")
    if given.tenants and min(given.tenants) < 1:
        parser.error("--tenants are numbers from 1 on")
    return given


def measure_tenants(given: argparse.Namespace) -> list[str]:
    helm = None
    if 1 in given.tenants:
        say("bringing helm")
        store = Store(Path(ENVIRONMENT.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "sortie-platform")
        arch = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
        helm = build(store, HELM, find_toolchain("1.24"), arch).path / "helm"
    tables = []
    for count in given.tenants:
        tenants = Tenants(count, helm if count == 1 else None)
        tenants.measure(given.rounds, given.repeats)
        tenants.remove()
        tables.append(tenants.table)
        print(tenants.table, flush=True)
    return tables


def main() -> int:
    given, load = arguments(), os.getloadavg()
    try:
        with one_run(given.keep):
            if given.phases:
                whole = Whole()
                whole.measure(given.rounds, given.repeats)
                print(whole.table, flush=True)
                if given.write:
                    write("phases", section([whole.table], load))
            else:
                make_cluster()
            if given.tenants:
                tables = measure_tenants(given)
                if given.write:
                    write("tenants", section(tables, load))
    except BenchError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
