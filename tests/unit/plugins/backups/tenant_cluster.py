"""A cluster in memory with one tenant, whose pods run the real application's commands on a directory of this machine."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ansible_collections.sortie.platform.plugins.module_utils._backup_tenant import Place
from ansible_collections.sortie.platform.plugins.module_utils._cluster import ClusterError, Manifest
from ansible_collections.sortie.platform.tests.unit.plugins.fakes import FakeApi, encoded

NAMESPACE = "sortie-acme"
PLACE = Place("acme", NAMESPACE)
ROOT = Path(__file__).resolve().parents[4]
BINARY, CLOSE = 2, 8


class Killed(BaseException):
    """Whatever ran was killed; not an Exception, so that nothing tidies up behind it that a kill would not let."""


def make_database(path: Path, applications: int = 3) -> None:
    """A database with the tables that the code knows, in WAL mode and with a filled -wal."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(
        "CREATE TABLE alembic_version (version_num TEXT);"
        "INSERT INTO alembic_version VALUES ('0001');"
        "CREATE TABLE applications (id TEXT PRIMARY KEY, name TEXT, url TEXT, visibility TEXT);"
    )
    add_applications(path, applications)
    connection.close()


def add_applications(path: Path, number: int) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    (there,) = connection.execute("SELECT count(*) FROM applications").fetchone()
    rows = [
        (f"app-{place}", f"App {place}", "https://a.example", "public")
        for place in range(there, there + number)
    ]
    connection.executemany("INSERT INTO applications VALUES (?, ?, ?, ?)", rows)
    connection.close()


def count_applications(path: Path) -> int:
    connection = sqlite3.connect(path)
    (number,) = connection.execute("SELECT count(*) FROM applications").fetchone()
    connection.close()
    return int(number)


class Socket:
    """The client's end of a WebSocket that carries a program's streams."""

    def __init__(self, frames: Sequence[bytes], fed: list[bytes] | None = None, run: Any = None) -> None:
        self._frames, self._fed, self._run = list(frames), fed, run

    def settimeout(self, seconds: float) -> None:
        assert seconds > 0

    def shutdown(self) -> None:
        self._frames = []

    def send(self, payload: bytes, opcode: int) -> None:
        assert (payload[0], opcode) == (0, BINARY)
        assert self._fed is not None
        self._fed.append(payload[1:])

    def recv_data_frame(self, control: bool) -> tuple[int, Any]:
        if self._run is not None:
            self._frames, self._run = self._run(b"".join(self._fed or [])), None
        if not self._frames:
            return CLOSE, SimpleNamespace(data=b"")
        return BINARY, SimpleNamespace(data=self._frames.pop(0))


def status_frame(code: int) -> bytes:
    if code == 0:
        return b"\x03" + json.dumps({"status": "Success"}).encode()
    cause = {"reason": "ExitCode", "message": str(code)}
    return b"\x03" + json.dumps({"status": "Failure", "details": {"causes": [cause]}}).encode()


def frames(stdout: bytes, stderr: bytes = b"", code: int = 0, size: int = 4000) -> list[bytes]:
    parts = [b"\x01" + stdout[place : place + size] for place in range(0, len(stdout), size)]
    return [*parts, *([b"\x02" + stderr] if stderr else []), status_frame(code)]


class TenantCluster(FakeApi):
    """The tenant's namespace. `kill_at` names a command or request at which the caller is killed, once."""

    def __init__(self, data: Path) -> None:
        super().__init__()
        self.data, self.kill_at, self.commands = data, "", [""]
        self.broken_applications = False
        self.cut: dict[str, int] = {}
        self.cut_by: list[bytes] = []
        # For how many looks the pod is away.
        self.away = 0
        space = f"namespaces/{NAMESPACE}"
        self.put(
            f"/apis/apps/v1/{space}/deployments/sortie",
            {
                "metadata": {"name": "sortie", "namespace": NAMESPACE, "generation": 1},
                "spec": {
                    "replicas": 1,
                    "selector": {"matchLabels": {"app": "sortie"}},
                    "template": {
                        "metadata": {"labels": {"app": "sortie"}},
                        "spec": {
                            "containers": [{"name": "sortie", "image": "sortie:1"}],
                            "volumes": [
                                {"name": "data", "persistentVolumeClaim": {"claimName": "sortie-data"}}
                            ],
                        },
                    },
                },
                "status": {},
            },
        )
        secret = {"metadata": {"name": "sortie-secrets", "creationTimestamp": "2020-01-01T00:00:00Z"}}
        self.put(f"/api/v1/{space}/secrets/sortie-secrets", secret | {"data": encoded({"jwt-secret": "j"})})

    def move_to_postgresql(self) -> None:
        pod = self.deployment["spec"]["template"]["spec"]
        pod["containers"][0]["env"] = [{"name": "SORTIE_DB_TYPE", "value": "postgres"}]
        pod["volumes"] = [{"name": "data", "emptyDir": {}}]
        self.objects.pop(f"/api/v1/namespaces/{NAMESPACE}/pods/sortie-1", None)

    @property
    def database(self) -> Path:
        return self.data / "sortie.db"

    @property
    def deployment(self) -> Manifest:
        return self.objects[f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/sortie"]

    def record(self, kind: str) -> dict[str, Any]:
        manifest = self.objects[f"/api/v1/namespaces/{NAMESPACE}/configmaps/sortie-status"]
        found: dict[str, Any] = json.loads(manifest["data"][f"{kind}.json"])
        return found

    def get(
        self, path: str, query: Mapping[str, str] | None = None, *, metadata_only: bool = False
    ) -> Manifest | None:
        self._settle()
        return super().get(path, query, metadata_only=metadata_only)

    def send(
        self,
        method: str,
        path: str,
        body: Manifest,
        content_type: str,
        query: Mapping[str, str] | None = None,
    ) -> Manifest:
        self._reach(f"{method} {path.rpartition('/')[2]}")
        if method == "PATCH" and path.endswith("configmaps/sortie-status") and path not in self.objects:
            raise ClusterError("not found", 404)
        if method == "PATCH" and path.endswith("deployments/sortie"):
            spec, metadata = self.deployment["spec"], self.deployment["metadata"]
            spec["replicas"] = body["spec"]["replicas"]
            notes = {**metadata.get("annotations", {}), **body["metadata"]["annotations"]}
            metadata["annotations"] = {name: value for name, value in notes.items() if value is not None}
            return self.deployment
        if method == "POST" and path.endswith("/pods"):
            body = {**body, "status": {"phase": "Running"}}
        return super().send(method, path, body, content_type, query)

    def delete(self, path: str, query: Mapping[str, str] | None = None) -> None:
        self._reach(f"DELETE {path.rpartition('/')[2]}")
        self.objects.pop(path, None)

    def open_stream(self, path: str, query: Sequence[tuple[str, str]]) -> Socket:
        pod = path.split("/")[-2]
        if f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}" not in self.objects:
            raise ClusterError(f'pods "{pod}" not found', 404)
        command = [value for name, value in query if name == "command"]
        fed: list[bytes] = []
        return Socket([], fed, lambda given: self._run(command, given))

    def _run(self, command: list[str], given: bytes) -> list[bytes]:
        words = " ".join(command[:3])
        self._reach(words)
        if command[0] == "python3":
            return self._answer(command[2])
        answer = subprocess.run(
            [sys.executable, "-m", "sortie", *command[1:], "--db", str(self.database)],
            input=given,
            capture_output=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT / "app" / "src")},
        )
        found = frames(answer.stdout, answer.stderr, answer.returncode)
        if self.cut.get(words):
            self.cut[words] -= 1
            self.objects.pop(f"/api/v1/namespaces/{NAMESPACE}/pods/sortie-1", None)
            self.away = 2
            return [*found[:2], *self.cut_by]
        return found

    def _answer(self, script: str) -> list[bytes]:
        if "STEPS" in script:
            return frames(b"0001\n")
        if self.broken_applications:
            return frames(b"", b"connection refused", 1)
        connection = sqlite3.connect(self.database)
        rows = connection.execute("SELECT id, name, url FROM applications").fetchall()
        connection.close()
        return frames(
            json.dumps([dict(zip(("id", "name", "url"), row, strict=True)) for row in rows]).encode()
        )

    def _reach(self, what: str) -> None:
        self.commands.append(what)
        if self.kill_at and what.startswith(self.kill_at):
            self.kill_at = ""
            raise Killed

    def _settle(self) -> None:
        """The pods that the Deployment's replicas ask for."""
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/sortie-1"
        replicas = self.deployment["spec"]["replicas"]
        self.deployment["status"] = {
            "observedGeneration": 1,
            "replicas": replicas,
            "updatedReplicas": replicas,
            "availableReplicas": replicas,
        }
        if self.away:
            self.away -= 1
        elif not replicas:
            self.objects.pop(path, None)
        elif path not in self.objects:
            self.put(
                path,
                {
                    "metadata": {
                        "name": "sortie-1",
                        "namespace": NAMESPACE,
                        "labels": {"app": "sortie"},
                        "creationTimestamp": "2026-01-01T00:00:00Z",
                    },
                    "spec": self.deployment["spec"]["template"]["spec"],
                    "status": {"containerStatuses": [{"name": "sortie", "ready": True}]},
                },
            )
