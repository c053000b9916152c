# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Says what each step of a plan is given, and what came of it for each tenant.

`steps` are the results of the steps so far, by name, as Ansible registers them: `info`, `postgresql`, `database`, `secrets`,
`apply`, `prune`, `rollout`, `catalog`. A step that was not needed is missing or says `skipped`. A tenant that a step
failed for is left out of those that follow; the others go on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.sortie.platform.plugins.plugin_utils._plan import (
    LITESTREAM_KEYS,
    SECRET_KEYS,
    Manifest,
    Plan,
    Tenant,
    identity,
    keeps_dsn,
    keeps_litestream_keys,
    manages_postgresql,
    secret_keys,
)

Steps = Mapping[str, Mapping[str, Any]]
ObjectResult = tuple[Manifest, Mapping[str, Any]]


def step(steps: Steps, name: str) -> Mapping[str, Any]:
    """The result of a step; empty if it was not needed."""
    result = steps.get(name) or {}
    return {} if result.get("skipped") else result


def describe(manifest: Manifest) -> str:
    return f"{manifest['kind']} {manifest['metadata']['name']}"


def api_message(error: Mapping[str, Any]) -> str:
    """The API server's own message, out of what kubernetes.core makes of it."""
    text = str(error.get("msg", error))
    start, end = text.find("{"), text.rfind("}")
    try:
        return str(json.loads(text[start : end + 1])["message"])
    except (ValueError, KeyError, TypeError):
        return text


def _object_results(result: Mapping[str, Any], manifests: Sequence[Manifest]) -> list[ObjectResult]:
    """Each object with its own result. kubernetes.core has them one level deeper, and none for a single object."""
    if not result:
        return []
    if "results" in result:
        return list(zip(manifests, result["results"], strict=True))
    entries = (result.get("result") or {}).get("results") if len(manifests) > 1 else [result]
    if entries is None or result.get("module_stderr"):
        return [(manifest, {"error": {"msg": result.get("msg", "unknown")}}) for manifest in manifests]
    return list(zip(manifests, entries, strict=True))


def object_results(plan: Plan, steps: Steps, name: str) -> dict[str, list[ObjectResult]]:
    """The results of step `apply` or `prune`, by tenant."""
    given = {"apply": _applied, "prune": tenant_orphans}[name]
    owners = {tenant["namespace"]: tenant["tenant"] for tenant in plan["tenants"]}
    results: dict[str, list[ObjectResult]] = {}
    for manifest, result in _object_results(step(steps, name), given(plan, steps)):
        namespace = manifest["metadata"].get("namespace") or manifest["metadata"]["name"]
        results.setdefault(owners[namespace], []).append((manifest, result))
    return results


def _object_problems(plan: Plan, steps: Steps, name: str) -> dict[str, str]:
    problems: dict[str, str] = {}
    for tenant, results in object_results(plan, steps, name).items():
        errors = [
            f"{describe(manifest)}: {api_message(result['error'])}"
            for manifest, result in results
            if result.get("error")
        ]
        if errors:
            problems[tenant] = "; ".join(errors)
    return problems


def _secrets_problems(steps: Steps) -> dict[str, str]:
    results = step(steps, "secrets").get("tenants") or {}
    return {tenant: str(result["error"]) for tenant, result in results.items() if result["error"]}


def _rollout_problems(steps: Steps) -> dict[str, str]:
    result = step(steps, "rollout")
    logs = result.get("logs") or {}
    return {
        tenant: "\n".join([failure, *(f"  log: {line}" for line in logs.get(tenant, []))])
        for tenant, failure in (result.get("failures") or {}).items()
    }


STEPS = ("postgresql", "database", "secrets", "apply", "prune", "rollout", "catalog")


def problems(plan: Plan, steps: Steps, before: str | None = None) -> dict[str, str]:
    """Why a tenant failed, by tenant; if a step is given, only in what comes before it."""
    done = STEPS[: STEPS.index(before)] if before else STEPS
    found = dict(plan["refused"])
    for name in done:
        if name == "secrets":
            new = _secrets_problems(steps)
        elif name in ("apply", "prune"):
            new = _object_problems(plan, steps, name)
        elif name == "rollout":
            new = _rollout_problems(steps)
        else:
            new = dict(step(steps, name).get("failures") or {})
        found = new | found
    return found


def _standing(plan: Plan, steps: Steps, before: str) -> list[Tenant]:
    """The tenants that are touched and for which everything went well until this step."""
    failed = problems(plan, steps, before)
    return [
        tenant
        for tenant in plan["tenants"]
        if tenant["tenant"] in plan["objects"] and tenant["tenant"] not in failed
    ]


def _namespace(tenant: Tenant) -> Manifest:
    manifest: Manifest = next(entry for entry in tenant["manifests"] if entry["kind"] == "Namespace")
    return manifest


def tenant_endpoint(tenant: Tenant) -> dict[str, Any]:
    """Where a tenant is asked, and what its page must show."""
    return {
        "tenant": tenant["tenant"],
        "host": tenant["ingress_host"],
        "port": tenant["ingress_port"],
        "address": tenant["ingress_address"],
        "tls": tenant["tls"] != "none",
        "ca_file": tenant["tls_ca_file"],
        "branding": tenant["branding"],
    }


def tenant_postgresql(plan: Plan, tenants: Sequence[Tenant]) -> list[dict[str, Any]]:
    """What module `tenant_postgresql` is given; `tenants` are those of the plan, with their manifests."""
    return [database(tenant) for tenant in tenants if tenant["tenant"] in plan["postgresql"]]


def database(tenant: Tenant) -> dict[str, Any]:
    """The PostgreSQL that an operator runs for a tenant, and who may reach it."""
    return {
        "tenant": tenant["tenant"],
        "namespace": _namespace(tenant),
        "objects": [entry for entry in tenant["manifests"] if entry["kind"] in ("NetworkPolicy", "Cluster")],
        # It is made first, and then copied to a standby.
        "timeout": 2 * int(tenant["rollout_timeout"]),
    }


def tenant_databases(plan: Plan, variables: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What module `tenant_database` is given; as below, secret variables (`hostvars`) are read here alone."""
    return [
        {
            "tenant": tenant["tenant"],
            "namespace": _namespace(variables[tenant["tenant"]]["sortie_tenant"]),
            "image": tenant["image"],
            "pull_secrets": tenant["image_pull_secrets"],
            "dsn": ""
            if tenant["secrets"] == "external"
            else variables[tenant["tenant"]]["sortie_database_dsn"],
            "unsettled": tenant["tenant"] in plan["unsettled"],
            "timeout": tenant["rollout_timeout"],
        }
        for tenant in plan["tenants"]
        if tenant["tenant"] in plan["databases"]
    ]


def tenant_secrets(
    plan: Plan, steps: Steps, variables: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """What module `tenant_secrets` is given."""
    return [
        _wanted_secrets(tenant, variables[tenant["tenant"]])
        for tenant in _standing(plan, steps, "secrets")
        if tenant["tenant"] in plan["secrets"]
    ]


def _wanted_secrets(tenant: Tenant, variables: Mapping[str, Any]) -> dict[str, Any]:
    values = {}
    if tenant["secrets"] == "vault":
        values = {key: variables["sortie_" + key.replace("-", "_")] for key in SECRET_KEYS}
    if keeps_dsn(tenant) and tenant["secrets"] != "external":
        values["database-dsn"] = variables["sortie_database_dsn"]
    if keeps_litestream_keys(tenant):
        given = {key: variables.get("sortie_" + key.replace("-", "_")) for key in LITESTREAM_KEYS}
        values |= {key: value for key, value in given.items() if value}
    return {
        "tenant": tenant["tenant"],
        "namespace": _namespace(variables["sortie_tenant"]),
        "generate": list(SECRET_KEYS) if tenant["secrets"] == "generated" else [],
        "values": values,
        "external": next(
            (entry for entry in variables["sortie_tenant"]["manifests"] if entry["kind"] == "ExternalSecret"),
            {},
        ),
        "await_keys": secret_keys(tenant) if tenant["external_secret_store"] else [],
        "timeout": tenant["rollout_timeout"],
        "tls": tenant["tls"],
        "tls_secret": tenant["ingress_tls_secret"],
        "host": tenant["ingress_host"],
        "certificate": tenant["tls_certificate"],
        "private_key": variables["sortie_tls_private_key"] if tenant["tls_certificate"] else "",
    }


def _applied(plan: Plan, steps: Steps) -> list[Manifest]:
    """The names of what is applied, in its order."""
    return [
        reference
        for tenant in _standing(plan, steps, "apply")
        for reference in plan["objects"][tenant["tenant"]]
    ]


def tenant_manifests(plan: Plan, steps: Steps, tenants: Sequence[Tenant]) -> list[Manifest]:
    """What is applied; `tenants` are those of the plan, with their manifests."""
    rendered = {identity(manifest): manifest for tenant in tenants for manifest in tenant["manifests"]}
    return [rendered[identity(reference)] for reference in _applied(plan, steps)]


def tenant_orphans(plan: Plan, steps: Steps) -> list[Manifest]:
    """What is removed: objects with the label of ownership that are no longer rendered."""
    return [
        orphan for tenant in _standing(plan, steps, "prune") for orphan in plan["orphans"][tenant["tenant"]]
    ]


def tenant_workloads(plan: Plan, steps: Steps) -> list[dict[str, Any]]:
    """What is waited for: Deployments and databases that changed now, Deployments whose Secret did, or that an earlier run left unsettled."""
    secrets = step(steps, "secrets").get("tenants") or {}
    changed = {
        (tenant, manifest["kind"], manifest["metadata"]["name"])
        for tenant, results in object_results(plan, steps, "apply").items()
        for manifest, result in results
        if result.get("changed")
    }
    return [
        {
            "tenant": tenant["tenant"],
            "namespace": tenant["namespace"],
            "kind": kind,
            "name": name,
            "timeout": tenant["rollout_timeout"],
        }
        for tenant in _standing(plan, steps, "rollout")
        for kind, name in _workloads(tenant)
        if (tenant["tenant"], kind, name) in changed
        or (
            kind == "Deployment"
            and (tenant["tenant"] in plan["unsettled"] or secrets.get(tenant["tenant"], {}).get("changed"))
        )
    ]


def _workloads(tenant: Tenant) -> list[tuple[str, str]]:
    """Kind and name of what a tenant runs."""
    return [
        *([("Cluster", "sortie-postgresql")] if manages_postgresql(tenant) else []),
        ("Deployment", "sortie"),
        *([("Deployment", "sortie-read")] if int(tenant["read_replicas"]) else []),
    ]


def tenant_catalogs(plan: Plan, steps: Steps, check_mode: bool = False) -> list[dict[str, Any]]:
    """What is served and verified; in check mode only those that are served already."""
    found = step(steps, "info").get("tenants") or {}
    made = step(steps, "secrets").get("tenants") or {}
    return [
        {
            **tenant_endpoint(tenant),
            "jwt_secret": (made.get(tenant["tenant"]) or found[tenant["tenant"]])["jwt_secret"],
            "applications": tenant["apps"],
            "categories": tenant["categories"],
        }
        for tenant in _standing(plan, steps, "catalog")
        if not check_mode or tenant["tenant"] not in plan["unsettled"]
    ]


def changes(plan: Plan, steps: Steps) -> dict[str, list[str]]:
    """What changed, in words, by tenant."""
    secrets = step(steps, "secrets").get("tenants") or {}
    applied, pruned = object_results(plan, steps, "apply"), object_results(plan, steps, "prune")
    databases = step(steps, "postgresql").get("changes") or {}
    catalogues = step(steps, "catalog").get("changes") or {}
    found = {}
    for tenant in plan["tenants"]:
        name = tenant["tenant"]
        found[name] = [
            *databases.get(name, []),
            *secrets.get(name, {}).get("changed", []),
            *(describe(manifest) for manifest, result in applied.get(name, []) if result.get("changed")),
            *(
                f"{describe(manifest)} removed"
                for manifest, result in pruned.get(name, [])
                if result.get("changed")
            ),
            *catalogues.get(name, []),
        ]
    return found
