"""Each step is given what the ones before left in order, and each result is told to its own tenant."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.sortie.platform.plugins.plugin_utils._differences import tenant_differences
from ansible_collections.sortie.platform.plugins.plugin_utils._plan import Plan, tenant_plan
from ansible_collections.sortie.platform.plugins.plugin_utils._steps import (
    changes,
    problems,
    tenant_catalogs,
    tenant_databases,
    tenant_manifests,
    tenant_orphans,
    tenant_postgresql,
    tenant_secrets,
    tenant_workloads,
)
from ansible_collections.sortie.platform.tests.unit.plugins.tenants import absent, found, info, tenant

ORPHAN = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "sortie-lb", "namespace": "sortie-acme"},
}


TENANTS = [tenant("acme"), tenant("globex")]


def plan(**there: Any) -> Plan:
    """A plan for acme and globex, both deployed unless said otherwise."""
    states = {"acme": found(), "globex": found(namespace_owner="globex")} | there
    return tenant_plan(TENANTS, info(**states))


def entry(changed: bool = False, error: str = "", **more: Any) -> dict[str, Any]:
    return {"changed": changed, **({"error": {"msg": error}} if error else {}), **more}


def applied(*entries: dict[str, Any]) -> dict[str, Any]:
    """What module tenant_objects answers; for the objects that are not given, that nothing changed."""
    return {"results": [*entries, *[entry()] * (6 - len(entries))]}


def names(manifests: list[Any]) -> list[str]:
    return [f"{one['kind']} {one['metadata'].get('namespace', one['metadata']['name'])}" for one in manifests]


def test_the_manifests_of_all_tenants_are_applied_together() -> None:
    assert len(tenant_manifests(plan(), {}, TENANTS)) == 6


def test_a_tenant_whose_secrets_failed_is_left_out() -> None:
    secrets = {"tenants": {"acme": {"changed": [], "error": "forbidden"}}}
    assert {name.split()[1] for name in names(tenant_manifests(plan(), {"secrets": secrets}, TENANTS))} == {
        "sortie-globex"
    }


def test_a_tenant_that_is_refused_is_left_out() -> None:
    assert len(tenant_manifests(plan(acme=found(namespace_owner="x")), {}, TENANTS)) == 3


def test_a_step_that_was_skipped_says_nothing() -> None:
    steps = {"secrets": {"skipped": True}, "apply": {"skipped": True, "changed": False}}
    assert problems(plan(), steps) == {}
    assert changes(plan(), steps) == {"acme": [], "globex": []}


def test_an_object_that_is_refused_is_told_of_its_own_tenant_in_the_servers_words() -> None:
    body = json.dumps({"kind": "Status", "message": "quota exceeded"})
    refused = entry(error=f"Failed to apply object: b'{body}'")
    assert problems(plan(), {"apply": applied(entry(), refused)}) == {
        "acme": "ConfigMap sortie-config: quota exceeded"
    }


def test_a_call_that_failed_as_a_whole_is_told_of_every_tenant() -> None:
    failed = {"failed": True, "msg": "the server does not answer"}
    assert set(problems(plan(), {"apply": failed})) == {"acme", "globex"}


def test_orphans_are_removed_only_where_all_was_applied() -> None:
    with_orphan = plan(acme=found(objects=[ORPHAN]))
    assert tenant_orphans(with_orphan, {"apply": applied()}) == [ORPHAN]
    assert tenant_orphans(with_orphan, {"apply": applied(entry(error="no"))}) == []


def test_a_single_object_is_answered_without_a_list() -> None:
    with_orphan = plan(acme=found(objects=[ORPHAN]))
    steps = {"apply": applied(), "prune": {"changed": True, "result": {}, "method": "delete"}}
    assert changes(with_orphan, steps)["acme"] == ["Service sortie-lb removed"]


def test_only_deployments_that_changed_are_waited_for() -> None:
    steps = {"apply": applied(entry(), entry(changed=True), entry(), entry(), entry(), entry(changed=True))}
    assert tenant_workloads(plan(), steps) == [
        {
            "tenant": "globex",
            "namespace": "sortie-globex",
            "kind": "Deployment",
            "name": "sortie",
            "timeout": 180,
        }
    ]


def test_nothing_is_waited_for_in_an_unchanged_run() -> None:
    assert tenant_workloads(plan(), {"apply": applied()}) == []


def test_what_an_earlier_run_left_unsettled_is_waited_for() -> None:
    unsettled = plan(acme=found(deployment=None))
    assert [one["tenant"] for one in tenant_workloads(unsettled, {"apply": applied()})] == ["acme"]


def test_the_reason_of_a_pod_is_told_with_its_log() -> None:
    rollout = {"failures": {"acme": "pod sortie-1 crashed"}, "logs": {"acme": ["no space left"]}}
    assert problems(plan(), {"apply": applied(), "rollout": rollout})["acme"] == (
        "pod sortie-1 crashed\n  log: no space left"
    )


def test_a_tenant_that_does_not_run_is_not_verified() -> None:
    steps = {"info": info(acme=found(), globex=found()), "rollout": {"failures": {"acme": "crashed"}}}
    assert [one["tenant"] for one in tenant_catalogs(plan(), steps)] == ["globex"]


def test_the_key_of_a_new_tenant_comes_from_what_was_just_made() -> None:
    steps = {
        "info": info(acme=absent(), globex=found()),
        "secrets": {"tenants": {"acme": {"changed": [], "error": "", "jwt_secret": "new-key"}}},
    }
    keys = {one["tenant"]: one["jwt_secret"] for one in tenant_catalogs(plan(), steps)}
    assert keys == {"acme": "new-key", "globex": "signing-key"}


def test_in_check_mode_only_what_already_runs_is_asked() -> None:
    steps = {"info": info(acme=absent(), globex=found())}
    asked = tenant_catalogs(plan(acme=absent()), steps, check_mode=True)
    assert [one["tenant"] for one in asked] == ["globex"]


def test_a_catalogue_that_was_refused_is_told() -> None:
    assert problems(plan(), {"catalog": {"failures": {"globex": "answered 400"}}}) == {
        "globex": "answered 400"
    }


def test_changes_of_all_steps_are_told_in_order() -> None:
    steps = {
        "secrets": {"tenants": {"acme": {"changed": ["Secret sortie-secrets: jwt-secret"], "error": ""}}},
        "apply": applied(entry(), entry(changed=True)),
        "catalog": {"changes": {"acme": ["application wiki created"]}},
    }
    assert changes(plan(), steps)["acme"] == [
        "Secret sortie-secrets: jwt-secret",
        "ConfigMap sortie-config",
        "application wiki created",
    ]


def test_differences_are_shown_as_text_without_what_the_server_counts() -> None:
    diff = {
        "before": {"metadata": {"generation": 1}, "data": {"a": "old", "b": "same"}},
        "after": {"metadata": {"generation": 2}, "data": {"a": "new", "b": "same"}},
    }
    steps = {"apply": applied(entry(), entry(changed=True, diff=diff))}
    assert tenant_differences(plan(), steps).splitlines() == [
        "--- before  acme: ConfigMap sortie-config",
        "+++ after   acme: ConfigMap sortie-config",
        "@@ -1,3 +1,3 @@",
        " data:",
        "-  a: old",
        "+  a: new",
        "   b: same",
    ]


def test_secrets_are_generated_by_default() -> None:
    wanted = tenant_secrets(plan(acme=absent()), {}, {"acme": {"sortie_tenant": tenant()}})
    assert [one["tenant"] for one in wanted] == ["acme"]
    assert wanted[0]["generate"] == ["jwt-secret", "admin-password"]
    assert wanted[0]["values"] == {}
    assert wanted[0]["namespace"]["kind"] == "Namespace"


def test_secrets_of_a_vault_are_read_from_the_hosts_variables() -> None:
    vault = tenant_plan(
        [tenant(secrets="vault", jwt_secret="k" * 32, admin_password="p" * 12)], info(acme=absent())
    )
    variables = {
        "acme": {"sortie_tenant": tenant(), "sortie_jwt_secret": "k" * 32, "sortie_admin_password": "p" * 12}
    }
    wanted = tenant_secrets(vault, {}, variables)[0]
    assert (wanted["generate"], wanted["values"]) == (
        [],
        {"jwt-secret": "k" * 32, "admin-password": "p" * 12},
    )


def test_a_dsn_is_written_beside_generated_secrets() -> None:
    dsn = "postgresql://sortie:word@db/sortie"
    postgresql = tenant_plan([tenant(database="postgresql", database_dsn=dsn)], info(acme=absent()))
    wanted = tenant_secrets(
        postgresql, {}, {"acme": {"sortie_tenant": tenant(), "sortie_database_dsn": dsn}}
    )[0]
    assert wanted["values"] == {"database-dsn": dsn}


def test_a_plan_holds_no_secret() -> None:
    dsn = "postgresql://sortie:hush@db/sortie"
    one = tenant(database="postgresql", database_dsn=dsn, jwt_secret="hush", tls_private_key="hush")
    assert "hush" not in str(tenant_plan([one], info(acme=found(jwt_secret="hush"))))


def on_postgresql(**given: Any) -> dict[str, Any]:
    return tenant_plan(
        [tenant(database="postgresql", database_dsn=DSN, **given)], info(acme=found(), globex=found())
    )


DSN = "postgresql://sortie:word@db/sortie"
VARIABLES = {"acme": {"sortie_tenant": tenant(), "sortie_database_dsn": DSN}}


def test_a_postgresql_is_tried_with_the_address_that_is_given() -> None:
    (wanted,) = tenant_databases(on_postgresql(), VARIABLES)
    assert (wanted["dsn"], wanted["unsettled"]) == (DSN, False)
    assert wanted["namespace"]["kind"] == "Namespace"


def test_with_an_external_secret_the_address_in_it_is_tried() -> None:
    external = tenant_plan(
        [tenant(database="postgresql", secrets="external")],
        info(acme=found(secret_keys=["admin-password", "database-dsn", "jwt-secret"], deployment=None)),
    )
    (wanted,) = tenant_databases(external, {"acme": {"sortie_tenant": tenant()}})
    assert (wanted["dsn"], wanted["unsettled"]) == ("", True)


def test_a_tenant_on_sqlite_has_no_database_to_try() -> None:
    assert tenant_databases(plan(), {}) == []


def test_a_tenant_whose_database_will_not_do_is_not_touched() -> None:
    steps = {"database": {"failures": {"acme": "its PostgreSQL will not do: nothing listens"}}}
    assert tenant_secrets(on_postgresql(), steps, VARIABLES) == []
    assert tenant_manifests(on_postgresql(), steps, [tenant()]) == []
    assert problems(on_postgresql(), steps) == steps["database"]["failures"]


def test_the_keys_of_litestream_reach_the_secret_and_nothing_else() -> None:
    streamed = tenant("acme", litestream=True, litestream_bucket="replicas")
    planned = tenant_plan([streamed], info(acme=found()))
    keys = {"sortie_litestream_access_key_id": "id", "sortie_litestream_secret_access_key": "hush"}
    hostvars = {"acme": {"sortie_tenant": streamed, "sortie_tls_private_key": "", **keys}}
    assert tenant_secrets(planned, {}, hostvars)[0]["values"] == {
        "litestream-access-key-id": "id",
        "litestream-secret-access-key": "hush",
    }
    assert "hush" not in str(planned)
    del (
        hostvars["acme"]["sortie_litestream_access_key_id"],
        hostvars["acme"]["sortie_litestream_secret_access_key"],
    )
    assert tenant_secrets(planned, {}, hostvars)[0]["values"] == {}


def test_read_replicas_are_waited_for_as_well() -> None:
    streamed = tenant("acme", litestream=True, litestream_bucket="replicas", read_replicas=2)
    deployed = {"settled": False, "message": "sortie-read: 1 of 2 pods are available"}
    unsettled = tenant_plan([streamed], info(acme=found(deployment=deployed)))
    assert [workload["name"] for workload in tenant_workloads(unsettled, {})] == ["sortie", "sortie-read"]
    settled = tenant_plan([streamed], info(acme=found()))
    assert tenant_workloads(settled, {}) == []


CLUSTER = {
    "apiVersion": "postgresql.cnpg.io/v1",
    "kind": "Cluster",
    "metadata": {"name": "sortie-postgresql", "namespace": "sortie-acme"},
}


def managed() -> tuple[list[dict[str, Any]], Plan]:
    """A tenant whose database an operator is to run, and the plan for it."""
    one = tenant("acme", database="postgresql", postgresql_provider="cloudnativepg")
    one["manifests"] = [*one["manifests"], CLUSTER]
    return [one], tenant_plan([one], info(acme=absent()) | {"kinds": ["Cluster"]})


def test_a_database_is_brought_with_its_namespace() -> None:
    tenants, made = managed()
    (given,) = tenant_postgresql(made, tenants)
    assert given["namespace"]["metadata"]["name"] == "sortie-acme"
    assert given["objects"] == [CLUSTER]
    assert given["timeout"] == 2 * 180


def test_a_tenant_whose_database_does_not_come_gets_nothing_else() -> None:
    tenants, made = managed()
    steps = {
        "postgresql": {"failures": {"acme": "not ready"}, "changes": {"acme": ["Cluster sortie-postgresql"]}}
    }
    assert tenant_manifests(made, steps, tenants) == []
    assert problems(made, steps) == {"acme": "not ready"}
    assert changes(made, steps)["acme"] == ["Cluster sortie-postgresql"]


def test_a_database_that_changed_is_waited_for() -> None:
    _tenants, made = managed()
    results = {"results": [entry(), entry(), entry(), entry(changed=True)]}
    waited = [(one["kind"], one["name"]) for one in tenant_workloads(made, {"apply": results})]
    assert waited == [("Cluster", "sortie-postgresql"), ("Deployment", "sortie")]
