"""The status of tenants is told in a table or as JSON, and what is not well is named."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.sortie.platform.plugins.plugin_utils._status import (
    status_failure,
    status_text,
    tenant_endpoints,
    tenant_statuses,
    version,
)
from ansible_collections.sortie.platform.tests.unit.plugins.tenants import absent, found, info, tenant

WELL = {"healthy": True, "message": "", "milliseconds": 12}


def status(there: dict[str, Any], answer: dict[str, Any] | None = None) -> dict[str, Any]:
    health = {"tenants": {"acme": answer or WELL}}
    return tenant_statuses([tenant()], info(acme=there), health)[0]


def test_a_tenant_that_runs_and_answers_is_well() -> None:
    assert status(found()) == {
        "tenant": "acme",
        "url": "https://acme.example.com",
        "version": "1",
        "health": "well",
        "problem": "",
        "database": "sqlite",
        "pods": "1/1",
        "certificate": "2027-01-01",
        "policies": "off",
        "backup": "-",
        "drill": "-",
        "backup_age_seconds": None,
        "drill_age_seconds": None,
        "load_balancer": "-",
        "image": "sortie:1",
        "milliseconds": 12,
    }


@pytest.mark.parametrize(
    ("there", "answer", "problem"),
    [
        (absent(), WELL, "not deployed"),
        (found(namespace_owner="globex"), WELL, "not deployed"),
        (found(deployment=None), WELL, "its Deployment does not exist"),
        (found(), {**WELL, "healthy": False, "message": "answered 503"}, "answered 503"),
        (
            found(
                deployment={
                    "settled": False,
                    "message": "old pods",
                    "image": "a",
                    "replicas": 1,
                    "available": 1,
                }
            ),
            WELL,
            "old pods",
        ),
    ],
)
def test_what_is_the_matter_is_told(there: dict[str, Any], answer: dict[str, Any], problem: str) -> None:
    found_status = status(there, answer)
    assert (found_status["health"], found_status["problem"]) == ("not well", problem)
    assert status_failure([found_status]) == f"Not every tenant is well.\nacme: {problem}"


def test_the_age_of_the_last_good_backup_and_drill_is_told() -> None:
    good = (datetime.now(UTC) - timedelta(hours=3)).isoformat(timespec="seconds")
    told = status(found(records={"backup": {"ok": True, "time": good}, "restore": {"ok": True}}))
    assert (told["backup"], told["drill"], told["problem"]) == ("3 h", "-", "")
    assert 10800 <= told["backup_age_seconds"] < 10860


def test_a_tenant_whose_last_backup_failed_is_not_well() -> None:
    good = (datetime.now(UTC) - timedelta(days=2)).isoformat(timespec="seconds")
    failed = {
        "ok": False,
        "time": good,
        "failed_at": "2026-01-01T03:15:04+00:00",
        "error": "no room. Next: x",
    }
    told = status(found(records={"backup": failed, "drill": {"ok": False, "time": ""}}))
    assert (told["backup"], told["drill"], told["health"]) == ("FAILED (2 d)", "FAILED (-)", "not well")
    assert "the last backup failed (2026-01-01T03:15:04+00:00): no room. Next: x" in told["problem"]


def test_a_cluster_that_does_not_answer_is_told() -> None:
    failed = {"error": "it does not answer", "no_kubeconfig": False, "tenants": {}}
    answer = {"tenants": {"acme": {**WELL, "healthy": False, "message": "x"}}}
    assert "it does not answer" in tenant_statuses([tenant()], failed, answer)[0]["problem"]


@pytest.mark.parametrize(
    ("image", "told"),
    [
        ("registry:5000/sortie:1.2", "1.2"),
        ("registry:5000/sortie:1.2@sha256:" + "a" * 64, "1.2"),
        ("registry:5000/sortie@sha256:" + "a" * 64, "a" * 12),
        ("registry:5000/sortie", "latest"),
    ],
)
def test_a_version_is_the_tag_or_the_beginning_of_the_digest(image: str, told: str) -> None:
    assert version({"image": image}) == told


def test_json_holds_every_field() -> None:
    statuses = [status(found())]
    assert json.loads(status_text(statuses, "json")) == statuses


def test_a_table_names_the_columns() -> None:
    head, row = status_text([status(found())]).splitlines()
    columns = [
        "TENANT",
        "URL",
        "VERSION",
        "HEALTH",
        "DATABASE",
        "PODS",
        "CERTIFICATE",
        "POLICIES",
        "BACKUP",
        "DRILL",
    ]
    assert head.split() == columns
    told = ["acme", "https://acme.example.com", "1", "well", "sqlite", "1/1", "2027-01-01", "off", "-", "-"]
    assert row.split() == told


def test_a_tenant_is_asked_where_its_ingress_is() -> None:
    endpoint = tenant_endpoints([tenant(ingress_port=8443, ingress_address="127.0.0.1", tls="self_signed")])[
        0
    ]
    assert (endpoint["host"], endpoint["port"], endpoint["address"], endpoint["tls"]) == (
        "acme.example.com",
        8443,
        "127.0.0.1",
        True,
    )


def test_a_load_balancer_without_an_address_is_told() -> None:
    pending = status(found(load_balancer="pending"))
    assert (pending["load_balancer"], pending["health"]) == ("pending", "well")
    assert "LOAD BALANCER" in status_text([pending])
    assert "LOAD BALANCER" not in status_text([status(found())])


@pytest.mark.parametrize(("plugin", "told"), [("Calico", "Calico"), ("", "not enforced"), (None, "unknown")])
def test_whether_policies_are_enforced_is_told(plugin: str | None, told: str) -> None:
    closed = tenant()
    closed["manifests"] = [*closed["manifests"], {"kind": "NetworkPolicy", "metadata": {"name": "sortie"}}]
    given = {**info(acme=found()), "policy_plugin": plugin}
    assert tenant_statuses([closed], given, {"tenants": {"acme": WELL}})[0]["policies"] == told
