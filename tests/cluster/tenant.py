"""A tenant of the test cluster, as its users, its administrator and whoever keeps its backups see it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.sortie.platform.plugins.module_utils._http import (
    Answer,
    Client,
    Endpoint,
    HttpError,
    service_token,
)
from ansible_collections.sortie.platform.plugins.module_utils._sqlite_file import DatabaseFacts, inspect
from ansible_collections.sortie.platform.tests.cluster.live import ROOT, Live, eventually

# Tenants `demo` and `spare`.
INVENTORY = ROOT / "molecule" / "backup" / "inventory.yml"


@dataclass(frozen=True)
class Tenant:
    """A tenant of the test cluster."""

    live: Live
    name: str

    @property
    def namespace(self) -> str:
        return f"sortie-{self.name}"

    @property
    def repository(self) -> Path:
        return self.live.local / "backups" / self.name

    @property
    def key(self) -> Path:
        return self.live.local / "backup-keys" / self.name

    def playbook(self, name: str, *arguments: str, **variables: object) -> subprocess.CompletedProcess[str]:
        """Runs a playbook for this tenant alone."""
        more = ("--extra-vars", json.dumps(variables)) if variables else ()
        return self.live.playbook(name, "-i", str(INVENTORY), "--limit", self.name, *more, *arguments)

    def good(self, name: str, *arguments: str, **variables: object) -> str:
        """The output of a playbook that must not fail."""
        answer = self.playbook(name, *arguments, **variables)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        return answer.stdout

    def refused(self, name: str, *arguments: str, **variables: object) -> str:
        """The output of a playbook that must fail."""
        answer = self.playbook(name, *arguments, **variables)
        assert answer.returncode != 0, answer.stdout
        return " ".join(answer.stdout.split())

    def record(self, kind: str) -> dict[str, Any]:
        """What the last run left in the cluster."""
        status = self.live.objects("configmap", "sortie-status", "--namespace", self.namespace)
        record: dict[str, Any] = json.loads(status["data"][f"{kind}.json"])
        return record

    def client(self) -> Client:
        port, authority = self.live.variables["common_https_port"], self.live.local / "ca" / "ca.crt"
        return Client(Endpoint(f"{self.name}.localhost", port, "127.0.0.1", ca_file=str(authority)))

    def secret(self) -> dict[str, str]:
        """The tenant's own Secret."""
        found = self.live.objects("secret", "sortie-secrets", "--namespace", self.namespace)
        return {name: base64.b64decode(value).decode() for name, value in found["data"].items()}

    def call(self, method: str, path: str, body: Any = None) -> Answer:
        """A request as an administrator."""
        token = service_token(self.secret()["jwt-secret"])
        client = self.client()
        try:
            return client.request(method, path, body, token)
        finally:
            client.close()

    def add(self, application: str) -> None:
        body = {"id": application, "name": application, "url": "https://example.com", "category": "Tests"}
        answer = self.call("POST", "/api/apps", body)
        assert answer.status == 201, answer.body

    def applications(self) -> set[str]:
        return {app["id"] for app in self.live.get(self.name, "/api/apps").json()}

    def launches(self) -> int:
        return int(self.call("GET", "/api/analytics/stats").json()["total_launches"])

    def serves(self) -> bool:
        try:
            return self.live.get(self.name, "/readyz").status == 200
        except HttpError:
            return False

    def restic(self, *arguments: str) -> bytes:
        """Restic on the tenant's repository, as a person without this collection would call it."""
        environment = {
            **os.environ,
            "RESTIC_PASSWORD_FILE": str(self.key),
            "RESTIC_REPOSITORY": str(self.repository),
        }
        command = ["restic", "--no-cache", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, check=True).stdout

    def snapshots(self) -> list[str]:
        """Ids of the good snapshots, oldest first, without those that restores made before they began."""
        listed = json.loads(self.restic("snapshots", "--json", "--tag", "verified"))
        made = [entry for entry in listed if "safety" not in entry["tags"]]
        return [entry["id"][:8] for entry in sorted(made, key=lambda entry: str(entry["time"]))]

    def database(self, snapshot: str, target: Path) -> DatabaseFacts:
        """What the database of a snapshot holds."""
        target.write_bytes(self.restic("dump", snapshot, "/sortie.db"))
        return inspect(target, full=True)

    def pod(self) -> str:
        pods = self.live.objects("pods", "--namespace", self.namespace, "--selector", "app=sortie")["items"]
        assert len(pods) == 1
        return str(pods[0]["metadata"]["name"])


class Writer:
    """Launches an application again and again. `acknowledged` launches are durable; `unsure` may be."""

    def __init__(self, tenant: Tenant, application: str) -> None:
        self._tenant, self._application = tenant, application
        self.acknowledged = self.unsure = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)

    def _write(self) -> None:
        client = self._tenant.client()
        while not self._stop.is_set():
            try:
                answer = client.request("POST", "/api/analytics/launch", {"app_id": self._application})
            except HttpError:
                self.unsure += 1
                self._stop.wait(0.2)
            else:
                self.acknowledged += answer.status < 300
                self._stop.wait(0.2 if answer.status >= 500 else 0)
        client.close()

    def start(self) -> None:
        self._thread.start()
        eventually(lambda: self.acknowledged > 0, "a launch is acknowledged")

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


@contextmanager
def writing(tenant: Tenant) -> Iterator[Writer]:
    """Somebody writes to the tenant as fast as it answers."""
    writer = Writer(tenant, min(tenant.applications()))
    writer.start()
    try:
        yield writer
    finally:
        writer.stop()


def rows(facts: DatabaseFacts | Mapping[str, Any], table: str) -> int:
    tables = facts.tables if isinstance(facts, DatabaseFacts) else facts["tables"]
    return int(tables[table])
