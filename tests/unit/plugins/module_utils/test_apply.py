"""Objects of many namespaces are applied together, and each tells how that went."""

from __future__ import annotations

from typing import Any

from ansible_collections.sortie.platform.plugins.module_utils._apply import apply_all
from ansible_collections.sortie.platform.plugins.module_utils._cluster import ClusterError
from ansible_collections.sortie.platform.tests.unit.plugins.fakes import FakeApi


def namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def config(tenant: str, value: str = "a") -> dict[str, Any]:
    metadata = {"name": "sortie-config", "namespace": tenant}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"key": value}}


def path(tenant: str) -> str:
    return f"/api/v1/namespaces/{tenant}/configmaps/sortie-config"


def test_objects_of_a_namespace_are_applied_in_their_order() -> None:
    api, tenants = FakeApi(), [f"tenant-{number}" for number in range(30)]
    manifests = [one for tenant in tenants for one in (namespace(tenant), config(tenant))]
    assert [result["changed"] for result in apply_all(api, manifests)] == [True] * 60
    patched = [place for verb, place in api.requests if verb == "PATCH"]
    for tenant in tenants:
        assert patched.index(f"/api/v1/namespaces/{tenant}") < patched.index(path(tenant))


def test_the_second_time_nothing_changes() -> None:
    api, manifests = FakeApi(), [namespace("acme"), config("acme")]
    apply_all(api, manifests)
    assert apply_all(api, manifests) == [{"changed": False}, {"changed": False}]


def test_what_the_server_notes_for_itself_is_no_change() -> None:
    api = FakeApi()
    there = config("acme") | {"status": {"phase": "old"}}
    there["metadata"] |= {"resourceVersion": "7", "generation": 3, "managedFields": [{}]}
    api.put(path("acme"), there)
    assert apply_all(api, [config("acme")]) == [{"changed": False}]


def test_a_change_is_told_with_before_and_after() -> None:
    api = FakeApi()
    api.put(path("acme"), config("acme", "old"))
    (result,) = apply_all(api, [config("acme", "new")])
    assert result["changed"]
    assert result["diff"]["before"]["data"] == {"key": "old"}
    assert result["diff"]["after"]["data"] == {"key": "new"}


def test_a_new_object_has_nothing_before() -> None:
    (result,) = apply_all(FakeApi(), [config("acme")])
    assert result["diff"] == {"before": {}, "after": config("acme")}


def test_a_dry_run_tells_the_same_and_changes_nothing() -> None:
    api = FakeApi()
    api.put(path("acme"), config("acme", "old"))
    (result,) = apply_all(api, [config("acme", "new")], dry_run=True)
    assert result["diff"]["after"]["data"] == {"key": "new"}
    assert api.objects[path("acme")]["data"] == {"key": "old"}


def test_an_object_that_is_refused_stops_no_other() -> None:
    api = FakeApi()
    api.refusals[path("acme")] = ClusterError("exceeded quota", 403)
    results = apply_all(api, [namespace("acme"), config("acme"), config("globex")])
    assert [result["changed"] for result in results] == [True, False, True]
    assert results[1]["error"] == {"msg": "exceeded quota", "status": 403}
