# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Tries a tenant's PostgreSQL from where the tenant will use it, before anything of the tenant is changed."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.sortie.platform.plugins.module_utils._cluster import (
    KINDS,
    ClusterError,
    Manifest,
    apply,
)
from ansible_collections.sortie.platform.plugins.module_utils._state import SECRET
from ansible_collections.sortie.platform.plugins.module_utils._task_pod import Task, TaskApi, TaskError, run

CHECK = "sortie-database-check"
KEY = "database-dsn"
_COMMAND = ("sortie", "database", "check")


@dataclass(frozen=True)
class Wanted:
    """The database of a tenant. Without `dsn` a Secret says where it is, by default the tenant's own."""

    namespace: Manifest
    image: str
    dsn: str = ""
    pull_secrets: list[str] = field(default_factory=list)
    unsettled: bool = False
    timeout: float = 120
    secret: tuple[str, str] = (SECRET, KEY)

    @property
    def name(self) -> str:
        return str(self.namespace["metadata"]["name"])


def check(api: TaskApi, wanted: Wanted) -> dict[str, Any]:
    """What was found: `problem` (none: it will do), `server` and whether it is `in_use`; empty where nothing has changed since it worked.

    A namespace that had to be made for it is removed again if the database will not do.
    """
    stored = _stored(api, wanted)
    if not wanted.unsettled and (not wanted.dsn or wanted.dsn == stored):
        return {}
    if not wanted.dsn and not stored:
        name, key = wanted.secret
        return {"problem": f"Secret {name} in namespace {wanted.name} has no key {key}"}
    made = api.get(KINDS["Namespace"].path(None, wanted.name)) is None
    if made:
        apply(api, wanted.namespace)
    found: dict[str, Any] = {"problem": "it was interrupted"}
    try:
        found = _try(api, wanted)
    except (TaskError, ClusterError) as error:
        found = {"problem": f"it could not be tried: {error}"}
    finally:
        if made and found["problem"]:
            api.delete(KINDS["Namespace"].path(None, wanted.name))
    return found


def _stored(api: TaskApi, wanted: Wanted) -> str:
    name, key = wanted.secret
    secret = api.get(KINDS["Secret"].path(wanted.name, name)) or {}
    return base64.b64decode((secret.get("data") or {}).get(key, "")).decode()


def _try(api: TaskApi, wanted: Wanted) -> dict[str, Any]:
    if wanted.dsn:
        _put(api, wanted)
    try:
        task = Task(
            namespace=wanted.name,
            name=CHECK,
            image=wanted.image,
            command=_COMMAND,
            secrets={"SORTIE_DB_DSN": (CHECK, KEY) if wanted.dsn else wanted.secret},
            pull_secrets=wanted.pull_secrets,
            seconds=wanted.timeout,
        )
        ended = run(api, task)
    finally:
        if wanted.dsn:
            api.delete(KINDS["Secret"].path(wanted.name, CHECK))
    return _report(ended.output)


def _put(api: TaskApi, wanted: Wanted) -> None:
    path = KINDS["Secret"].path(wanted.name)
    body: Manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": CHECK, "namespace": wanted.name},
        "data": {KEY: base64.b64encode(wanted.dsn.encode()).decode()},
    }
    api.delete(f"{path}/{CHECK}")
    api.send("POST", path, body, "application/json")


def _report(output: str) -> dict[str, Any]:
    lines = [line for line in output.splitlines() if line.startswith("{")]
    try:
        report = json.loads(lines[-1])
        return {
            "problem": "; ".join(report["problems"]),
            "server": report.get("server", ""),
            "in_use": report.get("in_use", False),
        }
    except (IndexError, ValueError, KeyError):
        said = " ".join(output.split())[-300:]
        return {"problem": f"the image's `{' '.join(_COMMAND)}` did not tell: {said or 'nothing'}"}
