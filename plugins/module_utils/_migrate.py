# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Moves a tenant's data between SQLite and PostgreSQL.

`begin` stops the application and copies; a deployment with the other database follows; `finish` ends it, or `undo`
brings back what was there. ConfigMap `sortie-migration` says how far a run came and holds the old Deployment, so that
whatever kills a run, the next one goes on or back from there. The source is only read and stays as it is.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.sortie.platform.plugins.module_utils._cluster import (
    FIELD_MANAGER,
    KINDS,
    ClusterError,
    Manifest,
    apply,
    items,
)
from ansible_collections.sortie.platform.plugins.module_utils._database import KEY, Wanted, check
from ansible_collections.sortie.platform.plugins.module_utils._rollout import Workload, wait
from ansible_collections.sortie.platform.plugins.module_utils._state import (
    APPLICATION,
    CLAIM,
    MIGRATION,
    POSTGRESQL_SECRET,
    SECRET,
    address_of,
    database_of,
    provider_of,
)
from ansible_collections.sortie.platform.plugins.module_utils._task_pod import Task, TaskApi, TaskError, run

_PATCH = "application/merge-patch+json"
_SELECTOR = {"labelSelector": "app=sortie"}
_KINDS = {"sqlite": "sqlite", "postgresql": "postgres"}


class MigrateError(Exception):
    """What happened, and in what state the tenant is."""


@dataclass(frozen=True)
class Move:
    """A tenant that moves to database `to`.

    `claim` is the manifest of its volume, for a move to SQLite. For one to PostgreSQL without `dsn`, `managed` says that an
    operator runs it, whose Secret has the address; else the tenant's own has it.
    """

    tenant: str
    namespace: Manifest
    to: str
    image: str
    dsn: str = ""
    managed: bool = False
    claim: Manifest | None = None
    pull_secrets: Sequence[str] = field(default_factory=list)
    timeout: float = 180
    copy_timeout: float = 3600

    @property
    def name(self) -> str:
        return str(self.namespace["metadata"]["name"])

    def path(self, kind: str, name: str | None = None) -> str:
        return KINDS[kind].path(self.name, name)


def record(api: TaskApi, move: Move) -> dict[str, Any]:
    """How far a migration came; empty if none is under way."""
    found = api.get(move.path("ConfigMap", MIGRATION)) or {}
    return dict(found.get("data") or {})


def begin(api: TaskApi, move: Move, *, dry_run: bool = False) -> dict[str, Any]:
    """Preflight, stop and copy; the report of the copy, empty if there is nothing to move."""
    there, deployment = record(api, move), api.get(move.path("Deployment", APPLICATION))
    if deployment is None:
        raise MigrateError(f"{move.tenant} is not deployed, so it has no data to move. Nothing was changed")
    now = database_of(deployment)
    if (
        now == move.to
        and move.to == "postgresql"
        and move.managed != (provider_of(deployment) == "cloudnativepg")
    ):
        raise MigrateError(
            f"{move.tenant} is on a PostgreSQL of sortie_postgresql_provider: {provider_of(deployment)}. Nothing was changed. "
            "Move it by way of SQLite: this command with -e sortie_database=sqlite, then without"
        )
    if now == move.to and there.get("to") != move.to:
        # The other way was interrupted before the tenant was deployed there, and is not wanted any more.
        if not dry_run:
            undo(api, move)
        return {}
    if now == move.to:
        return dict(json.loads(there["report"]))
    if there and there["to"] != move.to:
        # The move here has come to its end, only without a word about it; going back to before it would lose what was written since.
        there = {}
    # In a dry run there is no database yet that an operator would make.
    if not (dry_run and move.managed):
        _preflight(api, move, there)
    if dry_run:
        return {"from": now, "to": move.to}
    if not there:
        _begin_record(api, move, now, deployment)
    try:
        _stop(api, move)
        _note(api, move, phase="copying")
        # What an interrupted run copied there is copied anew: the preflight of the first run has found it empty.
        report = _copy(api, move, _address(move, deployment), replace=bool(there))
        _note(api, move, phase="copied", report=json.dumps(report))
    except (MigrateError, TaskError, ClusterError) as error:
        undo(api, move)
        raise MigrateError(f"{error}. {move.tenant} serves from {now} again, as before") from error
    return report


def finish(api: TaskApi, move: Move) -> None:
    """The tenant serves from its new database: nothing of the move is kept but its source."""
    api.delete(move.path("ConfigMap", MIGRATION))


def undo(api: TaskApi, move: Move) -> bool:
    """The tenant serves from the database that it had; whether there was anything to undo."""
    there = record(api, move)
    if not there:
        return False
    before = json.loads(there["deployment"])
    path = move.path("Deployment", APPLICATION)
    # Two databases of one tenant must never be served at the same time: first nothing runs, then the old one.
    if api.get(path) is not None:
        _stop(api, move)
    query = {"fieldManager": FIELD_MANAGER, "force": "true"}
    api.send("PATCH", path, before, "application/apply-patch+yaml", query)
    api.send("PATCH", path, {"spec": {"replicas": before["spec"].get("replicas", 1)}}, _PATCH)
    workload = Workload(move.tenant, move.name, APPLICATION, timeout=move.timeout)
    wait(api, [workload])
    if workload.failed:
        raise MigrateError(
            f"{move.tenant} could not be started on {there['from']} again: {workload.message}. Its data there is as it was"
        )
    api.delete(move.path("ConfigMap", MIGRATION))
    return True


def _preflight(api: TaskApi, move: Move, there: Mapping[str, Any]) -> None:
    if move.to == "postgresql":
        found = check(
            api,
            Wanted(
                move.namespace,
                move.image,
                move.dsn,
                list(move.pull_secrets),
                unsettled=True,
                secret=(POSTGRESQL_SECRET, "uri") if move.managed else (SECRET, KEY),
            ),
        )
        if problem := found.get("problem"):
            raise MigrateError(
                f"its PostgreSQL will not do: {problem}. Nothing was changed{_under_way(there)}"
            )
        if found.get("in_use") and not there:
            raise MigrateError(
                "its PostgreSQL holds data of the application already. Nothing was changed. "
                "Give the tenant an empty database, or remove what is in that one"
            )
    elif move.claim is not None and api.get(move.path("PersistentVolumeClaim", CLAIM)) is None:
        apply(api, move.claim)


def _under_way(there: Mapping[str, Any]) -> str:
    return " by this run; a migration is under way" if there else ""


def _kept(deployment: Manifest) -> Manifest:
    """As much of the Deployment as it takes to bring it back as it was."""
    metadata = deployment["metadata"]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": metadata.get("labels") or {},
        },
        "spec": deployment["spec"],
    }


def _begin_record(api: TaskApi, move: Move, now: str, deployment: Manifest) -> None:
    body: Manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": MIGRATION, "namespace": move.name},
        "data": {
            "phase": "stopping",
            "from": now,
            "to": move.to,
            "deployment": json.dumps(_kept(deployment)),
        },
    }
    # Of a move that came to its end without a word about it.
    api.delete(move.path("ConfigMap", MIGRATION))
    api.send("POST", move.path("ConfigMap"), body, "application/json")


def _note(api: TaskApi, move: Move, **values: str) -> None:
    """Adds to the record of the move; a record that is gone was ended by another run, and is not begun again."""
    api.send("PATCH", move.path("ConfigMap", MIGRATION), {"data": values}, _PATCH)


def _stop(api: TaskApi, move: Move) -> None:
    """No pod of the application is left when this returns, so nothing writes any more."""
    path = KINDS["HorizontalPodAutoscaler"].path(move.name, "sortie-hpa")
    api.delete(path)
    api.send("PATCH", move.path("Deployment", APPLICATION), {"spec": {"replicas": 0}}, _PATCH)
    deadline = time.monotonic() + move.timeout
    while list(items(api, move.path("Pod"), _SELECTOR)):
        if time.monotonic() > deadline:
            raise MigrateError(f"the pods of {move.tenant} still run after {move.timeout:g} s")
        time.sleep(0.3)


def _address(move: Move, deployment: Manifest) -> tuple[str, str]:
    """Secret and key with the address of the PostgreSQL, which is where data goes or where it comes from."""
    if move.to == "sqlite":
        return address_of(deployment)
    if move.managed:
        return POSTGRESQL_SECRET, "uri"
    return (MIGRATION if move.dsn else SECRET), KEY


def _copy(api: TaskApi, move: Move, address: tuple[str, str], *, replace: bool) -> dict[str, Any]:
    path = move.path("Secret", MIGRATION)
    if move.dsn:
        body: Manifest = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": MIGRATION, "namespace": move.name},
            "data": {KEY: base64.b64encode(move.dsn.encode()).decode()},
        }
        api.delete(path)
        api.send("POST", move.path("Secret"), body, "application/json")
    task = Task(
        namespace=move.name,
        name=MIGRATION,
        image=move.image,
        command=["sortie", "database", "copy", "--to", _KINDS[move.to], "--db", "/data/sortie.db"]
        + (["--replace"] if replace else []),
        secrets={"SORTIE_DB_DSN": address},
        pull_secrets=move.pull_secrets,
        claim=CLAIM,
        memory="512Mi",
        seconds=move.copy_timeout,
    )
    try:
        ended = run(api, task)
    finally:
        if move.dsn:
            api.delete(path)
    said = ended.output.strip()
    if not ended.well:
        raise MigrateError(f"the copy failed: {said.removeprefix('sortie: ') or 'it did not say why'}")
    report: dict[str, Any] = json.loads(said.splitlines()[-1])
    return report
