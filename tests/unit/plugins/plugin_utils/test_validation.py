"""Every mistake in a tenant's variables is told, with what is expected."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.sortie.platform.plugins.plugin_utils._validation import clashes, show
from ansible_collections.sortie.platform.tests.unit.plugins.tenants import describe, tenant

LONG = "x" * 300


def mistakes(**given: Any) -> list[tuple[str, str]]:
    return [(found["variable"], found["expected"]) for found in describe(**given)["mistakes"]]


def test_the_defaults_have_no_mistake() -> None:
    assert mistakes() == []


COLOUR = "a colour as #RRGGBB, for example '#398D9B'"
HOST = "a host name of lower-case letters, digits, '-' and '.', no address and no wildcard"
NAMESPACE = "a namespace of its own: at most 63 lower-case letters, digits and '-', not default or kube-*"
IMAGE = "an image, [registry/]name[:tag][@sha256:digest]"
DURATION = "a duration above zero such as 1s, 15m or 24h"
QUANTITY = "a quantity greater than zero, for example 1Gi"
NAME = "a name of lower-case letters, digits, '-' and '.'"

SINGLE: list[tuple[str, list[Any], str]] = [
    ("branding_primary_color", ["blue", "#12345", "#12345g", "398D9B", "#398D9B80"], COLOUR),
    ("branding_secondary_color", ["", "rgb(1,2,3)"], COLOUR),
    (
        "branding_logo_url",
        ["ftp://cdn/logo.png", "javascript:alert(1)", "/logo.png", "data:text/html,x", "https://"],
        "an address http(s)://... or data:image/...",
    ),
    ("branding_tenant_name", ["", "   ", LONG], "1 to 200 characters"),
    ("namespace", ["kube-system", "default", "Acme", "a.b", "-a", "x" * 64], NAMESPACE),
    (
        "image",
        ["", "Sortie:1", "sortie:", "a b", "sortie@sha256:1"],
        "an image, [registry/]name[:tag][@sha256:digest]",
    ),
    ("image_pull_secrets", [["Bad Name"]], f"a list; each {NAME}"),
    ("replicas", [0, -1], "1 or more"),
    ("replicas", ["x", 1.5, True], "a whole number"),
    ("rollout_timeout", [0, 3601], "1 to 3600 seconds"),
    ("storage_size", ["0", "1GB", "big", "", "-1Gi", "0Gi"], QUANTITY),
    ("storage_class", ["Standard", ""], NAME),
    ("storage_access_mode", ["ReadWriteMany"], "one of ReadWriteOnce, ReadWriteOncePod"),
    ("service_type", ["clusterip"], "one of ClusterIP, NodePort, LoadBalancer"),
    (
        "ingress_host",
        ["Acme.example.com", "10.0.0.1", "*.example.com", "a_b.example.com", "", "::1", LONG],
        HOST,
    ),
    ("ingress_class", ["Nginx"], NAME),
    ("ingress_port", [0, 65536], "a port, 1 to 65535"),
    ("ingress_address", ["not an address"], "an address, a host name, or nothing"),
    ("ingress_tls_secret", ["Sortie_TLS"], NAME),
    ("ingress_cluster_issuer", ["let's encrypt"], NAME),
    ("ingress_annotations", [["a"], "a"], "a mapping"),
    ("ingress_annotations", [{"a": 1}, {"a": True}], "a string in quotes (or null) as value of a"),
    ("network_policy_namespaces", [["Bad_Name"]], "a list of namespaces"),
    ("network_policy_namespaces", ["traefik"], "a list"),
    ("network_policy", ["maybe", 7], "true or false"),
    ("tls", ["letsencrypt"], "one of cert_manager, self_signed, provided, none"),
    ("database", ["mysql"], "one of sqlite, postgresql"),
    ("secrets", ["file"], "one of generated, vault, external"),
    ("external_secret_store", ["Vault"], f"{NAME}, or nothing"),
    ("external_secret_key", [""], "the name of an entry of the store"),
    ("external_secret_refresh", ["often"], DURATION),
    ("external_secret_store_kind", ["Store"], "one of ClusterSecretStore, SecretStore"),
    ("autoscaling_min", [0], "1 or more"),
    ("autoscaling_max", [0], "1 or more"),
    ("autoscaling_cpu", [0], "a share in percent, 1 or more"),
    ("alert_for", ["", "5", "soon", "-5m", "1m1h", "1.5h"], "a duration such as 0s, 5m or 1h30m"),
    ("alert_error_percent", [0, 101], "a share in percent, 1 to 100"),
    (
        "alert_latency_ms",
        [0, 10001],
        "1 to 10000 milliseconds, which is as far as the histogram goes",
    ),
    ("alert_volume_percent", [0, 101], "a share in percent, 1 to 100"),
    ("alert_volume_hours", [0], "1 or more"),
    ("alert_replica_seconds", [0], "1 or more"),
    ("alert_backup_hours", [-1], "0 or more"),
    ("alert_drill_days", [-1], "0 or more"),
    ("alert_certificate_days", [0], "1 or more"),
    (
        "alert_labels",
        [{"a-b": "x"}, {"severity": "none"}, {"tenant": "x"}, {"team": 1}],
        "labels of letters, digits and '_' with strings as values; not alertname, namespace, severity or tenant",
    ),
    (
        "monitor_labels",
        [{"release": "a b"}, {"release": ["x"]}],
        "labels, whose values are at most 63 letters, digits, '-', '_' and '.'",
    ),
    ("trusted_proxies", [["10.0.0.1/8"], ["ingress"]], "a list of networks, for example 10.0.0.0/8"),
    ("apps", [{"id": "a"}, "a"], "a list"),
    (
        "litestream_bucket",
        ["Replicas", "ab", "a_b", "s3://replicas", "replicas/acme"],
        "the name of a bucket: 3 to 63 lower-case letters, digits, '-' and '.'",
    ),
    ("litestream_endpoint", ["s3.example.com", "s3://x"], "an address http(s)://..., or nothing"),
    (
        "litestream_path",
        ["", "/acme", "acme/", "../globex", "a//b", "a b"],
        "a path of letters, digits, '.', '_' and '-', without '/' at its ends and without '..'",
    ),
    ("read_replicas", [-1], "0 or more"),
    ("read_heartbeat", ["0s", "61s", "now"], "a duration from 1s to 60s"),
    ("litestream_sync_interval", ["1", "0s", "soon", "-1s", ""], DURATION),
    ("litestream_retention", ["3d"], DURATION),
    ("litestream_storage_class", ["Standard"], f"{NAME}, or nothing"),
    ("litestream_storage_size", ["0"], QUANTITY),
    ("litestream_storage_access_mode", ["ReadOnlyMany"], "one of ReadWriteOnce, ReadWriteMany"),
    ("litestream_image", ["Litestream:1"], IMAGE),
    ("apps", [["a"]], "a list of mappings"),
]


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [(variable, value, expected) for variable, values, expected in SINGLE for value in values],
)
def test_a_value_that_cannot_be_used_is_told(variable: str, value: Any, expected: str) -> None:
    assert (f"sortie_{variable}", expected) in mistakes(**{variable: value})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("branding_logo_url", "https://cdn.example.com/logo.svg?v=1"),
        ("branding_logo_url", "data:image/svg+xml,%3Csvg/%3E"),
        ("branding_logo_url", "data:image/png;base64,AAAA"),
        ("branding_primary_color", "#abcDEF"),
        ("image", "registry.example.com:5000/team/sortie:1.2@sha256:" + "a" * 64),
        ("image", "localhost:5000/sortie@sha256:" + "0" * 64),
        ("storage_size", "1.5Gi"),
        ("storage_size", 1073741824),
        ("replicas", "1"),
        ("ingress_host", "localhost"),
        ("alert_for", "0s"),
        ("alert_for", "1d2h3m4s"),
        ("alert_backup_hours", "0"),
        ("alert_labels", {"team": "web", "_x1": ""}),
        ("monitor_labels", {"release": "kube-prometheus-stack"}),
        ("ingress_address", "::1"),
        ("ingress_address", "ingress.example.com"),
        ("ingress_annotations", {"kubernetes.io/ingress.class": None}),
        ("network_policy", "yes"),
        ("env", {"SORTIE_LOG_LEVEL": "debug", "OIDC_CLIENT_SECRET": {"secret": "oidc", "key": "client"}}),
    ],
)
def test_a_value_that_can_be_used_is_accepted(variable: str, value: Any) -> None:
    assert mistakes(**{variable: value}) == []


MANAGED = {"database": "postgresql", "postgresql_provider": "cloudnativepg", "replicas": 2}
JOINT: list[tuple[dict[str, Any], str, str]] = [
    (
        {"image": "localhost:5000/sortie:1", "image_public_key": "sortie.pub"},
        "image",
        "an image with its digest, name@sha256:..., since sortie_image_public_key is set and a tag may become another image",
    ),
    (
        {"kubeconfig": ""},
        "kubeconfig",
        "the kubeconfig of the tenant's cluster, or nodes in group kube_control_plane; "
        "the current context is never used",
    ),
    (
        {"replicas": 2},
        "replicas",
        "1 with sortie_database: sqlite, which has one writer; more need postgresql",
    ),
    ({"autoscaling": True}, "autoscaling", "false with sortie_database: sqlite, which has one writer"),
    (
        {"storage_class": "efs-sc"},
        "storage_class",
        "no network file system (efs) under SQLite, it corrupts the database; "
        "sortie_storage_allow_network: true if the name misleads",
    ),
    (
        {"database": "postgresql"},
        "database_dsn",
        "postgresql://USER:PASSWORD@HOST/NAME, with sortie_database: postgresql",
    ),
    (
        {**MANAGED, "database_dsn": "postgresql://sortie:word@db/sortie"},
        "database_dsn",
        "nothing with sortie_postgresql_provider: cloudnativepg, which makes the database",
    ),
    (
        {**MANAGED, "postgresql_durability": "required"},
        "postgresql_instances",
        "3 or more with sortie_postgresql_durability: required; with fewer, the loss of one stops all writes",
    ),
    (
        {**MANAGED, "postgresql_parameters": {"ssl_ca_file": "x"}},
        "postgresql_parameters",
        "other settings than ssl_ca_file, which the operator sets",
    ),
    (
        {**MANAGED, "postgresql_parameters": {"a: b\n  enableSuperuserAccess": "true"}},
        "postgresql_parameters",
        "names of settings as in postgresql.conf, not a: b\n  enableSuperuserAccess",
    ),
    (
        {**MANAGED, "postgresql_parameters": {"shared_buffers": {}}},
        "postgresql_parameters",
        "shared_buffers as a string or a number, as in postgresql.conf",
    ),
    (
        {**MANAGED, "autoscaling": True, "autoscaling_max": 20},
        "postgresql_parameters",
        "max_connections of 420 or more: up to 21 pods open 20 each",
    ),
    (
        {**MANAGED, "postgresql_storage_size": "0"},
        "postgresql_storage_size",
        QUANTITY,
    ),
    (
        {**MANAGED, "env": {"PGSSLMODE": "disable"}},
        "env",
        "other names than PGSSLMODE, which the manifests set",
    ),
    (
        {"autoscaling_min": 11},
        "autoscaling_min",
        "not above sortie_autoscaling_max",
    ),
    (
        {"resources": {"requests": {"cpu": "much", "memory": "128Mi"}}},
        "resources",
        "requests.cpu as a quantity greater than zero, for example 100m",
    ),
    (
        {"resources": {"limits": {"cpu": "1", "memory": "128MB"}}},
        "resources",
        "limits.memory as a quantity greater than zero, for example 128Mi",
    ),
    ({"resources": {"request": {}}}, "resources", "requests and limits, each with cpu and memory"),
    (
        {"resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "512Mi"}}},
        "resources",
        "limits.memory not below requests.memory",
    ),
    (
        {"tls": "provided", "tls_private_key": "-----BEGIN PRIVATE KEY-----"},
        "tls_certificate",
        "a certificate chain in PEM form beside sortie_tls_private_key",
    ),
    (
        {"tls": "provided", "tls_certificate": "-----BEGIN CERTIFICATE-----"},
        "tls_private_key",
        "a private key in PEM form beside sortie_tls_certificate",
    ),
    (
        {"secrets": "vault", "admin_password": "long enough, it is"},
        "jwt_secret",
        "32 characters or more, with sortie_secrets: vault",
    ),
    (
        {"secrets": "vault", "jwt_secret": "x" * 32, "admin_password": "short"},
        "admin_password",
        "12 characters or more, with sortie_secrets: vault",
    ),
    ({"env": {"lower": "1"}}, "env", "names of capital letters, digits and '_'; not lower"),
    ({"env": {"SORTIE_DB": "x"}}, "env", "other names than SORTIE_DB, which the manifests set"),
    ({"env": {"A": ["x"]}}, "env", "A as a string or as {secret: NAME, key: KEY}"),
    ({"env": {"A": {"secret": "x"}}}, "env", "A as a string or as {secret: NAME, key: KEY}"),
    (
        {"env": {"API_TOKEN": "hush"}},
        "env",
        "API_TOKEN as {secret: NAME, key: KEY}: its name says that it is secret",
    ),
    ({"apps": [{"name": "Wiki", "url": "https://wiki"}]}, "apps", "entry 1 with its id"),
    (
        {"apps": [{"id": "wiki", "name": "Wiki", "url": "https://wiki"}] * 2},
        "apps",
        "each id once; wiki is there twice",
    ),
    (
        {"apps": [{"id": "wiki", "name": "Wiki", "url": "https://wiki", "categry": "x"}]},
        "apps",
        "known fields in wiki, not categry; the nearest is category",
    ),
    ({"apps": [{"id": "wiki", "url": "https://wiki"}]}, "apps", "a name in wiki"),
    (
        {"apps": [{"id": "wiki", "name": "Wiki", "url": "javascript:x"}]},
        "apps",
        "url of wiki as http(s)://...",
    ),
    (
        {"apps": [{"id": "wiki", "name": "Wiki", "launch_type": "ssh"}]},
        "apps",
        "launch_type of wiki as one of url, container, web_proxy",
    ),
    (
        {"apps": [{"id": "wiki", "name": "Wiki", "url": "https://wiki", "visibility": "all"}]},
        "apps",
        "visibility of wiki as one of public, approved, admin_only",
    ),
    ({"categories": [{"description": "x"}]}, "categories", "entry 1 with its name"),
    ({"categories": [{"name": "a"}, {"name": "a"}]}, "categories", "each name once; a is there twice"),
]


@pytest.mark.parametrize(("given", "variable", "expected"), JOINT)
def test_values_that_do_not_fit_together_are_told(
    given: dict[str, Any], variable: str, expected: str
) -> None:
    assert mistakes(**given) == [(f"sortie_{variable}", expected)]


@pytest.mark.parametrize("name", ["nfs-client", "my-NFS", "azurefile-csi", "cephfs", "smb"])
def test_network_file_systems_are_refused_by_name_unless_allowed(name: str) -> None:
    name = name.lower()
    assert [variable for variable, _expected in mistakes(storage_class=name)] == ["sortie_storage_class"]
    assert mistakes(storage_class=name, storage_allow_network=True) == []


def test_a_network_file_system_does_not_matter_on_postgresql() -> None:
    dsn = "postgresql://sortie:word@db/sortie"
    assert (
        mistakes(storage_class="nfs", database="postgresql", database_dsn=dsn, replicas=3, autoscaling=True)
        == []
    )


def test_an_external_secret_store_is_for_external_secrets() -> None:
    assert mistakes(external_secret_store="vault") == [
        ("sortie_secrets", "external, with sortie_external_secret_store")
    ]
    assert mistakes(external_secret_store="vault", secrets="external") == []


def test_with_external_secrets_no_dsn_is_needed() -> None:
    assert mistakes(database="postgresql", secrets="external") == []


def test_a_database_that_the_operator_runs_needs_no_dsn() -> None:
    assert mistakes(**MANAGED) == []
    assert mistakes(**MANAGED, postgresql_durability="required", postgresql_instances=3) == []
    assert mistakes(**MANAGED, postgresql_parameters={"max_connections": 60, "work_mem": "8MB"}) == []


def test_all_mistakes_are_told_at_once_even_beside_a_wrong_type() -> None:
    found = mistakes(replicas="x", branding_primary_color="blue", env={"lower": "1"}, kubeconfig="")
    assert {variable for variable, _expected in found} == {
        "sortie_replicas",
        "sortie_branding_primary_color",
        "sortie_env",
        "sortie_kubeconfig",
    }


def test_an_unknown_variable_is_told_with_the_nearest_known_one() -> None:
    found = describe(names=("sortie_replica",))["mistakes"]
    assert found == [
        {
            "tenant": "acme",
            "variable": "sortie_replica",
            "value": "",
            "expected": "a known variable; the nearest is sortie_replicas",
        }
    ]


def test_an_unknown_variable_that_is_near_none_is_told_too() -> None:
    assert describe(names=("sortie_zzz",))["mistakes"][0]["expected"] == "a known variable"


def test_facts_of_the_role_are_not_unknown_variables() -> None:
    assert describe(names=("sortie_tenant", "sortie_outcomes"))["mistakes"] == []


@pytest.mark.parametrize("name", ["Acme", "acme.example", "a" * 64, "-acme"])
def test_a_tenant_whose_name_cannot_name_objects_is_told(name: str) -> None:
    expected = "at most 63 lower-case letters, digits and '-': it names the tenant's objects"
    found = describe(tenant=name)["mistakes"]
    assert [(one["variable"], one["value"], one["expected"]) for one in found] == [
        ("inventory_hostname", show(name), expected)
    ]


def test_a_mistake_shows_the_value() -> None:
    assert describe(branding_primary_color="blue")["mistakes"][0]["value"] == "blue"


def test_a_long_value_is_cut() -> None:
    assert describe(branding_tenant_name=LONG)["mistakes"][0]["value"] == "x" * 57 + "..."


def test_the_value_of_a_secret_is_never_shown() -> None:
    found = describe(
        secrets="vault",
        jwt_secret="hush",
        database="postgresql",
        database_dsn="mysql://sortie:hush@db/sortie",
        env={"API_TOKEN": "hush"},
    )["mistakes"]
    assert len(found) == 4
    assert "hush" not in str(found)
    assert {one["value"] for one in found} == {"(secret)", "(not set)", "variables API_TOKEN"}


def test_two_tenants_of_a_cluster_may_not_share_a_namespace() -> None:
    found = clashes([tenant("acme"), tenant("globex", namespace="sortie-acme")])
    assert [(one.tenant, one.variable, one.value, one.expected) for one in found] == [
        ("globex", "sortie_namespace", "sortie-acme", "one of its own; tenant acme has this one")
    ]


def test_two_tenants_of_different_clusters_may_share_a_namespace_but_no_host() -> None:
    other = tenant("globex", namespace="sortie-acme", kubeconfig="/other", ingress_host="acme.example.com")
    assert [one.variable for one in clashes([tenant("acme"), other])] == ["sortie_ingress_host"]


def test_a_clash_with_a_neighbour_outside_the_limit_is_told_of_the_tenant_inside() -> None:
    neighbour = {
        "tenant": "globex",
        "kubeconfig": "/cluster/kubeconfig",
        "context": "",
        "namespace": "sortie-acme",
    }
    found = clashes([tenant("acme")], [{**neighbour, "ingress_host": "globex.example.com"}])
    assert [(one.tenant, one.variable) for one in found] == [("acme", "sortie_namespace")]


def test_neighbours_that_clash_with_each_other_are_none_of_this_runs_business() -> None:
    neighbours = [
        {"tenant": name, "kubeconfig": "/k", "context": "", "namespace": "same", "ingress_host": "same"}
        for name in ("globex", "initech")
    ]
    assert clashes([tenant("acme")], neighbours) == []


STREAMED: dict[str, Any] = {"litestream": True, "litestream_bucket": "replicas"}


def test_litestream_wants_a_bucket_or_a_volume_and_not_both() -> None:
    expected = ("sortie_litestream_bucket", "this or sortie_litestream_storage_class, and not both")
    assert mistakes(litestream=True) == [expected]
    assert mistakes(**STREAMED, litestream_storage_class="standard") == [expected]
    assert mistakes(**STREAMED) == []
    assert mistakes(litestream=True, litestream_storage_class="standard") == []


def test_read_replicas_follow_litestream_and_nothing_else() -> None:
    expected = [("sortie_read_replicas", "0 without sortie_litestream: true, whose replica they follow")]
    assert mistakes(read_replicas=2) == expected
    dsn = "postgresql://sortie:x@db/sortie"
    assert mistakes(read_replicas=2, database="postgresql", database_dsn=dsn) == expected
    assert mistakes(**STREAMED, read_replicas=2) == []


def test_litestream_copies_only_sqlite() -> None:
    dsn = "postgresql://sortie:x@db/sortie"
    assert mistakes(**STREAMED, database="postgresql", database_dsn=dsn) == [
        ("sortie_litestream", "false with sortie_database: postgresql; it copies SQLite databases")
    ]


def test_half_a_key_of_litestream_is_told_without_its_value() -> None:
    found = describe(**STREAMED, litestream_access_key_id="hush")["mistakes"]
    assert [(entry["variable"], entry["value"]) for entry in found] == [
        ("sortie_litestream_secret_access_key", "(not set)")
    ]


def test_a_retention_shorter_than_the_time_between_whole_copies_is_refused() -> None:
    found = mistakes(**STREAMED, litestream_retention="90m", litestream_snapshot_interval="2h")
    assert found == [
        (
            "sortie_litestream_retention",
            "at least sortie_litestream_snapshot_interval: a return begins at a whole copy",
        )
    ]


@pytest.mark.parametrize("path", ["acme", "acme/inside", "a"])
def test_two_tenants_never_share_a_replica(path: str) -> None:
    theirs = "a/b" if path == "a" else "acme"
    acme = tenant("acme", **STREAMED, litestream_path=theirs)
    globex = tenant("globex", **STREAMED, litestream_path=path)
    expected = f"a path of its own in the bucket; tenant acme has {theirs} there"
    for found in (clashes([acme, globex]), clashes([globex], [acme])):
        assert [(entry.tenant, entry.variable, entry.value, entry.expected) for entry in found] == [
            ("globex", "sortie_litestream_path", path, expected)
        ]


def test_replicas_side_by_side_or_in_other_buckets_are_no_clash() -> None:
    acme = tenant("acme", **STREAMED, litestream_path="acme")
    beside = tenant("globex", **STREAMED, litestream_path="acme2")
    elsewhere = tenant("initech", **(STREAMED | {"litestream_bucket": "others"}), litestream_path="acme")
    away = tenant("hooli", **STREAMED, litestream_path="acme", litestream_endpoint="https://s3.example.com")
    assert clashes([acme, beside, elsewhere, away]) == []
