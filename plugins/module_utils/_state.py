# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Reads what a cluster holds of the tenants, with a handful of requests however many tenants there are."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.sortie.platform.plugins.module_utils._certificates import Authority, describe
from ansible_collections.sortie.platform.plugins.module_utils._cluster import (
    KINDS,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    TENANT_LABEL,
    Api,
    ClusterError,
    Manifest,
    items,
)
from ansible_collections.sortie.platform.plugins.module_utils._rollout import judge_cluster, judge_deployment

# The kinds that are removed when they are no longer rendered. Namespace, PersistentVolumeClaim and Secret are
# not among them: data goes only when `remove.yml` is told so.
PRUNED = (
    "ConfigMap",
    "Deployment",
    "ExternalSecret",
    "HorizontalPodAutoscaler",
    "Ingress",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "PrometheusRule",
    "Service",
    "ServiceAccount",
    "ServiceMonitor",
)
FORBIDDEN = 403
DATA = ("Cluster", "PersistentVolumeClaim", "Secret")
# Where the playbooks of backups leave what became of their last run.
RECORDS = "sortie-status"
METRICS_GROUP = "metrics.k8s.io"
CLAIM = "sortie-data"
APPLICATION = "sortie"
LOAD_BALANCER = "sortie-lb"
# The PostgreSQL that an operator runs for the tenant, and the Secret in which the operator says where it is.
POSTGRESQL = "sortie-postgresql"
POSTGRESQL_SECRET = "sortie-postgresql-app"  # nosec B105 # noqa: S105 (its name)
# The ConfigMap that is there while a tenant moves from one kind of database to the other.
MIGRATION = "sortie-migration"
SECRET = "sortie-secrets"  # nosec B105 # noqa: S105 (its name)

# DaemonSets by which network plugins that enforce NetworkPolicies are known.
POLICY_PLUGINS = {
    "anetd": "GKE Dataplane V2",
    "antrea-agent": "Antrea",
    "azure-npm": "Azure NPM",
    "calico-node": "Calico",
    "canal": "Canal",
    "cilium": "Cilium",
    "kube-router": "kube-router",
    "ovnkube-node": "OVN-Kubernetes",
    "weave-net": "Weave Net",
}


@dataclass(frozen=True)
class Tenant:
    """A tenant by the names that its objects have."""

    tenant: str
    namespace: str
    tls_secret: str = "sortie-tls"  # noqa: S105 (its name)
    host: str = ""


def reference(kind: str, manifest: Manifest) -> Manifest:
    """As much of an object as it takes to name it."""
    metadata = manifest["metadata"]
    return {
        "apiVersion": KINDS[kind].api_version,
        "kind": kind,
        "metadata": {name: metadata[name] for name in ("name", "namespace") if name in metadata},
    }


def _everywhere(
    api: Api, kind: str, query: Mapping[str, str], *, metadata_only: bool = False
) -> list[Manifest] | None:
    """The objects of a kind in all namespaces; None where the account may not see that, as that of a deployer."""
    try:
        return list(items(api, KINDS[kind].path(), query, metadata_only=metadata_only))
    except ClusterError as error:
        if error.status != FORBIDDEN:
            raise
        return None


def _owned(api: Api, kinds: Iterable[str], tenants: Sequence[Tenant]) -> list[tuple[str, str, Manifest]]:
    """(tenant, kind, object) of everything that carries the ownership labels."""
    query = {"labelSelector": f"{MANAGED_BY_LABEL}={MANAGED_BY},{TENANT_LABEL}"}
    found = []
    for kind in kinds:
        # Only of Deployments more than the name is wanted.
        brief = kind != "Deployment"
        manifests = _everywhere(api, kind, query, metadata_only=brief)
        if manifests is None:
            manifests = [
                manifest
                for tenant in tenants
                for manifest in items(api, KINDS[kind].path(tenant.namespace), query, metadata_only=brief)
            ]
        found += [(manifest["metadata"]["labels"][TENANT_LABEL], kind, manifest) for manifest in manifests]
    return found


def _namespaces(api: Api, tenants: Sequence[Tenant]) -> dict[str, Manifest]:
    """The tenants' namespaces that exist, and all that carry a tenant's label."""
    found = {
        manifest["metadata"]["name"]: manifest
        for manifest in _everywhere(api, "Namespace", {"labelSelector": TENANT_LABEL}) or []
    }
    for tenant in tenants:
        if tenant.namespace not in found and (
            manifest := api.get(KINDS["Namespace"].path(None, tenant.namespace))
        ):
            found[tenant.namespace] = manifest
    return found


def _named(api: Api, kind: str, places: set[tuple[str, str]]) -> list[Manifest]:
    """The objects of a kind at (namespace, name). Asked by name, so no others are read."""
    found = []
    for name in sorted({name for _namespace, name in places}):
        manifests = _everywhere(api, kind, {"fieldSelector": f"metadata.name={name}"})
        if manifests is None:
            own = [namespace for namespace, one in sorted(places) if one == name]
            manifests = [
                manifest for namespace in own if (manifest := api.get(KINDS[kind].path(namespace, name)))
            ]
        found += manifests
    return [
        manifest
        for manifest in found
        if (manifest["metadata"]["namespace"], manifest["metadata"]["name"]) in places
    ]


def _secrets(api: Api, tenants: Sequence[Tenant]) -> dict[tuple[str, str], dict[str, bytes]]:
    """The data of the tenants' Secrets, by namespace and name."""
    places = {(tenant.namespace, name) for tenant in tenants for name in (SECRET, tenant.tls_secret)}
    return {
        (manifest["metadata"]["namespace"], manifest["metadata"]["name"]): {
            key: base64.b64decode(value) for key, value in (manifest.get("data") or {}).items()
        }
        for manifest in _named(api, "Secret", places)
    }


def _records(api: Api, tenants: Sequence[Tenant]) -> dict[str, dict[str, Any]]:
    """What the last backup, drill and restore left, by namespace."""
    return {
        manifest["metadata"]["namespace"]: {
            name.removesuffix(".json"): _record(text) for name, text in (manifest.get("data") or {}).items()
        }
        for manifest in _named(api, "ConfigMap", {(tenant.namespace, RECORDS) for tenant in tenants})
    }


def _record(text: str) -> dict[str, Any]:
    try:
        record = json.loads(text)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def database_of(deployment: Manifest) -> str:
    """The kind of database that a Deployment of ours uses."""
    volumes = deployment["spec"]["template"]["spec"].get("volumes") or []
    claims = [
        volume["persistentVolumeClaim"]["claimName"]
        for volume in volumes
        if "persistentVolumeClaim" in volume
    ]
    return "sqlite" if CLAIM in claims else "postgresql"


def address_of(deployment: Manifest) -> tuple[str, str]:
    """Secret and key with the address of the PostgreSQL that a Deployment of ours uses; empty if it uses none."""
    for container in deployment["spec"]["template"]["spec"].get("containers") or []:
        for variable in container.get("env") or []:
            if variable["name"] == "SORTIE_DB_DSN":
                place = variable["valueFrom"]["secretKeyRef"]
                return place["name"], place["key"]
    return "", ""


def provider_of(deployment: Manifest) -> str:
    """Who runs the PostgreSQL that a Deployment of ours uses."""
    return "cloudnativepg" if address_of(deployment)[0] == POSTGRESQL_SECRET else "dsn"


def _postgresql(api: Api, tenants: Sequence[Tenant]) -> dict[str, dict[str, Any]]:
    """How the databases are that the operator runs, by namespace."""
    found = {}
    for manifest in _named(api, "Cluster", {(tenant.namespace, POSTGRESQL) for tenant in tenants}):
        verdict = judge_cluster(manifest)
        found[manifest["metadata"]["namespace"]] = {
            "settled": verdict.ready,
            "message": verdict.message,
            "primary": manifest.get("status", {}).get("currentPrimary", ""),
        }
    return found


def _migrations(api: Api, tenants: Sequence[Tenant]) -> dict[str, str]:
    """Where tenants are moving to, by namespace; only copies that are complete count."""
    return {
        manifest["metadata"]["namespace"]: manifest["data"]["to"]
        for manifest in _named(api, "ConfigMap", {(tenant.namespace, MIGRATION) for tenant in tenants})
        if manifest["data"]["phase"] == "copied"
    }


def _load_balancers(api: Api, tenants: Sequence[Tenant]) -> dict[str, str]:
    """Where the tenants' Services `sortie-lb` are reached, by namespace; `pending` while nothing has given them an address."""
    return {
        manifest["metadata"]["namespace"]: ", ".join(_addresses(manifest)) or "pending"
        for manifest in _named(api, "Service", {(tenant.namespace, LOAD_BALANCER) for tenant in tenants})
    }


def _addresses(service: Manifest) -> list[str]:
    given = service.get("status", {}).get("loadBalancer", {}).get("ingress") or []
    return [str(entry.get("ip") or entry.get("hostname")) for entry in given]


def _deployment(owned: Sequence[tuple[str, str, Manifest]], tenant: Tenant) -> dict[str, Any] | None:
    """The tenant's own Deployment; settled if the one of its read replicas is, too."""
    there = {
        manifest["metadata"]["name"]: manifest
        for _tenant, kind, manifest in owned
        if kind == "Deployment" and manifest["metadata"]["namespace"] == tenant.namespace
    }
    if APPLICATION not in there:
        return None
    verdicts = {name: judge_deployment(manifest) for name, manifest in there.items()}
    manifest = there[APPLICATION]
    return {
        "settled": all(verdict.ready for verdict in verdicts.values()),
        "message": "; ".join(
            verdict.message if name == APPLICATION else f"{name}: {verdict.message}"
            for name, verdict in sorted(verdicts.items())
            if verdict.message
        ),
        "database": database_of(manifest),
        "provider": provider_of(manifest),
        "image": manifest["spec"]["template"]["spec"]["containers"][0]["image"],
        "replicas": manifest["spec"].get("replicas", 1),
        "available": manifest.get("status", {}).get("availableReplicas", 0),
    }


def read(
    api: Api,
    tenants: Sequence[Tenant],
    *,
    authority: Authority | None = None,
    with_data: bool = False,
    with_records: bool = False,
) -> dict[str, Any]:
    """What there is of each tenant. Contains the keys that sign service tokens: never to be shown."""
    version = api.get("/version") or {}
    groups = {group["name"] for group in (api.get("/apis") or {}).get("groups", [])}
    present = [kind for kind in (*PRUNED, "Cluster") if "." not in (group := _group(kind)) or group in groups]
    metrics = ["PodMetrics"] if METRICS_GROUP in groups or _serves_metrics(api) else []
    owned = _owned(api, [kind for kind in present if kind in PRUNED], tenants)
    kept = [kind for kind in DATA if kind != "Cluster" or kind in present]
    data = _owned(api, kept, tenants) if with_data else []
    postgresql = _postgresql(api, tenants) if "Cluster" in present else {}
    records = _records(api, tenants) if with_records else {}
    namespaces = _namespaces(api, tenants)
    secrets = _secrets(api, tenants)
    migrations = _migrations(api, tenants)
    load_balancers = _load_balancers(api, tenants)
    answer: dict[str, Any] = {}
    for tenant in tenants:
        mine = namespaces.get(tenant.namespace)
        secret = secrets.get((tenant.namespace, SECRET), {})
        certificate = secrets.get((tenant.namespace, tenant.tls_secret), {}).get("tls.crt")
        answer[tenant.tenant] = {
            "namespace_exists": mine is not None,
            "namespace_labels": (mine or {}).get("metadata", {}).get("labels") or {},
            "namespace_owner": ((mine or {}).get("metadata", {}).get("labels") or {}).get(TENANT_LABEL),
            "other_namespaces": sorted(
                name
                for name, manifest in namespaces.items()
                if name != tenant.namespace
                and (manifest["metadata"].get("labels") or {}).get(TENANT_LABEL) == tenant.tenant
            ),
            "objects": _references(owned, tenant),
            "data": _references(data, tenant),
            "deployment": _deployment(owned, tenant),
            "postgresql": postgresql.get(tenant.namespace),
            "load_balancer": load_balancers.get(tenant.namespace, ""),
            "migrates_to": migrations.get(tenant.namespace, ""),
            "secret_keys": sorted(secret),
            "certificate": describe(certificate, authority, tenant.host) if certificate else None,
            "records": records.get(tenant.namespace, {}),
            "jwt_secret": secret.get("jwt-secret", b"").decode(),
        }
    return {
        "version": version.get("gitVersion", ""),
        "kinds": sorted([*present, *metrics]),
        "policy_plugin": _policy_plugin(api) if with_records else None,
        "tenants": answer,
    }


def _policy_plugin(api: Api) -> str | None:
    """What enforces NetworkPolicies here; empty if nothing that is known, None if the account may not see that."""
    daemons = _everywhere(api, "DaemonSet", {}, metadata_only=True)
    if daemons is None:
        return None
    names = {manifest["metadata"]["name"] for manifest in daemons}
    return next((plugin for name, plugin in POLICY_PLUGINS.items() if name in names), "")


def _serves_metrics(api: Api) -> bool:
    """Whether metrics-server is registered; while it starts, its group is not among the others."""
    try:
        return api.get(f"/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.{METRICS_GROUP}") is not None
    except ClusterError:
        # Not everybody may ask that; then the list of groups is all there is.
        return False


def _group(kind: str) -> str:
    """The API group, for kinds that a cluster may lack; those of Kubernetes itself are everywhere."""
    group = KINDS[kind].api_version.partition("/")[0]
    return group if not group.endswith(".k8s.io") else ""


def _references(owned: Sequence[tuple[str, str, Manifest]], tenant: Tenant) -> list[Manifest]:
    """The tenant's objects in its own namespace; a label on something elsewhere makes nothing ours."""
    return [
        reference(kind, manifest)
        for owner, kind, manifest in owned
        if owner == tenant.tenant and manifest["metadata"]["namespace"] == tenant.namespace
    ]
