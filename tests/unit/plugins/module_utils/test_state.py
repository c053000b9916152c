"""What a cluster holds of tenants is told completely, and with few requests."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.sortie.platform.plugins.module_utils._cluster import KINDS, ClusterError
from ansible_collections.sortie.platform.plugins.module_utils._state import (
    DATA,
    PRUNED,
    Tenant,
    provider_of,
    read,
)
from ansible_collections.sortie.platform.tests.unit.plugins.fakes import GROUPS, FakeApi, encoded

OWNED = {"app.kubernetes.io/managed-by": "sortie.platform", "sortie.platform/tenant": "acme"}
ACME = Tenant("acme", "sortie-acme", host="acme.example.com")


def manifest(name: str, namespace: str = "sortie-acme", **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace, "labels": labels}}


def namespace(api: FakeApi, name: str, **labels: str) -> None:
    api.put(f"/api/v1/namespaces/{name}", {"metadata": {"name": name, "labels": labels}})


def acme(api: FakeApi, **arguments: Any) -> dict[str, Any]:
    found: dict[str, Any] = read(api, [ACME], **arguments)["tenants"]["acme"]
    return found


def test_a_tenant_that_is_not_there() -> None:
    found = acme(FakeApi())
    assert found["namespace_exists"] is False
    assert found["deployment"] is None
    assert found["certificate"] is None
    assert found["objects"] == []


def test_objects_with_the_labels_are_the_tenants() -> None:
    api = FakeApi()
    api.put("/api/v1/namespaces/sortie-acme/configmaps/mine", manifest("mine", **OWNED))
    api.put("/api/v1/namespaces/sortie-acme/configmaps/theirs", manifest("theirs", app="sortie"))
    api.put("/api/v1/namespaces/other/configmaps/copied", manifest("copied", "other", **OWNED))
    assert [entry["metadata"]["name"] for entry in acme(api)["objects"]] == ["mine"]


def test_volumes_and_secrets_are_listed_only_as_data() -> None:
    api = FakeApi()
    path = "/api/v1/namespaces/sortie-acme/persistentvolumeclaims/sortie-data"
    api.put(path, manifest("sortie-data", **OWNED))
    assert acme(api)["objects"] == []
    assert [entry["kind"] for entry in acme(api, with_data=True)["data"]] == ["PersistentVolumeClaim"]


def test_whose_a_namespace_is() -> None:
    api = FakeApi()
    namespace(api, "sortie-acme", **{"sortie.platform/tenant": "globex"})
    assert acme(api)["namespace_owner"] == "globex"


def test_a_namespace_without_the_label_has_no_owner() -> None:
    api = FakeApi()
    namespace(api, "sortie-acme")
    found = acme(api)
    assert (found["namespace_exists"], found["namespace_owner"]) == (True, None)


def test_other_namespaces_of_a_tenant_are_found() -> None:
    api = FakeApi()
    namespace(api, "sortie", **{"sortie.platform/tenant": "acme"})
    assert acme(api)["other_namespaces"] == ["sortie"]


def test_keys_of_the_secret_are_told() -> None:
    api = FakeApi()
    secret = {**manifest("sortie-secrets"), "data": encoded({"jwt-secret": "key", "admin-password": "word"})}
    api.put("/api/v1/namespaces/sortie-acme/secrets/sortie-secrets", secret)
    found = acme(api)
    assert found["secret_keys"] == ["admin-password", "jwt-secret"]
    assert found["jwt_secret"] == "key"


def test_secrets_of_other_names_are_not_read() -> None:
    api = FakeApi()
    acme(api)
    assert ("GET", "/api/v1/secrets") in api.requests
    assert not [path for _method, path in api.requests if path.endswith("secrets/other")]


def test_a_deployment_tells_its_image_and_whether_it_is_settled() -> None:
    api = FakeApi()
    deployment = {
        **manifest("sortie", **OWNED),
        "spec": {"replicas": 1, "template": {"spec": {"containers": [{"image": "sortie:1"}]}}},
        "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1},
    }
    deployment["metadata"]["generation"] = 1
    api.put("/apis/apps/v1/namespaces/sortie-acme/deployments/sortie", deployment)
    expected = {
        "settled": True,
        "message": "",
        "database": "postgresql",
        "provider": "dsn",
        "image": "sortie:1",
        "replicas": 1,
        "available": 1,
    }
    assert acme(api)["deployment"] == expected


def test_a_tenant_is_settled_when_its_read_replicas_are_too() -> None:
    api = FakeApi()
    for name, available in (("sortie", 1), ("sortie-read", 0)):
        deployment = {
            **manifest(name, **OWNED),
            "spec": {"replicas": 1, "template": {"spec": {"containers": [{"image": f"{name}:1"}]}}},
            "status": {
                "observedGeneration": 1,
                "replicas": 1,
                "updatedReplicas": 1,
                "availableReplicas": available,
            },
        }
        deployment["metadata"]["generation"] = 1
        api.put(f"/apis/apps/v1/namespaces/sortie-acme/deployments/{name}", deployment)
    assert acme(api)["deployment"] == {
        "settled": False,
        "message": "sortie-read: 0 of 1 pods are available",
        "database": "postgresql",
        "provider": "dsn",
        "image": "sortie:1",
        "replicas": 1,
        "available": 1,
    }


def test_kinds_that_the_cluster_lacks_are_not_asked_for() -> None:
    api = FakeApi()
    found = read(api, [ACME])
    assert "ServiceMonitor" not in found["kinds"]
    assert not [path for _method, path in api.requests if "servicemonitors" in path]
    with_operator = FakeApi((*GROUPS, "monitoring.coreos.com"))
    assert "ServiceMonitor" in read(with_operator, [ACME])["kinds"]


def test_a_hundred_tenants_that_are_there_take_as_many_requests_as_one() -> None:
    def requests(number: int) -> int:
        api = FakeApi()
        tenants = [Tenant(f"t{one}", f"sortie-t{one}") for one in range(number)]
        for tenant in tenants:
            namespace(api, tenant.namespace, **{"sortie.platform/tenant": tenant.tenant})
        read(api, tenants)
        return len(api.requests)

    assert requests(100) == requests(1)


def test_a_tenant_moves_only_where_its_copy_is_complete() -> None:
    api = FakeApi()
    path = "/api/v1/namespaces/sortie-acme/configmaps/sortie-migration"
    for phase, expected in (("copying", ""), ("copied", "postgresql")):
        moving = {"name": "sortie-migration", "namespace": "sortie-acme"}
        api.put(path, {"metadata": moving, "data": {"phase": phase, "to": "postgresql"}})
        assert acme(api)["migrates_to"] == expected


def test_a_load_balancer_is_pending_until_something_gives_it_an_address() -> None:
    api = FakeApi()
    path = "/api/v1/namespaces/sortie-acme/services/sortie-lb"
    service = {"metadata": {"name": "sortie-lb", "namespace": "sortie-acme"}}
    assert acme(api)["load_balancer"] == ""
    api.put(path, service)
    assert acme(api)["load_balancer"] == "pending"
    given = {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}, {"hostname": "lb.example.com"}]}}
    api.put(path, {**service, "status": given})
    assert acme(api)["load_balancer"] == "192.0.2.7, lb.example.com"


def refused_everywhere(api: FakeApi) -> None:
    """As for the account of a deployer, which may look into its own namespace alone."""
    kinds = (*PRUNED, *DATA, "Namespace")
    api.refusals = {
        KINDS[kind].path(): ClusterError("may not list at the cluster scope", 403) for kind in kinds
    }


def test_an_account_that_may_see_its_own_namespace_alone_is_told_the_same() -> None:
    api = FakeApi()
    namespace(api, "sortie-acme", **{"sortie.platform/tenant": "acme"})
    api.put("/api/v1/namespaces/sortie-acme/configmaps/mine", manifest("mine", **OWNED))
    secret = {**manifest("sortie-secrets"), "data": encoded({"jwt-secret": "key"})}
    api.put("/api/v1/namespaces/sortie-acme/secrets/sortie-secrets", secret)
    everywhere = acme(api)
    refused_everywhere(api)
    assert acme(api) == everywhere
    assert everywhere["jwt_secret"] == "key"


def test_what_else_the_cluster_says_is_not_taken_for_a_narrow_account() -> None:
    api = FakeApi()
    api.refusals = {KINDS["ConfigMap"].path(): ClusterError("overloaded", 503)}
    with pytest.raises(ClusterError, match="overloaded"):
        acme(api)


@pytest.mark.parametrize(("daemon", "plugin"), [("calico-node", "Calico"), ("kube-proxy", "")])
def test_what_enforces_policies_is_known_by_its_daemon(daemon: str, plugin: str) -> None:
    api = FakeApi()
    api.put(f"/apis/apps/v1/namespaces/kube-system/daemonsets/{daemon}", {"metadata": {"name": daemon}})
    assert read(api, [ACME], with_records=True)["policy_plugin"] == plugin


def test_who_may_not_see_daemons_does_not_know_what_enforces_policies() -> None:
    api = FakeApi()
    api.refusals["/apis/apps/v1/daemonsets"] = ClusterError("forbidden", 403)
    assert read(api, [ACME], with_records=True)["policy_plugin"] is None


WITH_OPERATOR = (*GROUPS, "postgresql.cnpg.io")
DATABASE = "/apis/postgresql.cnpg.io/v1/namespaces/sortie-acme/clusters/sortie-postgresql"


def test_a_database_of_the_tenants_own_is_told_and_is_data() -> None:
    api = FakeApi(WITH_OPERATOR)
    status = {
        "phase": "Failing over",
        "readyInstances": 1,
        "instances": 2,
        "currentPrimary": "sortie-postgresql-1",
    }
    api.put(DATABASE, {**manifest("sortie-postgresql", **OWNED), "spec": {"instances": 2}, "status": status})
    found = acme(api, with_data=True)
    assert found["postgresql"] == {
        "settled": False,
        "message": "1 of 2 instances are ready (Failing over)",
        "primary": "sortie-postgresql-1",
    }
    # Never pruned: it goes with the tenant's data alone.
    assert found["objects"] == []
    assert [entry["kind"] for entry in found["data"]] == ["Cluster"]


def test_a_cluster_without_the_operator_is_not_asked_for_databases() -> None:
    api = FakeApi()
    found = read(api, [ACME], with_data=True)
    assert "Cluster" not in found["kinds"]
    assert found["tenants"]["acme"]["postgresql"] is None
    assert not [path for _method, path in api.requests if "cnpg" in path]
    assert "Cluster" in read(FakeApi(WITH_OPERATOR), [ACME])["kinds"]


@pytest.mark.parametrize(
    ("secret", "provider"), [("sortie-secrets", "dsn"), ("sortie-postgresql-app", "cloudnativepg")]
)
def test_whose_server_a_tenant_uses_is_read_from_its_deployment(secret: str, provider: str) -> None:
    place = {"secretKeyRef": {"name": secret, "key": "uri"}}
    spec = {"containers": [{"env": [{"name": "SORTIE_DB_DSN", "valueFrom": place}]}]}
    assert provider_of({"spec": {"template": {"spec": spec}}}) == provider
