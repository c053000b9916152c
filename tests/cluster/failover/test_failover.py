"""A tenant whose PostgreSQL CloudNativePG runs: what is lost when a part of it ends, and pods that follow the load."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.sortie.platform.tests.cluster.live import ROOT, Live, eventually
from ansible_collections.sortie.platform.tests.cluster.load import Load
from ansible_collections.sortie.platform.tests.cluster.tenant import Tenant

NAMESPACE = "sortie-demo"
FEWEST_PODS = 2
INVENTORY = ("--inventory", str(ROOT / "molecule" / "failover" / "inventory.yml"))


@pytest.fixture(scope="module")
def demo(live: Live) -> Tenant:
    return Tenant(live, "demo")


@pytest.fixture(scope="module")
def app(demo: Tenant) -> str:
    return min(demo.applications())


def database(live: Live) -> dict[str, Any]:
    found: dict[str, Any] = live.objects("cluster", "sortie-postgresql", "--namespace", NAMESPACE)
    return found


def primary(live: Live) -> str:
    return str(database(live)["status"]["currentPrimary"])


def healthy(live: Live) -> bool:
    status = database(live)["status"]
    return bool(status["phase"] == "Cluster in healthy state" and status["readyInstances"] == 2)


def query(live: Live, statement: str) -> list[str]:
    """The lines that the primary answers."""
    command = ("psql", "--no-psqlrc", "--tuples-only", "--no-align", "--command", statement)
    place = ("--namespace", NAMESPACE, "--container", "postgres", primary(live), "--", *command)
    return live.kubectl("exec", *place).stdout.split()


def kill(live: Live, pod: str) -> None:
    live.kubectl("delete", "pod", pod, "--namespace", NAMESPACE, "--grace-period", "0", "--force")


def pods(live: Live) -> set[str]:
    found = live.objects("pods", "--selector", "app=sortie", "--namespace", NAMESPACE)["items"]
    return {pod["metadata"]["name"] for pod in found if not pod["metadata"].get("deletionTimestamp")}


def test_a_standby_has_each_write_and_the_application_knows_its_server(live: Live) -> None:
    assert query(live, "SELECT sync_state FROM pg_stat_replication") == ["quorum"]
    sessions = (
        "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'sortie'"
    )
    assert set(query(live, sessions)) == {"t"}
    deployment = live.objects("deployment", "sortie", "--namespace", NAMESPACE)
    environment = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "PGSSLMODE", "value": "verify-full"} in environment


def test_every_pod_of_the_database_is_restricted(live: Live) -> None:
    namespace = live.objects("namespace", NAMESPACE)
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    found = live.objects("pods", "--selector", "cnpg.io/cluster=sortie-postgresql", "--namespace", NAMESPACE)
    instances = [
        pod for pod in found["items"] if pod["metadata"]["labels"].get("cnpg.io/podRole") == "instance"
    ]
    assert len(instances) == 2
    for pod in instances:
        for container in pod["spec"]["containers"]:
            context = container["securityContext"]
            assert (context["readOnlyRootFilesystem"], context["allowPrivilegeEscalation"]) == (True, False)


def test_the_end_of_the_primary_loses_nothing_that_was_acknowledged(
    live: Live, demo: Tenant, app: str
) -> None:
    before, old = demo.launches(), primary(live)
    with Load(live, "demo", app) as load:
        eventually(lambda: load.acknowledged > 20, "launches are acknowledged", 60)
        kill(live, old)
        eventually(lambda: primary(live) != old, "the standby is the primary")
        so_far = load.acknowledged
        eventually(lambda: load.acknowledged > so_far + 20, "launches are acknowledged again")
    # An unanswered launch may have been counted; an answered one must have been.
    assert demo.launches() >= before + load.acknowledged
    # Visitors see the catalogue as it was last; writes are told to come back.
    assert load.failures("GET") == []
    assert {seen.status for seen in load.failures("POST")} <= {503}
    eventually(lambda: healthy(live), "the old primary is a standby")
    print(f"\nprimary killed: no write for {load.longest_gap('POST'):.1f} s, every read answered")


def test_the_end_of_a_pod_of_the_application_loses_nothing_that_was_acknowledged(
    live: Live, demo: Tenant, app: str
) -> None:
    before, victim = demo.launches(), min(pods(live))
    with Load(live, "demo", app) as load:
        eventually(lambda: load.acknowledged > 20, "launches are acknowledged", 60)
        kill(live, victim)
        so_far = len(load.seen) - len(load.failures())
        eventually(lambda: len(load.seen) - len(load.failures()) > so_far + 40, "the other pod answers", 60)
        eventually(lambda: len(pods(live) - {victim}) >= FEWEST_PODS, "its successor is there", 60)
    assert demo.launches() >= before + load.acknowledged
    print(f"\na pod killed: {len(load.failures())} of {len(load.seen)} requests failed")


def test_pods_follow_the_load_and_no_request_fails(live: Live, app: str) -> None:
    def replicas() -> int:
        scaler = live.objects("horizontalpodautoscaler", "sortie-hpa", "--namespace", NAMESPACE)
        assert scaler["spec"]["minReplicas"] == FEWEST_PODS
        return int(scaler["status"].get("currentReplicas", 0))

    eventually(lambda: replicas() == FEWEST_PODS, "the autoscaler has begun")
    with Load(live, "demo", app, clients=1, pause=0.5) as visitor:
        with Load(live, "demo", app, clients=4, pause=0) as crowd:
            eventually(lambda: replicas() > FEWEST_PODS, "there are more pods", 180)
        eventually(lambda: replicas() == FEWEST_PODS, "there are as few as before", 180)
    assert crowd.failures() == []
    assert visitor.failures() == []
    print(f"\n{len(crowd.seen)} requests made a third pod, and {len(visitor.seen)} saw no pod go")


def test_a_tenant_moves_to_it_and_back(live: Live) -> None:
    def move(database: str) -> Any:
        return live.playbook(
            "migrate", *INVENTORY, "--limit", "small", "--extra-vars", f"sortie_database={database}"
        )

    small = Tenant(live, "small")
    for number in range(3):
        small.add(f"made-by-hand-{number}")
    held = small.applications()
    moved = move("postgresql")
    assert moved.returncode == 0, moved.stdout
    assert "small is on postgresql" in moved.stdout
    # Nobody has written its address anywhere.
    assert "database-dsn" not in small.secret()
    small.add("made-there")
    # What is served now is that, and no deployment begins another one empty.
    refused = live.playbook("tenants", *INVENTORY, "--limit", "small")
    assert refused.returncode != 0
    assert "its data is in postgresql, and sortie_database is sqlite" in refused.stdout
    back = move("sqlite")
    assert back.returncode == 0, back.stdout
    assert small.applications() == held | {"made-there"}
