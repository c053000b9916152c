"""A database that an operator runs is there before anything that needs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.sortie.platform.plugins.module_utils._cluster import KINDS, ClusterError, Manifest
from ansible_collections.sortie.platform.plugins.module_utils._postgresql import NO_OPERATOR, Wanted, ensure
from ansible_collections.sortie.platform.tests.unit.plugins.fakes import FakeApi


def path(tenant: str) -> str:
    return KINDS["Cluster"].path(f"sortie-{tenant}", "sortie-postgresql")


class Operator(FakeApi):
    """A cluster whose operator makes each database at once, unless it is said what comes of it."""

    def __init__(self, phase: str = "Cluster in healthy state") -> None:
        super().__init__()
        self.phase = phase

    def send(
        self,
        method: str,
        path: str,
        body: Manifest,
        content_type: str,
        query: Mapping[str, str] | None = None,
    ) -> Manifest:
        if body["kind"] == "Cluster":
            ready = 2 if self.phase == "Cluster in healthy state" else 0
            body = {**body, "status": {"phase": self.phase, "instances": 2, "readyInstances": ready}}
        return super().send(method, path, body, content_type, query)


def wanted(tenant: str = "acme") -> Wanted:
    space = f"sortie-{tenant}"

    def entry(kind: str, name: str, **more: Any) -> Manifest:
        return {"kind": kind, "metadata": {"name": name, "namespace": space}, **more}

    namespace = {"kind": "Namespace", "metadata": {"name": space}}
    policy = entry("NetworkPolicy", "default-deny")
    return Wanted(
        tenant, namespace, [policy, entry("Cluster", "sortie-postgresql", spec={"instances": 2})], 0
    )


def test_the_namespace_comes_first_and_all_is_told() -> None:
    outcome = ensure(Operator(), [wanted()])["acme"]
    assert outcome.changes == [
        "Namespace sortie-acme",
        "NetworkPolicy default-deny",
        "Cluster sortie-postgresql",
    ]
    assert outcome.problem == ""


def test_a_namespace_that_is_there_is_left_alone() -> None:
    api = Operator()
    api.put(KINDS["Namespace"].path(None, "sortie-acme"), {"metadata": {"name": "sortie-acme"}})
    assert "Namespace sortie-acme" not in ensure(api, [wanted()])["acme"].changes


def test_a_database_that_does_not_come_is_told_with_how_far_it_is() -> None:
    problem = ensure(Operator("Setting up primary"), [wanted()])["acme"].problem
    assert problem.startswith(
        "Cluster sortie-acme/sortie-postgresql: not ready within 0 s: 0 of 2 instances are ready"
    )


def test_a_cluster_without_the_operator_is_told_what_brings_it() -> None:
    api = Operator()
    api.refusals[path("acme")] = ClusterError("could not find the requested resource", 404)
    outcomes = ensure(api, [wanted(), wanted("globex")])
    assert outcomes["acme"].problem == NO_OPERATOR
    assert outcomes["globex"].problem == ""


def test_in_check_mode_nothing_is_waited_for() -> None:
    api = Operator("Setting up primary")
    outcome = ensure(api, [wanted()], dry_run=True)["acme"]
    assert "Cluster sortie-postgresql" in outcome.changes
    assert (outcome.problem, api.objects) == ("", {})
