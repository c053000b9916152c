"""What is done on a cluster follows from what it holds, and nothing of someone else is ever touched."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.sortie.platform.plugins.plugin_utils._plan import (
    needs_secrets,
    refuse,
    signed_images,
    tenant_plan,
    tenant_queries,
    tenants_by_cluster,
)
from ansible_collections.sortie.platform.tests.unit.plugins.tenants import (
    RESTRICTED,
    absent,
    found,
    info,
    tenant,
)

CERTIFICATE = "-----BEGIN CERTIFICATE-----"
DSN = "postgresql://sortie:word@db/sortie"


def refusal(there: dict[str, Any], **given: Any) -> str:
    plan = tenant_plan([tenant(**given)], info(acme=there))
    return str(plan["refused"].get("acme", ""))


def test_tenants_are_told_apart_by_kubeconfig_and_context() -> None:
    tenants = [tenant("a"), tenant("b", context="two"), tenant("c"), tenant("d", kubeconfig="/other")]
    clusters = tenants_by_cluster(tenants)
    assert [cluster["tenants"] for cluster in clusters] == [
        ["a", "c"],
        ["b"],
        ["d"],
    ]
    assert [(cluster["kubeconfig"], cluster["context"]) for cluster in clusters] == [
        ("/cluster/kubeconfig", ""),
        ("/cluster/kubeconfig", "two"),
        ("/other", ""),
    ]


def test_a_cluster_is_asked_for_tenants_by_their_names() -> None:
    assert tenant_queries([tenant()]) == [
        {"tenant": "acme", "namespace": "sortie-acme", "tls_secret": "sortie-tls", "host": "acme.example.com"}
    ]


def test_images_are_verified_where_a_key_is_named_and_litestreams_where_it_runs() -> None:
    keys = {"image_public_key": "a.pub", "litestream_image_public_key": "b.pub"}
    own = {"tenant": "acme", "variable": "sortie_image", "public_key": "a.pub"}
    beside = {"tenant": "acme", "variable": "sortie_litestream_image", "public_key": "b.pub"}
    images = {"image": "localhost:5000/sortie:1"}, {"image": "localhost:5000/sortie-litestream:1"}
    assert signed_images([tenant()]) == []
    assert signed_images([tenant(**keys)]) == [own | images[0]]
    assert signed_images([tenant(**keys, litestream=True)]) == [own | images[0], beside | images[1]]


def test_a_settled_tenant_has_its_manifests_applied_and_nothing_else() -> None:
    plan = tenant_plan([tenant()], info(acme=found()))
    assert [one["kind"] for one in plan["objects"]["acme"]] == ["Namespace", "ConfigMap", "Deployment"]
    assert (plan["refused"], plan["secrets"], plan["unsettled"], plan["orphans"]) == (
        {},
        [],
        [],
        {"acme": []},
    )


def test_a_namespace_that_is_as_it_should_be_is_not_written_again() -> None:
    """An account that may bring a tenant may not write its namespace."""
    there = found(namespace_labels={**RESTRICTED, "sortie.platform/tenant": "acme"})
    plan = tenant_plan([tenant()], info(acme=there))
    assert [one["kind"] for one in plan["objects"]["acme"]] == ["ConfigMap", "Deployment"]
    weakened = found(namespace_labels=dict.fromkeys(RESTRICTED, "baseline"))
    plan = tenant_plan([tenant()], info(acme=weakened))
    assert plan["objects"]["acme"][0]["kind"] == "Namespace"


def test_a_tenant_that_is_not_there_gets_secrets_and_is_waited_for() -> None:
    plan = tenant_plan([tenant()], info(acme=absent()))
    assert (plan["secrets"], plan["unsettled"]) == (["acme"], ["acme"])


def test_a_deployment_that_an_earlier_run_left_unfinished_is_waited_for() -> None:
    unfinished = {"settled": False, "message": "", "image": "", "replicas": 1, "available": 0}
    assert tenant_plan([tenant()], info(acme=found(deployment=unfinished)))["unsettled"] == ["acme"]


def test_objects_that_are_no_longer_rendered_are_removed() -> None:
    def entry(kind: str, name: str) -> dict[str, Any]:
        return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "sortie-acme"}}

    objects = [entry("ConfigMap", "sortie-config"), entry("Service", "sortie-lb")]
    assert tenant_plan([tenant()], info(acme=found(objects=objects)))["orphans"]["acme"] == [objects[1]]


def test_a_namespace_of_another_tenant_is_refused() -> None:
    assert refusal(found(namespace_owner="globex")) == (
        "namespace sortie-acme belongs to tenant globex. Set another sortie_namespace"
    )


def test_a_namespace_that_is_not_ours_is_refused() -> None:
    assert refusal(found(namespace_owner=None)) == (
        "namespace sortie-acme exists and was not made by this collection. Set another sortie_namespace, "
        "or sortie_adopt_namespace: true if it is meant for this tenant"
    )


def test_a_namespace_that_is_not_ours_is_taken_when_told_so() -> None:
    assert refusal(found(namespace_owner=None), adopt_namespace=True) == ""


def test_a_namespace_of_another_tenant_is_refused_even_then() -> None:
    assert "belongs to tenant globex" in refusal(found(namespace_owner="globex"), adopt_namespace=True)


def test_a_tenant_that_lives_elsewhere_is_not_made_a_second_time() -> None:
    assert refusal({**absent(), "other_namespaces": ["sortie"]}) == (
        "it already lives in namespace sortie, with its data. Set sortie_namespace: sortie to keep it there, "
        "or remove it first with remove.yml"
    )


def test_a_service_monitor_needs_the_operator() -> None:
    assert refusal(found(), service_monitor=True) == (
        "the cluster knows no ServiceMonitor. Install the Prometheus operator, "
        "or set sortie_service_monitor: false"
    )
    assert "the cluster knows no PrometheusRule" in refusal(found(), prometheus_rule=True)


def test_external_secrets_must_be_there_first() -> None:
    assert refusal(found(secret_keys=["jwt-secret"]), secrets="external") == (
        "Secret sortie-secrets in namespace sortie-acme lacks admin-password. "
        "Whatever keeps it (sortie_secrets: external) has to bring them first"
    )


def test_an_external_secret_store_needs_the_operator_and_nothing_else() -> None:
    stored: dict[str, Any] = {"secrets": "external", "external_secret_store": "vault"}
    assert "the cluster knows no ExternalSecret. Install External Secrets Operator" in refusal(
        found(), **stored
    )
    operated = tenant(**stored)
    assert refuse(operated, found(secret_keys=[]), ["ExternalSecret"]) == ""
    assert needs_secrets(operated, found(secret_keys=["jwt-secret"]))
    assert not needs_secrets(operated, found())


def test_an_external_dsn_must_be_there_first() -> None:
    assert "lacks database-dsn" in refusal(found(), secrets="external", database="postgresql")


def test_a_provided_certificate_must_come_from_somewhere() -> None:
    assert refusal(found(certificate=None), tls="provided") == (
        "Secret sortie-tls in namespace sortie-acme has no certificate. "
        "Make it, or set sortie_tls_certificate and sortie_tls_private_key"
    )


def test_a_kubeconfig_that_does_not_exist_is_told() -> None:
    plan = tenant_plan([tenant()], {"error": "there is none", "no_kubeconfig": True, "tenants": {}})
    assert plan["refused"]["acme"] == (
        "there is no kubeconfig /cluster/kubeconfig. Run deploy.yml without --limit to make the cluster, "
        "or set sortie_kubeconfig"
    )


def test_a_cluster_that_cannot_be_reached_is_told_with_a_command_that_looks_at_it() -> None:
    failed = {"error": "https://api does not answer", "no_kubeconfig": False, "tenants": {}}
    assert tenant_plan([tenant(context="two")], failed)["refused"]["acme"] == (
        "its cluster (kubeconfig /cluster/kubeconfig, context two) cannot be asked: https://api does not answer. "
        "Look at it with: kubectl --kubeconfig /cluster/kubeconfig --context two --namespace sortie-acme "
        "get --raw /readyz"
    )


def test_in_check_mode_a_cluster_that_would_be_made_is_no_mistake() -> None:
    there_is_none = {"error": "there is none", "no_kubeconfig": True, "tenants": {}}
    plan = tenant_plan([tenant()], there_is_none, check_mode=True)
    assert (plan["refused"], plan["expected"]) == ({}, {"acme": "its cluster would be made first"})


def test_in_check_mode_only_the_namespace_of_a_new_tenant_can_be_tried() -> None:
    plan = tenant_plan([tenant()], info(acme=absent()), check_mode=True)
    assert [one["kind"] for one in plan["objects"]["acme"]] == ["Namespace"]
    assert plan["expected"]["acme"] == "3 objects would be made"


def test_one_that_is_refused_stops_no_other() -> None:
    plan = tenant_plan([tenant(), tenant("globex")], info(acme=found(namespace_owner="x"), globex=absent()))
    assert (list(plan["refused"]), list(plan["objects"])) == (["acme"], ["globex"])


@pytest.mark.parametrize(
    ("there", "given", "needed"),
    [
        (found(), {}, False),
        (found(secret_keys=["jwt-secret"]), {}, True),
        (found(secret_keys=[]), {"secrets": "external"}, False),
        (found(), {"secrets": "vault"}, True),
        (found(), {"database": "postgresql", "database_dsn": DSN}, True),
        (found(), {"tls": "self_signed"}, False),
        (found(certificate=None), {"tls": "self_signed"}, True),
        (found(certificate={"not_after": "", "due": True}), {"tls": "self_signed"}, True),
        (found(certificate={"not_after": "", "due": True}), {"tls": "cert_manager"}, False),
        (found(), {"tls": "provided", "tls_certificate": CERTIFICATE}, True),
    ],
)
def test_secrets_are_written_only_where_something_may_be_missing(
    there: dict[str, Any], given: dict[str, Any], needed: bool
) -> None:
    assert needs_secrets(tenant(**given), there) is needed


def test_an_autoscaler_without_metrics_is_refused() -> None:
    given: dict[str, Any] = {"database": "postgresql", "secrets": "external", "autoscaling": True}
    there = found(secret_keys=["admin-password", "database-dsn", "jwt-secret"])
    assert "no metrics" in refusal(there, **given)
    kinds = {**info(acme=there), "kinds": ["PodMetrics"]}
    assert tenant_plan([tenant(**given)], kinds)["refused"] == {}


def test_a_postgresql_may_have_to_be_tried() -> None:
    given = {"database": "postgresql", "database_dsn": DSN}
    assert tenant_plan([tenant(**given)], info(acme=found()))["databases"] == ["acme"]
    assert tenant_plan([tenant()], info(acme=found()))["databases"] == []


def test_a_tenant_is_not_begun_empty_on_another_database() -> None:
    there = found(deployment={**found()["deployment"], "database": "sqlite"})
    words = refusal(there, database="postgresql", database_dsn=DSN)
    assert words.startswith("its data is in sqlite, and sortie_database is postgresql")
    assert "migrate.yml --limit acme" in words


def test_a_tenant_whose_data_was_copied_there_may_go() -> None:
    there = found(deployment={**found()["deployment"], "database": "sqlite"}, migrates_to="postgresql")
    assert refusal(there, database="postgresql", database_dsn=DSN) == ""


def test_a_cluster_without_sidecars_is_told_before_litestream_is_brought() -> None:
    streamed = tenant("acme", litestream=True, litestream_bucket="replicas")
    old = {**info(acme=found()), "version": "v1.28.15+k3s1"}
    assert (
        "needs sidecar containers, which Kubernetes has since 1.29, and the cluster is v1.28.15+k3s1"
        in (tenant_plan([streamed], old)["refused"]["acme"])
    )
    assert tenant_plan([streamed], {**old, "version": "v1.29.0"})["refused"] == {}
    assert tenant_plan([tenant("acme")], old)["refused"] == {}


MANAGED = {"database": "postgresql", "postgresql_provider": "cloudnativepg"}
WITH_OPERATOR = {"kinds": ["Cluster", "ConfigMap", "Deployment"]}


def running(provider: str) -> dict[str, Any]:
    return {"settled": True, "message": "", "database": "postgresql", "provider": provider}


def test_a_database_of_the_tenants_own_is_brought_first_and_not_tried() -> None:
    plan = tenant_plan([tenant(**MANAGED)], info(acme=absent()) | WITH_OPERATOR)
    assert (plan["postgresql"], plan["databases"], plan["refused"]) == (["acme"], [], {})


def test_a_database_that_is_there_is_not_waited_for() -> None:
    there = found(postgresql={"settled": True, "message": ""}, deployment=running("cloudnativepg"))
    assert tenant_plan([tenant(**MANAGED)], info(acme=there) | WITH_OPERATOR)["postgresql"] == []


def test_without_the_operator_the_tenant_is_told_what_brings_it() -> None:
    assert "playbooks/cloudnativepg.yml brings it" in refusal(absent(), **MANAGED)


def test_no_secret_has_to_say_where_a_database_of_the_tenants_own_is() -> None:
    there = found(deployment=running("cloudnativepg"))
    plan = tenant_plan([tenant(**MANAGED, secrets="external")], info(acme=there) | WITH_OPERATOR)
    assert plan["refused"] == {}
    assert not needs_secrets(tenant(**MANAGED, secrets="external", tls="none"), there)


@pytest.mark.parametrize(("there", "wanted"), [("dsn", "cloudnativepg"), ("cloudnativepg", "dsn")])
def test_another_postgresql_is_never_begun_empty(there: str, wanted: str) -> None:
    given = MANAGED | {"postgresql_provider": wanted, "database_dsn": DSN}
    plan = tenant_plan([tenant(**given)], info(acme=found(deployment=running(there))) | WITH_OPERATOR)
    assert (
        "by way of SQLite: ansible-playbook playbooks/migrate.yml --limit acme -e sortie_database=sqlite"
        in plan["refused"]["acme"]
    )
