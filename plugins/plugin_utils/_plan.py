# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Decides, from what a cluster holds and what its tenants should be, what is to be done there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.sortie.platform.plugins.module_utils._postgresql import NO_OPERATOR

# What a tenant is to be: its public variables without prefix, and `tenant`, `mistakes`, `branding`,
# `manifests`.
Tenant = Mapping[str, Any]
Manifest = Mapping[str, Any]
# What is to be done on a cluster, as `tenant_plan` says.
Plan = Mapping[str, Any]

SECRET_KEYS = ("jwt-secret", "admin-password")
LITESTREAM_KEYS = ("litestream-access-key-id", "litestream-secret-access-key")
SIDECARS_SINCE = (1, 29)


def plain(value: Any) -> Any:
    """A value without the marks that Ansible puts on what comes out of templates."""
    for kind in (str, int, float):
        if isinstance(value, kind) and not isinstance(value, bool):
            return kind(value)
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, Sequence):
        return [plain(entry) for entry in value]
    return value


def manages_postgresql(tenant: Tenant) -> bool:
    """Whether the tenant's database is one that an operator runs in its cluster."""
    return (tenant["database"], tenant["postgresql_provider"]) == ("postgresql", "cloudnativepg")


def keeps_dsn(tenant: Tenant) -> bool:
    """Whether the tenant's own Secret says where its database is."""
    return tenant["database"] == "postgresql" and not manages_postgresql(tenant)


def kubectl(tenant: Tenant) -> str:
    """The start of a command that looks at the tenant's cluster, with the kubectl of a cluster that the collection made."""
    own = Path(tenant["kubeconfig"]).with_name("bin") / "kubectl"
    context = f" --context {tenant['context']}" if tenant["context"] else ""
    return f"{own if own.exists() else 'kubectl'} --kubeconfig {tenant['kubeconfig']}{context} --namespace {tenant['namespace']}"


def identity(manifest: Manifest) -> tuple[str, str, str]:
    metadata = manifest["metadata"]
    return manifest["kind"], metadata.get("namespace", ""), metadata["name"]


def _reference(manifest: Manifest) -> dict[str, Any]:
    """As much of a manifest as it takes to name the object."""
    metadata = manifest["metadata"]
    kept = {name: metadata[name] for name in ("name", "namespace") if name in metadata}
    return {"kind": manifest["kind"], "metadata": kept}


def _stands(manifest: Manifest, found: Mapping[str, Any]) -> bool:
    """Whether it is the namespace, and there as it should be: a deployer may not write it, and has no need to."""
    wanted = manifest["metadata"].get("labels") or {}
    return (
        manifest["kind"] == "Namespace"
        and found["namespace_exists"]
        and all(found["namespace_labels"].get(name) == value for name, value in wanted.items())
    )


def refuse(tenant: Tenant, found: Mapping[str, Any], kinds: Sequence[str]) -> str:
    """Why the tenant must not be touched; empty if it may."""
    namespace, owner = tenant["namespace"], found["namespace_owner"]
    if found["other_namespaces"]:
        there = found["other_namespaces"][0]
        return (
            f"it already lives in namespace {there}, with its data. "
            f"Set sortie_namespace: {there} to keep it there, or remove it first with remove.yml"
        )
    if owner and owner != tenant["tenant"]:
        return f"namespace {namespace} belongs to tenant {owner}. Set another sortie_namespace"
    if found["namespace_exists"] and not owner and not boolean(tenant["adopt_namespace"]):
        return (
            f"namespace {namespace} exists and was not made by this collection. "
            "Set another sortie_namespace, or sortie_adopt_namespace: true if it is meant for this tenant"
        )
    running = (found["deployment"] or {}).get("database", tenant["database"])
    if running != tenant["database"] and found["migrates_to"] != tenant["database"]:
        return (
            f"its data is in {running}, and sortie_database is {tenant['database']}, where it has none. "
            f"Move it: ansible-playbook playbooks/migrate.yml --limit {tenant['tenant']}"
        )
    return _other_server(tenant, found) or _lacking(tenant, kinds) or _missing_secrets(tenant, found)


def _other_server(tenant: Tenant, found: Mapping[str, Any]) -> str:
    """Why the tenant would begin empty on a PostgreSQL of another provider; nothing if it would not."""
    deployment = found["deployment"] or {}
    if tenant["database"] != "postgresql" or deployment.get("database") != "postgresql":
        return ""
    if deployment.get("provider", tenant["postgresql_provider"]) == tenant["postgresql_provider"]:
        return ""
    migrate = f"ansible-playbook playbooks/migrate.yml --limit {tenant['tenant']}"
    return (
        f"its data is in the PostgreSQL of sortie_postgresql_provider: {deployment['provider']}, and that of "
        f"{tenant['postgresql_provider']} has none. Move it by way of SQLite: {migrate} -e sortie_database=sqlite, then {migrate}"
    )


def _lacking(tenant: Tenant, kinds: Sequence[str]) -> str:
    """What the cluster would have to have for this tenant and has not."""
    for variable, kind in (("service_monitor", "ServiceMonitor"), ("prometheus_rule", "PrometheusRule")):
        if boolean(tenant[variable]) and kind not in kinds:
            return (
                f"the cluster knows no {kind}. Install the Prometheus operator, "
                f"or set sortie_{variable}: false"
            )
    if tenant["external_secret_store"] and "ExternalSecret" not in kinds:
        return (
            "the cluster knows no ExternalSecret. Install External Secrets Operator, "
            "or leave sortie_external_secret_store empty and bring Secret sortie-secrets otherwise"
        )
    if boolean(tenant["autoscaling"]) and "PodMetrics" not in kinds:
        return (
            "the cluster has no metrics, by which an autoscaler decides. Install metrics-server, "
            "or set sortie_autoscaling: false"
        )
    if manages_postgresql(tenant) and "Cluster" not in kinds:
        return NO_OPERATOR
    return ""


def secret_keys(tenant: Tenant) -> list[str]:
    """The keys of the tenant's own Secret that its pods read."""
    return [
        *SECRET_KEYS,
        *(["database-dsn"] if keeps_dsn(tenant) else []),
        *(LITESTREAM_KEYS if boolean(tenant["litestream"]) and tenant["litestream_bucket"] else []),
    ]


def _missing_secrets(tenant: Tenant, found: Mapping[str, Any]) -> str:
    missing = [key for key in secret_keys(tenant) if key not in found["secret_keys"]]
    if tenant["secrets"] == "external" and not tenant["external_secret_store"] and missing:
        return (
            f"Secret sortie-secrets in namespace {tenant['namespace']} lacks {', '.join(missing)}. "
            "Whatever keeps it (sortie_secrets: external) has to bring them first"
        )
    if tenant["tls"] == "provided" and not tenant["tls_certificate"] and not found["certificate"]:
        return (
            f"Secret {tenant['ingress_tls_secret']} in namespace {tenant['namespace']} has no certificate. "
            "Make it, or set sortie_tls_certificate and sortie_tls_private_key"
        )
    return ""


def unsupported(tenant: Tenant, version: str) -> str:
    """What the cluster is too old for; empty if nothing."""
    numbers = re.match(r"v?(\d+)\.(\d+)", version)
    if not boolean(tenant["litestream"]) or numbers is None:
        return ""
    if (int(numbers[1]), int(numbers[2])) >= SIDECARS_SINCE:
        return ""
    return (
        f"sortie_litestream needs sidecar containers, which Kubernetes has since 1.29, and the cluster is {version}. "
        "Upgrade it, or set sortie_litestream: false"
    )


def keeps_litestream_keys(tenant: Tenant) -> bool:
    """Whether Litestream's keys are brought into the tenant's Secret, if there are any."""
    return (
        boolean(tenant["litestream"])
        and bool(tenant["litestream_bucket"])
        and (tenant["secrets"] != "external")
    )


def needs_secrets(tenant: Tenant, found: Mapping[str, Any]) -> bool:
    """Whether something about the tenant's Secrets may have to be written."""
    missing = any(key not in found["secret_keys"] for key in SECRET_KEYS)
    awaited = any(key not in found["secret_keys"] for key in secret_keys(tenant))
    given = (
        tenant["secrets"] == "vault"
        or (keeps_dsn(tenant) and tenant["secrets"] != "external")
        or keeps_litestream_keys(tenant)
    )
    certificate = found["certificate"]
    return (
        not found["namespace_exists"]
        or (missing and tenant["secrets"] != "external")
        or (awaited and bool(tenant["external_secret_store"]))
        or given
        or (tenant["tls"] == "self_signed" and (certificate is None or certificate["due"]))
        or (tenant["tls"] == "provided" and bool(tenant["tls_certificate"]))
    )


def unreachable(tenant: Tenant, info: Mapping[str, Any]) -> str:
    context = f", context {tenant['context']}" if tenant["context"] else ""
    if info["no_kubeconfig"]:
        return (
            f"there is no kubeconfig {tenant['kubeconfig']}. "
            "Run deploy.yml without --limit to make the cluster, or set sortie_kubeconfig"
        )
    return (
        f"its cluster (kubeconfig {tenant['kubeconfig']}{context}) cannot be asked: {info['error']}. "
        f"Look at it with: {kubectl(tenant)} get --raw /readyz"
    )


def tenants_by_cluster(tenants: Sequence[Tenant]) -> list[dict[str, Any]]:
    """The names of the tenants of each cluster: (kubeconfig, context, tenants)."""
    clusters: dict[tuple[str, str], list[str]] = {}
    for tenant in tenants:
        clusters.setdefault((tenant["kubeconfig"], tenant["context"]), []).append(tenant["tenant"])
    return [
        {"kubeconfig": kubeconfig, "context": context, "tenants": names}
        for (kubeconfig, context), names in clusters.items()
    ]


def tenant_queries(tenants: Sequence[Tenant]) -> list[dict[str, str]]:
    """What module `tenant_info` is asked."""
    return [
        {
            "tenant": tenant["tenant"],
            "namespace": tenant["namespace"],
            "tls_secret": tenant["ingress_tls_secret"],
            "host": tenant["ingress_host"],
        }
        for tenant in tenants
    ]


def signed_images(tenants: Sequence[Tenant]) -> list[dict[str, str]]:
    """What module `image_verify` is asked: the images that the tenants' pods run, as far as a key is named for them."""
    return [
        {
            "tenant": tenant["tenant"],
            "variable": f"sortie_{part}",
            "image": tenant[part],
            "public_key": tenant[f"{part}_public_key"],
        }
        for tenant in tenants
        for part in ("image", "litestream_image")
        if tenant[f"{part}_public_key"] and (part == "image" or boolean(tenant["litestream"]))
    ]


def tenant_plan(
    tenants: Sequence[Tenant], info: Mapping[str, Any], check_mode: bool = False
) -> dict[str, Any]:
    """What is to be done on one cluster, without any secret and as small as a fact should be.

    - `tenants`: the given ones, without their manifests
    - `refused`: why a tenant must not be touched, by tenant
    - `expected`: what check mode cannot try, in words, by tenant
    - `postgresql`: tenants whose PostgreSQL, run in the cluster, is not there yet
    - `databases`: tenants whose PostgreSQL may have to be tried
    - `secrets`: tenants whose Secrets may have to be written
    - `objects`: names of what is applied, by tenant
    - `unsettled`: tenants whose Deployment is not what was applied last
    - `orphans`: the objects that are no longer rendered, by tenant
    """
    plan: dict[str, Any] = {
        "tenants": [
            {name: value for name, value in tenant.items() if name != "manifests"} for tenant in tenants
        ],
        "refused": {},
        "expected": {},
        "postgresql": [],
        "databases": [],
        "secrets": [],
        "objects": {},
        "unsettled": [],
        "orphans": {},
    }
    for tenant in tenants:
        name, manifests = tenant["tenant"], list(tenant["manifests"])
        if info["error"]:
            if check_mode and info["no_kubeconfig"]:
                plan["expected"][name] = "its cluster would be made first"
            else:
                plan["refused"][name] = unreachable(tenant, info)
            continue
        found = info["tenants"][name]
        problem = refuse(tenant, found, info["kinds"]) or unsupported(tenant, info.get("version", ""))
        if problem:
            plan["refused"][name] = problem
            continue
        if needs_secrets(tenant, found):
            plan["secrets"].append(name)
        if keeps_dsn(tenant):
            plan["databases"].append(name)
        if manages_postgresql(tenant) and not check_mode and not (found["postgresql"] or {}).get("settled"):
            plan["postgresql"].append(name)
        if check_mode and not found["namespace_exists"]:
            # The API cannot try objects of a namespace that is not there, so only the namespace is tried.
            plan["expected"][name] = f"{len(manifests)} objects would be made"
            manifests = [manifest for manifest in manifests if manifest["kind"] == "Namespace"]
        plan["objects"][name] = [
            _reference(manifest) for manifest in manifests if not _stands(manifest, found)
        ]
        if not (found["deployment"] or {}).get("settled"):
            plan["unsettled"].append(name)
        rendered = {identity(manifest) for manifest in tenant["manifests"]}
        plan["orphans"][name] = [entry for entry in found["objects"] if identity(entry) not in rendered]
    return plan
