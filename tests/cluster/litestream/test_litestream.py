"""The volume of a streamed tenant is lost: what comes back, and what does not."""

from __future__ import annotations

import base64
import json
import re
import secrets
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from ansible_collections.sortie.platform.plugins.module_utils._http import (
    Client,
    Endpoint,
    HttpError,
    service_token,
)
from ansible_collections.sortie.platform.tests.cluster.live import ROOT, Live, eventually

INVENTORY = ROOT / "molecule" / "litestream" / "inventory.yml"
# The default of sortie_litestream_sync_interval, and how many of them a write may take to the store on a busy machine.
SYNC_SECONDS, SYNCS = 1.0, 10


def client(live: Live, tenant: str) -> Client:
    port = live.variables["common_https_port"]
    authority = str(live.local / "ca" / "ca.crt")
    return Client(Endpoint(f"{tenant}.localhost", port, "127.0.0.1", ca_file=authority))


def token(live: Live, tenant: str) -> str:
    secret = live.objects("secret", "sortie-secrets", "--namespace", f"sortie-{tenant}")
    return service_token(base64.b64decode(secret["data"]["jwt-secret"]).decode())


@dataclass
class Writer:
    """Adds applications one after the other, and remembers when each was acknowledged."""

    live: Live
    tenant: str
    # So that an earlier run's are told from this one's.
    prefix: str = field(default_factory=lambda: f"written-{secrets.token_hex(3)}")
    acknowledged: dict[str, float] = field(default_factory=dict)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def work(self) -> None:
        asked, signed = client(self.live, self.tenant), token(self.live, self.tenant)
        number = 0
        while not self._stopped.wait(0.05):
            name = f"{self.prefix}-{number:05d}"
            app = {"id": name, "name": name, "url": "https://example.org"}
            try:
                asked.post("/api/apps", app, signed)
            except HttpError:
                continue
            self.acknowledged[name] = time.monotonic()
            number += 1
        asked.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        thread = threading.Thread(target=self.work)
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join()


def pod_of(live: Live, tenant: str) -> dict[str, str]:
    pods = live.objects("pods", "--selector", "app=sortie", "--namespace", f"sortie-{tenant}")["items"]
    metadata: dict[str, str] = pods[0]["metadata"]
    return metadata


def kill_everything(live: Live, uid: str) -> None:
    """End all processes of a pod in one moment, as a lost machine does: nothing is sent any more."""
    script = f"kill -9 $(grep -l {uid} /proc/[0-9]*/cgroup | cut -d/ -f3)"
    subprocess.run(["podman", "exec", live.container, "sh", "-c", script], check=True, capture_output=True)


def lose_volume(live: Live, tenant: str, *, killed: bool) -> float:
    """The pod ends and its volume is deleted; the moment from which nothing was sent any more."""
    namespace, pod = ("--namespace", f"sortie-{tenant}"), pod_of(live, tenant)
    live.kubectl("delete", "pvc", "sortie-data", "--wait=false", *namespace)
    if killed:
        kill_everything(live, pod["uid"])
    moment = time.monotonic()
    grace = ["--grace-period=0", "--force"] if killed else []
    live.kubectl("delete", "pod", pod["name"], *grace, *namespace)
    eventually(
        lambda: live.kubectl("get", "pvc", "sortie-data", *namespace, check=False).returncode != 0,
        "the volume is gone",
    )
    return moment


def bring(live: Live, tenant: str) -> None:
    answer = live.playbook("tenants", "--inventory", str(INVENTORY), "--limit", tenant)
    assert answer.returncode == 0, answer.stdout


def present(writer: Writer) -> list[str]:
    asked = client(writer.live, writer.tenant)
    served = asked.get("/api/apps", token(writer.live, writer.tenant)).json()
    return sorted(app["id"] for app in served if app["id"].startswith(writer.prefix))


def test_a_planned_end_and_the_loss_of_the_volume_lose_nothing(live: Live) -> None:
    writer = Writer(live, "filed")
    with writer.writing():
        eventually(lambda: len(writer.acknowledged) >= 20, "twenty writes are acknowledged")
        lose_volume(live, "filed", killed=False)
    bring(live, "filed")
    assert present(writer) == sorted(writer.acknowledged)


def connect_store(live: Live, port: int) -> None:
    """Have the store's Service lead to this port of its pod; nothing listens but on 7070."""
    patch = json.dumps({"spec": {"ports": [{"port": 7070, "targetPort": port}]}})
    live.kubectl("patch", "service", "store", "--namespace", "store", "--patch", patch)


def restore_has_begun(live: Live) -> bool:
    pods = live.objects("pods", "--selector", "app=sortie", "--namespace", "sortie-stream")["items"]
    return any(
        container["name"] == "litestream-restore" and "waiting" not in container["state"]
        for pod in pods
        for container in pod["status"].get("initContainerStatuses") or []
    )


def test_the_sudden_loss_of_pod_and_volume_loses_the_last_seconds_at_most(
    live: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = Writer(live, "stream")
    with writer.writing():
        started = time.monotonic()
        eventually(
            lambda: time.monotonic() - started > 2 * SYNCS * SYNC_SECONDS, "more was written than may be lost"
        )
        moment = lose_volume(live, "stream", killed=True)
    # While the replica cannot be asked, the application must not begin with an empty database.
    connect_store(live, 7071)
    with ThreadPoolExecutor(1) as pool:
        brought = pool.submit(bring, live, "stream")
        eventually(lambda: restore_has_begun(live), "Litestream asks its store")
        assert client(live, "stream").request("GET", "/api/apps").status == 503
        connect_store(live, 7070)
        brought.result()

    there = present(writer)
    lost = sorted(set(writer.acknowledged) - set(there))
    # What is lost is the end, and nothing in the middle.
    assert sorted(writer.acknowledged)[: len(there)] == there
    window = moment - min((writer.acknowledged[name] for name in lost), default=moment)
    with capsys.disabled():
        print(
            f"\n{len(writer.acknowledged)} writes acknowledged, {len(lost)} lost, the oldest {window:.1f} s old"
        )
    assert there
    assert window <= SYNCS * SYNC_SECONDS


ASK = """
import http.client, sys
method, host, path, body = sys.argv[1:]
connection = http.client.HTTPConnection(host, 80, timeout=10)
connection.request(method, path, body.encode(), {"Content-Type": "application/json"})
answer = connection.getresponse()
print(answer.status, answer.read().decode())
"""


def read(live: Live, method: str, path: str, body: str = "") -> tuple[int, str]:
    """Asks Service sortie-read from inside the cluster; the status and the body."""
    namespace = ("--namespace", "sortie-stream")
    pods = live.objects("pods", "--selector", "app=sortie-read", *namespace)["items"]
    command = ("python", "-c", ASK, method, "sortie-read.sortie-stream", path, body)
    name = pods[0]["metadata"]["name"]
    answer = live.kubectl("exec", name, *namespace, "--container", "sortie", "--", *command)
    status, _space, said = answer.stdout.partition(" ")
    return int(status), said


def test_read_replicas_serve_what_was_written_and_refuse_writes(live: Live) -> None:
    app = {"id": "read-me", "name": "Read me", "url": "https://example.org"}
    asked, signed = client(live, "stream"), token(live, "stream")
    asked.post("/api/apps", app, signed)
    eventually(
        lambda: '"read-me"' in read(live, "GET", "/api/apps")[1], "the replicas serve the new application"
    )
    status, body = read(live, "POST", "/api/analytics/launch", '{"app_id": "read-me"}')
    assert (status, json.loads(body)["error"]["code"]) == (503, "read_only")
    status, body = read(live, "GET", "/metrics")
    assert status == 200
    assert re.search(r"^sortie_replica_lag_seconds [0-9.]+$", body, re.MULTILINE)
    assert asked.request("DELETE", "/api/apps/read-me", token=signed).status == 204
    eventually(lambda: '"read-me"' not in read(live, "GET", "/api/apps")[1], "the replicas have seen it go")


def test_read_replicas_answer_while_the_primary_is_away(live: Live) -> None:
    deployment = ("deployment/sortie", "--namespace", "sortie-stream")
    before = read(live, "GET", "/api/apps")
    live.kubectl("scale", "--replicas=0", *deployment)
    try:
        eventually(
            lambda: (
                not live.objects("pods", "--selector", "app=sortie", "--namespace", "sortie-stream")["items"]
            ),
            "the primary is gone",
        )
        assert read(live, "GET", "/api/apps") == before
        assert before[0] == 200
    finally:
        live.kubectl("scale", "--replicas=1", *deployment)
        live.kubectl("rollout", "status", *deployment, "--timeout=180s")
