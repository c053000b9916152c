"""A tenant on PostgreSQL: several pods, updates that nobody notices, and a database that will not do is refused first."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from ansible_collections.sortie.platform.plugins.module_utils._http import service_token
from ansible_collections.sortie.platform.tests.cluster.live import ROOT, Live, eventually
from ansible_collections.sortie.platform.tests.cluster.load import Load

NAMESPACE = "sortie-demo"
INVENTORY = ("--inventory", str(ROOT / "molecule" / "postgresql" / "inventory.yml"))


def deploy(live: Live, *arguments: str) -> Any:
    return live.playbook("tenants", *INVENTORY, *arguments)


def secret(live: Live, key: str, tenant: str = "demo") -> str:
    data = live.objects("secret", "sortie-secrets", "--namespace", f"sortie-{tenant}")["data"]
    return base64.b64decode(data[key]).decode()


def launches(live: Live, tenant: str = "demo") -> int:
    token = service_token(secret(live, "jwt-secret", tenant))
    answer = live.ask(tenant, "GET", "/api/analytics/stats", token=token)
    return int(answer.json()["total_launches"])


def pods(live: Live, tenant: str = "demo") -> set[str]:
    found = live.objects("pods", "--selector", "app=sortie", "--namespace", f"sortie-{tenant}")["items"]
    return {pod["metadata"]["name"] for pod in found if not pod["metadata"].get("deletionTimestamp")}


@pytest.fixture(scope="module")
def app(live: Live) -> str:
    return str(live.get("demo", "/api/apps").json()[0]["id"])


def test_it_has_two_pods_that_a_drain_leaves_one_of(live: Live) -> None:
    deployment = live.objects("deployment", "sortie", "--namespace", NAMESPACE)
    assert deployment["status"]["readyReplicas"] == 2
    rolling = deployment["spec"]["strategy"]["rollingUpdate"]
    assert (rolling["maxUnavailable"], rolling["maxSurge"]) == (0, 1)
    spread = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"][0]
    assert spread["topologyKey"] == "kubernetes.io/hostname"
    budget = live.objects("poddisruptionbudget", "sortie-pdb", "--namespace", NAMESPACE)
    eventually(
        lambda: (
            live.objects("pdb", "sortie-pdb", "--namespace", NAMESPACE)["status"]["disruptionsAllowed"] == 1
        ),
        "one pod may be disrupted",
    )
    assert budget["spec"]["minAvailable"] == 1
    volumes = deployment["spec"]["template"]["spec"]["volumes"]
    assert not [volume for volume in volumes if "persistentVolumeClaim" in volume]


def test_what_one_pod_acknowledges_the_other_one_has(live: Live, app: str) -> None:
    before = launches(live)
    for _ in range(6):
        assert live.ask("demo", "POST", "/api/analytics/launch", {"app_id": app}).status == 201
    # Each question goes to the next pod.
    assert [launches(live) for _ in range(4)] == [before + 6] * 4


def test_a_rolling_update_under_load_fails_no_request(live: Live, app: str) -> None:
    old, before = pods(live), launches(live)
    with Load(live, "demo", app) as load:
        answer = deploy(live, "--limit", "demo", "--extra-vars", "sortie_branding_tenant_name=Rolled")
        eventually(lambda: not old & pods(live), "the old pods are gone", 60)
    assert answer.returncode == 0, answer.stdout
    assert "Rolled" in live.get("demo").body.decode()
    assert load.acknowledged > 50
    assert load.failures() == []
    assert launches(live) == before + load.acknowledged


def test_a_pod_that_dies_under_load_loses_nothing_that_was_acknowledged(live: Live, app: str) -> None:
    before, victim = launches(live), min(pods(live))
    with Load(live, "demo", app) as load:
        live.kubectl("delete", "pod", victim, "--namespace", NAMESPACE, "--grace-period", "0", "--force")
        eventually(lambda: len(pods(live) - {victim}) == 2, "its successor is there", 60)
        so_far = load.acknowledged
        eventually(lambda: load.acknowledged > so_far + 20, "launches go on", 60)
    # An unanswered launch may have been counted; an answered one must have been.
    assert launches(live) >= before + load.acknowledged
    print(f"\na pod killed: {len(load.failures())} of {len(load.seen)} requests failed")


def test_on_sqlite_the_gap_of_an_update_is_a_503_with_words_and_loses_nothing(live: Live) -> None:
    """One writer at a time: there is a gap, which is measured; whoever asks in it is told to come back."""
    app = str(live.get("small", "/api/apps").json()[0]["id"])
    before = launches(live, "small")
    with Load(live, "small", app) as load:
        answer = deploy(live, "--limit", "small", "--extra-vars", "sortie_branding_tenant_name=Updated")
    assert answer.returncode == 0, answer.stdout
    assert launches(live, "small") >= before + load.acknowledged
    assert load.failures()
    assert {seen.status for seen in load.failures()} == {503}
    assert {seen.retry_after for seen in load.failures()} == {"2"}
    print(f"\nSQLite, Recreate: no write for {load.longest_gap('POST'):.1f} s")


def with_dsn(live: Live, dsn: str) -> Any:
    """A deployment of the tenant with another database, given in a file as a vault would."""
    path = live.local / "dsn.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps({"sortie_database_dsn": dsn}))
    try:
        return deploy(live, "--limit", "demo", "--extra-vars", f"@{path}")
    finally:
        path.unlink()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("sortie:", "sortie:wrong"), "refuses the user or the password"),
        (("@postgresql.databases/sortie", "@postgresql.databases/nowhere"), "no database of that name"),
        (("@postgresql.databases/sortie", "@postgresql.databases/sortie?sslmode=require"), "speaks no TLS"),
        (("@postgresql.databases/", "@postgresql.databases:1/"), "nothing listens"),
    ],
    ids=["password", "name", "tls", "port"],
)
def test_a_database_that_will_not_do_is_refused_before_anything_changes(
    live: Live, change: tuple[str, str], told: str
) -> None:
    good, old = secret(live, "database-dsn"), pods(live)
    bad = (
        good.replace("postgresql://sortie:", f"postgresql://{change[1]}")
        if change[0] == "sortie:"
        else good.replace(*change)
    )
    assert bad != good
    answer = with_dsn(live, bad)
    assert answer.returncode != 0
    assert told in answer.stdout
    assert "nothing of it was changed" in answer.stdout
    for word in (bad, good.split(":")[2].split("@")[0]):
        assert word not in answer.stdout + answer.stderr
    assert secret(live, "database-dsn") == good
    assert pods(live) == old
    left = live.objects("pods,secrets", "--namespace", NAMESPACE)["items"]
    assert not [entry for entry in left if entry["metadata"]["name"] == "sortie-database-check"]


def test_while_the_server_restarts_visitors_are_answered_and_nothing_acknowledged_is_lost(
    live: Live, app: str
) -> None:
    before = launches(live)
    with Load(live, "demo", app) as load:
        # The data stays: a container that ends is started again in its pod.
        live.kubectl(
            "exec",
            "deployment/postgresql",
            "--namespace",
            "databases",
            "--",
            "pg_ctl",
            "stop",
            "--mode=immediate",
            check=False,
        )
        eventually(lambda: bool(load.failures("POST")), "writes fail", 30)
        failed = len(load.failures("POST"))
        done = load.acknowledged
        eventually(
            lambda: load.acknowledged > done + 5 and len(load.failures("POST")) >= failed,
            "writes answer again",
            60,
        )
    assert load.failures("GET") == []
    assert {seen.status for seen in load.failures("POST")} == {503}
    assert launches(live) >= before + load.acknowledged
    print(f"\nPostgreSQL killed: no write for {load.longest_gap('POST'):.1f} s, every read answered")
