"""Tenants for tests, as the role describes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ansible_collections.sortie.platform.plugins.plugin_utils._description import tenant_description

SPECS = Path(__file__).resolve().parents[3] / "roles" / "sortie" / "meta" / "argument_specs.yml"
OPTIONS: dict[str, dict[str, Any]] = yaml.safe_load(SPECS.read_text())["argument_specs"]["main"]["options"]
# The defaults that the role computes.
COMPUTED = {
    "sortie_kubeconfig": "/cluster/kubeconfig",
    "sortie_namespace": "sortie-acme",
    "sortie_image": "localhost:5000/sortie:1",
    "sortie_image_public_key": "",
    "sortie_replicas": 1,
    "sortie_pod_disruption_budget": False,
    "sortie_prometheus_rule": False,
    "sortie_alert_backup_hours": 0,
    "sortie_tls_ca_file": "",
    "sortie_litestream_image": "localhost:5000/sortie-litestream:1",
    "sortie_litestream_image_public_key": "",
    "sortie_litestream_path": "acme",
    "sortie_external_secret_key": "acme",
    "sortie_litestream_storage_size": "1Gi",
    "sortie_postgresql_storage_size": "1Gi",
    "sortie_postgresql_storage_class": "standard",
}


# Of the cluster's namespace only its owner is noted, so that there is something to apply.
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


def variables(**given: Any) -> dict[str, Any]:
    """A tenant's variables; those given without their prefix."""
    defaults = {name: option.get("default") for name, option in OPTIONS.items()} | COMPUTED
    return defaults | {f"sortie_{name}": value for name, value in given.items()}


def describe(tenant: str = "acme", names: tuple[str, ...] = (), **given: Any) -> dict[str, Any]:
    """The description of a tenant; `names` are further variables that start with `sortie_`."""
    values = variables(**given)
    return tenant_description(list(values.values()), tenant, OPTIONS, [*values, *names])


def manifests(namespace: str = "sortie-acme") -> list[dict[str, Any]]:
    """As much of manifests as decisions look at."""
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": {**RESTRICTED}}},
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "sortie-config", "namespace": namespace},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "sortie", "namespace": namespace},
        },
    ]


def tenant(name: str = "acme", **given: Any) -> dict[str, Any]:
    """A tenant of one's own namespace and host, with manifests."""
    own = {"namespace": f"sortie-{name}", "ingress_host": f"{name}.example.com"}
    return {**describe(name, **(own | given)), "manifests": manifests(f"sortie-{name}")}


def found(**values: Any) -> dict[str, Any]:
    """What module `tenant_info` tells of a tenant that is deployed and settled."""
    return {
        "namespace_exists": True,
        "namespace_labels": {"sortie.platform/tenant": "acme"},
        "namespace_owner": "acme",
        "other_namespaces": [],
        "objects": [],
        "data": [],
        "deployment": {"settled": True, "message": "", "image": "sortie:1", "replicas": 1, "available": 1},
        "postgresql": None,
        "load_balancer": "",
        "migrates_to": "",
        "secret_keys": ["admin-password", "jwt-secret"],
        "certificate": {"not_after": "2027-01-01T00:00:00+00:00", "due": False},
        "records": {},
        "jwt_secret": "signing-key",
        **values,
    }


def absent() -> dict[str, Any]:
    """What it tells of one that was never deployed."""
    return found(
        namespace_exists=False,
        namespace_labels={},
        namespace_owner=None,
        deployment=None,
        secret_keys=[],
        certificate=None,
        jwt_secret="",
    )


def info(**tenants: dict[str, Any]) -> dict[str, Any]:
    """The result of module `tenant_info`."""
    return {"error": "", "no_kubeconfig": False, "kinds": ["ConfigMap", "Deployment"], "tenants": tenants}
