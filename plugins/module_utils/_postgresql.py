# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Brings the PostgreSQL of tenants that an operator runs in their cluster, before what needs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.sortie.platform.plugins.module_utils._apply import apply_one
from ansible_collections.sortie.platform.plugins.module_utils._cluster import (
    KINDS,
    Api,
    ClusterError,
    Manifest,
)
from ansible_collections.sortie.platform.plugins.module_utils._rollout import Workload, wait

UNKNOWN_KIND = 404
NO_OPERATOR = (
    "CloudNativePG, the operator that is to run its PostgreSQL, is not in the cluster. Where the collection makes the cluster, "
    "playbooks/cloudnativepg.yml brings it, and deploy.yml without --limit; elsewhere install its published manifest (version 1.27), "
    "or set sortie_postgresql_provider: dsn"
)


@dataclass(frozen=True)
class Wanted:
    """A tenant's database: its namespace, what else it needs, and the Cluster itself."""

    tenant: str
    namespace: Manifest
    objects: Sequence[Manifest]
    timeout: float = 180

    @property
    def workloads(self) -> list[Workload]:
        return [
            Workload(
                self.tenant,
                entry["metadata"]["namespace"],
                entry["metadata"]["name"],
                "Cluster",
                self.timeout,
            )
            for entry in self.objects
            if entry["kind"] == "Cluster"
        ]


@dataclass
class Outcome:
    """What changed, in words, and why the database is not there; empty if it is."""

    changes: list[str]
    problem: str = ""


def _apply(api: Api, wanted: Wanted, *, dry_run: bool) -> Outcome:
    outcome = Outcome([])
    path = KINDS["Namespace"].path(None, wanted.namespace["metadata"]["name"])
    # A deployer may not write its namespace, and one that is there is as it should be: the plan has looked.
    space = [] if api.get(path) else [wanted.namespace]
    for manifest in [*space, *wanted.objects]:
        what = f"{manifest['kind']} {manifest['metadata']['name']}"
        result = apply_one(api, manifest, dry_run=dry_run)
        if "error" in result:
            missing = manifest["kind"] == "Cluster" and result["error"]["status"] == UNKNOWN_KIND
            outcome.problem = NO_OPERATOR if missing else f"{what}: {result['error']['msg']}"
            break
        if result["changed"]:
            outcome.changes.append(what)
    return outcome


def ensure(api: Api, tenants: Sequence[Wanted], *, dry_run: bool = False) -> dict[str, Outcome]:
    """Applies the databases of all tenants, then waits for all of them at once; the outcomes by tenant."""
    outcomes: dict[str, Outcome] = {}
    workloads: list[Workload] = []
    for wanted in tenants:
        try:
            outcomes[wanted.tenant] = _apply(api, wanted, dry_run=dry_run)
        except ClusterError as error:
            outcomes[wanted.tenant] = Outcome([], str(error))
        if not outcomes[wanted.tenant].problem:
            workloads += wanted.workloads
    if not dry_run:
        wait(api, workloads)
    for workload in workloads:
        if workload.failed:
            log: list[Any] = [f"  log: {line}" for line in workload.log]
            outcomes[workload.tenant].problem = "\n".join([f"{workload}: {workload.message}", *log])
    return outcomes
