# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Tells how tenants are: what runs, and whether it answers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.sortie.platform.plugins.plugin_utils._plan import Tenant, unreachable
from ansible_collections.sortie.platform.plugins.plugin_utils._steps import tenant_endpoint
from ansible_collections.sortie.platform.plugins.plugin_utils._summary import table, url

COLUMNS = ("tenant", "url", "version", "health", "database", "pods", "certificate")


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
    return "; ".join(part for part in (running, str(answer["message"])) if part)


def tenant_statuses(
    tenants: Sequence[Tenant], info: Mapping[str, Any], health: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """How the tenants of a cluster are. `info` and `health` are what the modules of these names return."""
    statuses = []
    for tenant in tenants:
        found = info["tenants"].get(tenant["tenant"]) or {}
        deployment = found.get("deployment")
        problem = _problem(tenant, info, health["tenants"])
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
                "image": deployment["image"] if deployment else "",
                "milliseconds": health["tenants"][tenant["tenant"]]["milliseconds"],
            }
        )
    return statuses


def status_text(statuses: Sequence[Mapping[str, Any]], form: str = "table") -> str:
    """The statuses as a table or as JSON."""
    if form == "json":
        return json.dumps(list(statuses), indent=2, ensure_ascii=False)
    return table(statuses, COLUMNS) + "\n"


def status_failure(statuses: Sequence[Mapping[str, Any]]) -> str:
    unwell = [f"{status['tenant']}: {status['problem']}" for status in statuses if status["problem"]]
    return "\n".join(["Not every tenant is well.", *unwell])
