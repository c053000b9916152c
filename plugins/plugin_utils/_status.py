# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Tells how tenants are: what runs, and whether it answers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ansible_collections.sortie.platform.plugins.plugin_utils._backups import age
from ansible_collections.sortie.platform.plugins.plugin_utils._plan import Tenant, unreachable
from ansible_collections.sortie.platform.plugins.plugin_utils._steps import tenant_endpoint
from ansible_collections.sortie.platform.plugins.plugin_utils._summary import table, url

# The runs whose last good one has an age: what module `tenant_info` calls their records.
RECORDED = ("backup", "drill")
COLUMNS = (
    "tenant",
    "url",
    "version",
    "health",
    "database",
    "pods",
    "certificate",
    "policies",
    "backup",
    "drill",
)


def tenant_endpoints(tenants: Sequence[Tenant]) -> list[dict[str, Any]]:
    """What module `tenant_health` is asked."""
    return [tenant_endpoint(tenant) for tenant in tenants]


def version(deployment: Mapping[str, Any]) -> str:
    """What runs, as short as it can be told: the tag, or the beginning of the digest."""
    name, _at, digest = str(deployment["image"]).partition("@sha256:")
    tag = name.rpartition("/")[2].partition(":")[2]
    return tag or digest[:12] or "latest"


def _problem(tenant: Tenant, info: Mapping[str, Any], answers: Mapping[str, Any]) -> str:
    """What is the matter; empty if nothing is."""
    if info["error"]:
        return unreachable(tenant, info)
    found = info["tenants"][tenant["tenant"]]
    if found["namespace_owner"] != tenant["tenant"]:
        return "not deployed"
    if not found["deployment"]:
        return "its Deployment does not exist"
    answer, deployment = answers[tenant["tenant"]], found["deployment"]
    running = "" if deployment["settled"] else str(deployment["message"])
    failed = [
        f"the last {kind} failed ({record.get('failed_at')}): {record.get('error')}"
        for kind, record in found["records"].items()
        if kind in RECORDED and not record.get("ok", True)
    ]
    database = found["postgresql"] or {"settled": True}
    unwell = "" if database["settled"] else f"its PostgreSQL: {database['message']}"
    return "; ".join(part for part in (running, unwell, str(answer["message"]), *failed) if part)


def _seconds_since_good(record: Mapping[str, Any]) -> int | None:
    """How long ago the last good run ended; None where there was none."""
    try:
        return int((datetime.now(UTC) - datetime.fromisoformat(str(record.get("time")))).total_seconds())
    except ValueError:
        return None


def _told(record: Mapping[str, Any], seconds: int | None) -> str:
    """A run in a cell of the table: the age of the last good one, and whether the last one failed."""
    since = "-" if seconds is None else age(max(0, seconds))
    return since if record.get("ok", True) else f"FAILED ({since})"


def _policies(tenant: Tenant, info: Mapping[str, Any]) -> str:
    """What enforces the tenant's NetworkPolicies; `off` if it has none."""
    if not any(manifest["kind"] == "NetworkPolicy" for manifest in tenant["manifests"]):
        return "off"
    plugin = info.get("policy_plugin")
    return "unknown" if plugin is None else str(plugin) or "not enforced"


def tenant_statuses(
    tenants: Sequence[Tenant], info: Mapping[str, Any], health: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """How the tenants of a cluster are. `info` and `health` are what the modules of these names return."""
    statuses = []
    for tenant in tenants:
        found = info["tenants"].get(tenant["tenant"]) or {}
        deployment = found.get("deployment")
        problem = _problem(tenant, info, health["tenants"])
        records = {kind: (found.get("records") or {}).get(kind, {}) for kind in RECORDED}
        seconds = {kind: _seconds_since_good(record) for kind, record in records.items()}
        statuses.append(
            {
                "tenant": tenant["tenant"],
                "url": url(tenant),
                "version": version(deployment) if deployment else "-",
                "health": "not well" if problem else "well",
                "problem": problem,
                "database": tenant["database"],
                "pods": f"{deployment['available']}/{deployment['replicas']}" if deployment else "-",
                "certificate": ((found.get("certificate") or {}).get("not_after") or "-")[:10],
                "policies": _policies(tenant, info),
                **{kind: _told(records[kind], seconds[kind]) for kind in RECORDED},
                **{f"{kind}_age_seconds": seconds[kind] for kind in RECORDED},
                "load_balancer": found.get("load_balancer") or "-",
                "image": deployment["image"] if deployment else "",
                "milliseconds": health["tenants"][tenant["tenant"]]["milliseconds"],
            }
        )
    return statuses


def status_text(statuses: Sequence[Mapping[str, Any]], form: str = "table") -> str:
    """The statuses as a table or as JSON."""
    if form == "json":
        return json.dumps(list(statuses), indent=2, ensure_ascii=False)
    balanced = any(status["load_balancer"] != "-" for status in statuses)
    return table(statuses, [*COLUMNS, *(["load_balancer"] if balanced else [])]) + "\n"


def status_failure(statuses: Sequence[Mapping[str, Any]]) -> str:
    unwell = [f"{status['tenant']}: {status['problem']}" for status in statuses if status["problem"]]
    return "\n".join(["Not every tenant is well.", *unwell])
