# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Proves that a tenant's snapshot comes back: the real application on the restored data, in a namespace of its own.

Nothing of the tenant is touched, and nothing reaches the scratch application or is reached by it. Whatever cannot be
verified is a failure. Everything that was made is removed, after a failure too; what a killed drill left is removed by
the next one.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from ansible_collections.sortie.platform.plugins.module_utils._backup import (
    SECRETS,
    Clock,
    Settings,
    work_directory,
)
from ansible_collections.sortie.platform.plugins.module_utils._backup_error import (
    BackupError,
    UnsuitableError,
)
from ansible_collections.sortie.platform.plugins.module_utils._backup_pod import CLAIM, Application
from ansible_collections.sortie.platform.plugins.module_utils._backup_served import (
    catalogue_digest,
    served_applications,
)
from ansible_collections.sortie.platform.plugins.module_utils._backup_tenant import (
    Place,
    TenantApi,
    container_of,
    read_record,
    running_pod,
    timestamp,
    write_record,
)
from ansible_collections.sortie.platform.plugins.module_utils._cluster import (
    KINDS,
    ClusterError,
    Manifest,
)
from ansible_collections.sortie.platform.plugins.module_utils._exec import ExecError, run
from ansible_collections.sortie.platform.plugins.module_utils._restic import LATEST
from ansible_collections.sortie.platform.plugins.module_utils._restore import (
    fetch,
    open_repository,
    read_manifest,
    send,
)
from ansible_collections.sortie.platform.plugins.module_utils._retention import Snapshot
from ansible_collections.sortie.platform.plugins.module_utils._sqlite_file import inspect
from ansible_collections.sortie.platform.plugins.module_utils._state import SECRET

MARK = "sortie.platform/drill"
# A namespace with this label was made for the drills of a schedule, which may make none.
KEEP = "sortie.platform/drill-keep"
UNHARMED = "the tenant was not touched"
# What the application itself writes or tidies up when it starts; everything else has to be as it was.
_OWN_TABLES = {"alembic_version", "analytics", "audit_log", "revisions", "sessions"}
_PAUSE_SECONDS = 0.5


def with_own_secrets(pod: Manifest) -> Manifest:
    """A pod that starts without the Secrets that other settings name, which are not restored. What was optional stays so."""
    pod = copy.deepcopy(pod)
    for container in pod["containers"]:
        for variable in container.get("env") or []:
            if (reference := (variable.get("valueFrom") or {}).get("secretKeyRef")) and reference[
                "name"
            ] != SECRET:
                reference["optional"] = True
    return pod


def without_litestream(pod: Manifest) -> Manifest:
    """A copy of a pod's spec that streams nothing: a drill that did would write into the tenant's replica."""
    copy: Manifest = json.loads(json.dumps(pod))
    copy["initContainers"] = [
        entry for entry in copy.get("initContainers") or [] if not entry["name"].startswith("litestream")
    ]
    copy["volumes"] = [
        entry for entry in copy.get("volumes") or [] if entry["name"] not in ("litestream", "replica")
    ]
    return copy


@dataclass(frozen=True)
class Request:
    """Which snapshot is tried, where, and how much is read.

    `subset`: which part of the whole repository is read and checked, as restic names it ("3/7"); empty for none.
    """

    namespace: str
    snapshot: str = LATEST
    timeout: float = 180
    subset: str = ""


def drill(api: TenantApi, place: Place, settings: Settings, request: Request) -> dict[str, Any]:
    """Restore, start, compare, measure, remove, record. A BackupError is recorded and goes on."""
    try:
        with work_directory(settings, f"{place.tenant}-drill") as work:
            result = _Drill(api, place, settings, request).run(work)
    except UnsuitableError:
        raise
    except (BackupError, ClusterError, ExecError) as error:
        problem = _as_backup_error(error, place)
        with contextlib.suppress(ClusterError):
            record = read_record(api, place, "drill")
            failed = {**record, "ok": False, "error": str(problem), "failed_at": timestamp()}
            write_record(api, place, "drill", {"time": "", **failed})
        raise problem from error
    write_record(api, place, "drill", {"ok": True, "time": timestamp(), "error": "", **result})
    return result


def _as_backup_error(error: Exception, place: Place) -> BackupError:
    if isinstance(error, BackupError):
        return BackupError(error.happened, state=f"{UNHARMED}; {error.state}", next_step=error.next_step)
    return BackupError(
        f"the drill of {place.tenant} could not be carried through: {error}",
        state=UNHARMED,
        next_step=f"run the drill again; {place.kubectl} get events   may say more",
    )


class _Drill:
    """One drill of one tenant."""

    def __init__(self, api: TenantApi, place: Place, settings: Settings, request: Request) -> None:
        self._api, self._place, self._settings, self._request = api, place, settings, request
        kubectl = place.kubectl.replace(place.namespace, request.namespace)
        self._scratch = Place(place.tenant, request.namespace, kubectl)
        self._application = Application(api, self._scratch, timeout=request.timeout)
        self._template = Application(api, place).read().manifest

    def run(self, work: Path) -> dict[str, Any]:
        """The whole of it; the scratch namespace is empty or gone afterwards."""
        self._require_scratch()
        self._remove(finally_=False)
        clock = Clock()
        try:
            repository = open_repository(self._settings, self._place.tenant)
            found = repository.find(self._request.snapshot)
            manifest = read_manifest(repository, found)
            database = fetch(repository, found, manifest, work)
            clock.note("fetch")
            self._make(json.loads(repository.read(found.id, SECRETS)))
            container = self._application.hold()
            send(self._api, container, found, database)
            for step in ("swap", "commit"):
                run(self._api, container, "sortie", "volume", step)
            clock.note("volume")
            self._application.release()
            self._application.start()
            served = served_applications(self._api, container_of(running_pod(self._api, self._scratch)))
            clock.note("start")
            recovery = clock.seconds
            checks = self._compare(manifest, served, database)
            if self._request.subset:
                repository.check(self._request.subset)
                checks.append(f"part {self._request.subset} of all data in the repository is readable")
            clock.note("compare")
        finally:
            self._remove(finally_=True)
        clock.note("remove")
        return {
            "snapshot": found.id[:8],
            "snapshot_time": manifest["time"],
            "snapshot_age_seconds": _age(found),
            "recovery_seconds": recovery,
            "bytes": manifest["database"]["bytes"],
            "rows": sum(manifest["database"]["tables"].values()),
            "applications": len(served),
            "checks": checks,
            "phases": clock.phases,
            "seconds": clock.seconds,
        }

    def _compare(
        self, manifest: Mapping[str, Any], served: list[dict[str, Any]], database: Path
    ) -> list[str]:
        """What was found to be as the manifest says; BackupError for the first thing that is not."""
        expected = manifest["database"]
        facts = inspect(database, full=True)
        self._require(not facts.problems, f"integrity_check: {'; '.join(facts.problems[:3])}")
        self._require(facts.tables == expected["tables"], "the rows are not those of the manifest")
        container = container_of(running_pod(self._api, self._scratch))
        live = json.loads(run(self._api, container, "sortie", "check"))
        kept = {name: rows for name, rows in expected["tables"].items() if name not in _OWN_TABLES}
        differing = [name for name, rows in kept.items() if live["tables"].get(name) != rows]
        self._require(
            not differing, f"the application has other rows than the manifest in {', '.join(differing)}"
        )
        checks = [
            f"sha256 {expected['sha256'][:12]} of the snapshot",
            "integrity_check and foreign_key_check",
            f"rows of {len(expected['tables'])} tables, and of {len(kept)} once the application ran",
        ]
        wanted = manifest["application"]["served"]
        self._require(
            catalogue_digest(served) == wanted,
            f"/api/apps has {len(served)} applications, or others, and had {wanted['applications']} at the backup",
        )
        return [*checks, f"/api/apps with {len(served)} applications"]

    def _require(self, condition: bool, otherwise: str) -> None:
        if not condition:
            raise BackupError(
                f"the restored {self._place.tenant} is not what was backed up: {otherwise}",
                state="its snapshots are as they were",
                next_step="run the drill on an older snapshot: -e drill_snapshot=ID; "
                "see docs/backup.md, 'When a drill fails'",
            )

    def _require_scratch(self) -> None:
        """The namespace is there, and marked as this tenant's scratch."""
        name = self._request.namespace
        there = self._api.get(KINDS["Namespace"].path(None, name))
        if there is None:
            labels = {MARK: self._place.tenant, "app.kubernetes.io/managed-by": "sortie.platform"}
            labels |= {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
            manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
            self._api.send("POST", KINDS["Namespace"].path(), manifest, "application/json")
            return
        owner = (there["metadata"].get("labels") or {}).get(MARK)
        if owner != self._place.tenant:
            raise BackupError(
                f"namespace {name} is there and is not {self._place.tenant}'s scratch namespace",
                state="nothing was changed",
                next_step="set another drill_namespace",
            )
        if "deletionTimestamp" in there["metadata"]:
            self._until_not(lambda: self._there("Namespace", name))
            self._require_scratch()

    def _make(self, secrets: Mapping[str, str]) -> None:
        """Volume, Secrets, configuration and Deployment, the latter with no pod yet; nothing in or out."""
        data = {key: base64.b64encode(value.encode()).decode() for key, value in secrets.items()}
        policy = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
        self._create("NetworkPolicy", "drill", {"spec": policy})
        self._create("ServiceAccount", "sortie", {"automountServiceAccountToken": False})
        self._create("Secret", SECRET, {"data": data})
        for kind, name in self._copied():
            self._copy(kind, name)
        claim = self._api.get(KINDS["PersistentVolumeClaim"].path(self._place.namespace, CLAIM)) or {}
        wanted = {
            name: claim["spec"][name]
            for name in ("accessModes", "resources", "storageClassName")
            if name in claim["spec"]
        }
        self._create("PersistentVolumeClaim", CLAIM, {"spec": wanted})
        self._create("Deployment", "sortie", {"spec": self._deployment()})

    def _deployment(self) -> Manifest:
        spec = self._template["spec"]
        pod = with_own_secrets(without_litestream(spec["template"]["spec"]))
        return {
            "replicas": 0,
            "strategy": {"type": "Recreate"},
            "selector": spec["selector"],
            "template": {"metadata": {"labels": spec["template"]["metadata"]["labels"]}, "spec": pod},
        }

    def _copied(self) -> Sequence[tuple[str, str]]:
        """What is taken from the tenant's namespace as it stands: its branding, and what pulls its image."""
        pod = self._template["spec"]["template"]["spec"]
        pulls = [("Secret", entry["name"]) for entry in pod.get("imagePullSecrets") or []]
        return [("ConfigMap", "sortie-config"), *pulls]

    def _copy(self, kind: str, name: str) -> None:
        there = self._api.get(KINDS[kind].path(self._place.namespace, name))
        if there is not None:
            self._create(kind, name, {key: there[key] for key in ("data", "type") if key in there})

    def _create(self, kind: str, name: str, body: Mapping[str, Any]) -> None:
        metadata = {"name": name, "namespace": self._request.namespace, "labels": {MARK: self._place.tenant}}
        manifest = {"apiVersion": KINDS[kind].api_version, "kind": kind, "metadata": metadata, **body}
        self._api.send("POST", KINDS[kind].path(self._request.namespace), manifest, "application/json")

    def _remove(self, *, finally_: bool) -> None:
        """Everything that was made, Deployment first; in the end its namespace too, unless that is marked to stay."""
        space = self._request.namespace
        names = [("Deployment", "sortie"), ("Pod", "sortie-volume"), ("PersistentVolumeClaim", CLAIM)]
        names += [("NetworkPolicy", "drill"), ("ServiceAccount", "sortie"), ("Secret", SECRET)]
        names += self._copied()
        for kind, name in names:
            self._api.delete(KINDS[kind].path(space, name), {"propagationPolicy": "Foreground"})
        for kind, name in names:
            self._until_not(partial(self._there, kind, name))
        path = KINDS["Namespace"].path(None, space)
        labels = (self._api.get(path) or {}).get("metadata", {}).get("labels") or {}
        if finally_ and KEEP not in labels:
            self._api.delete(path)
            self._until_not(lambda: self._there("Namespace", space))

    def _there(self, kind: str, name: str) -> bool:
        space = None if kind == "Namespace" else self._request.namespace
        return self._api.get(KINDS[kind].path(space, name)) is not None

    def _until_not(self, there: Callable[[], bool]) -> None:
        deadline = time.monotonic() + self._request.timeout
        while there():
            if time.monotonic() > deadline:
                raise BackupError(
                    f"what the drill made in namespace {self._request.namespace} does not go away",
                    state="only that namespace is concerned",
                    next_step=f"{self._scratch.kubectl} get all,persistentvolumeclaims,events",
                )
            time.sleep(_PAUSE_SECONDS)


def _age(found: Snapshot) -> int:
    return int((datetime.now(UTC) - found.time).total_seconds())
