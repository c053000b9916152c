"""The removal of a tenant takes what is the tenant's, and its data only when told so."""

from __future__ import annotations

from typing import Any

from ansible_collections.sortie.platform.plugins.plugin_utils._removal import removal_summary, tenant_removal
from ansible_collections.sortie.platform.tests.unit.plugins.tenants import absent, found, info, tenant


def entry(kind: str, name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "sortie-acme"}}


OBJECTS = [entry("ConfigMap", "sortie-config"), entry("Deployment", "sortie")]
DATA = [entry("PersistentVolumeClaim", "sortie-data"), entry("Secret", "sortie-secrets")]
THERE = found(objects=OBJECTS, data=DATA)


def kinds(removal: dict[str, Any]) -> list[str]:
    return [one["kind"] for one in removal["objects"]]


def test_data_stays_by_default() -> None:
    removal = tenant_removal(tenant(), info(acme=THERE), False)
    assert kinds(removal) == ["Deployment", "ConfigMap"]
    assert removal["kept"] == [
        "PersistentVolumeClaim sortie-data",
        "Secret sortie-secrets",
        "Namespace sortie-acme",
    ]


def test_data_goes_when_told_so_after_what_writes_it() -> None:
    removal = tenant_removal(tenant(), info(acme=THERE), True)
    assert kinds(removal) == ["Deployment", "ConfigMap", "PersistentVolumeClaim", "Secret", "Namespace"]
    assert removal["kept"] == []


def test_an_adopted_namespace_is_never_deleted() -> None:
    removal = tenant_removal(tenant(adopt_namespace=True), info(acme=THERE), True)
    assert "Namespace" not in kinds(removal)
    assert removal["kept"] == ["Namespace sortie-acme"]


def test_a_namespace_of_another_tenant_is_refused() -> None:
    removal = tenant_removal(tenant(), info(acme=found(namespace_owner="globex")), True)
    assert removal == {"refused": "namespace sortie-acme belongs to tenant globex", "objects": [], "kept": []}


def test_a_namespace_that_is_not_ours_is_refused() -> None:
    removal = tenant_removal(tenant(), info(acme=found(namespace_owner=None)), True)
    assert removal["refused"] == "namespace sortie-acme was not made by this collection"


def test_a_cluster_that_does_not_answer_is_told() -> None:
    failed = {"error": "it does not answer", "no_kubeconfig": False, "tenants": {}}
    assert "it does not answer" in tenant_removal(tenant(), failed, True)["refused"]


def test_a_tenant_that_is_not_there_needs_no_removal() -> None:
    removal = tenant_removal(tenant(), info(acme=absent()), True)
    assert removal == {"refused": "", "objects": [], "kept": []}
    assert removal_summary(removal, tenant()) == "Removed: nothing, it was not there\n"


def test_the_summary_tells_how_to_bring_the_tenant_back() -> None:
    text = removal_summary(tenant_removal(tenant(), info(acme=THERE), False), tenant())
    assert text == (
        "Removed: Deployment sortie, ConfigMap sortie-config\n"
        "Kept: PersistentVolumeClaim sortie-data, Secret sortie-secrets, Namespace sortie-acme\n"
        "Bring the tenant back: deploy.yml --limit acme\n"
        "Look at what is kept: kubectl --kubeconfig /cluster/kubeconfig --namespace sortie-acme "
        "get persistentvolumeclaims,secrets\n"
    )


def test_check_mode_says_that_nothing_was_removed() -> None:
    assert removal_summary(tenant_removal(tenant(), info(acme=THERE), False), tenant(), True).startswith(
        "Would be removed: "
    )
