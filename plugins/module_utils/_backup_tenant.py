# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""What the backup code knows of a tenant in its cluster: its pod, its Secret, and the record of its runs."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from ansible_collections.sortie.platform.plugins.module_utils._backup_error import (
    BackupError,
    UnsuitableError,
)
from ansible_collections.sortie.platform.plugins.module_utils._cluster import (
    FIELD_MANAGER,
    KINDS,
    Api,
    ClusterError,
    Manifest,
    items,
)
from ansible_collections.sortie.platform.plugins.module_utils._exec import Container
from ansible_collections.sortie.platform.plugins.module_utils._state import RECORDS, SECRET

APPLICATION = "sortie"
SELECTOR = "app=sortie"


class TenantApi(Api, Protocol):
    """The API as a backup uses it: objects, removals and the streams of a program."""

    def delete(self, path: str, query: Mapping[str, str] | None = None) -> None: ...

    def open_stream(self, path: str, query: Sequence[tuple[str, str]]) -> Any: ...


@dataclass(frozen=True)
class Place:
    """A tenant and where it lives. `kubectl` starts a command that looks there."""

    tenant: str
    namespace: str
    kubectl: str = "kubectl"


def running_pod(api: Api, place: Place) -> Manifest:
    """The tenant's pod that runs the application; BackupError if there is none."""
    pods = list(items(api, KINDS["Pod"].path(place.namespace), {"labelSelector": SELECTOR}))
    running = [pod for pod in pods if _runs(pod)]
    if not running:
        state = f"; of its {len(pods)} pods none is ready" if pods else ""
        raise BackupError(
            f"no pod of {place.tenant} runs in namespace {place.namespace}{state}",
            state="the tenant was not touched, and snapshots made earlier are as they were",
            next_step=f"{place.kubectl} get pods,events   says why; deploy.yml --limit {place.tenant} brings it up",
        )
    return max(running, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))


def _runs(pod: Manifest) -> bool:
    if pod["metadata"].get("deletionTimestamp"):
        return False
    containers = pod.get("status", {}).get("containerStatuses") or []
    return any(entry["name"] == APPLICATION and entry.get("ready") for entry in containers)


def require_sqlite(place: Place, pod: Manifest) -> None:
    """UnsuitableError if the pod's application is on PostgreSQL."""
    containers = pod["spec"]["containers"]
    variables = [entry for container in containers for entry in container.get("env") or []]
    if any(entry["name"] == "SORTIE_DB_TYPE" and entry.get("value") == "postgres" for entry in variables):
        raise UnsuitableError(
            f"{place.tenant} is on PostgreSQL (sortie_database: postgresql), and snapshots, restores, drills and exports are of "
            "SQLite alone",
            state="nothing was changed",
            next_step="use the tools of whoever runs its server; docs/backup.md, 'Tenants on PostgreSQL', says how to dump it",
        )


def container_of(pod: Manifest) -> Container:
    """The application's container of a pod."""
    return Container(pod["metadata"]["namespace"], pod["metadata"]["name"], APPLICATION)


def read_pod(api: Api, container: Container) -> Manifest:
    """The pod of a container; ClusterError if it is gone."""
    pod = api.get(KINDS["Pod"].path(container.namespace, container.pod))
    if pod is None:
        raise ClusterError(f"{container} is gone", 404)
    return pod


def image_of(pod: Manifest) -> str:
    """The image that the pod was made with."""
    return str(pod["spec"]["containers"][0]["image"])


def read_secrets(api: Api, place: Place) -> dict[str, str]:
    """The tenant's own Secret, so that a restored tenant has the keys and the first password it had."""
    manifest = api.get(KINDS["Secret"].path(place.namespace, SECRET)) or {}
    return {key: base64.b64decode(value).decode() for key, value in (manifest.get("data") or {}).items()}


def restore_secrets(api: Api, place: Place, values: Mapping[str, str], made: datetime) -> bool:
    """Bring the tenant's Secret back if the present one is younger than the snapshot (a new cluster); whether it was.

    An older one is what the snapshot was made with, or was changed since on purpose.
    """
    path = KINDS["Secret"].path(place.namespace, SECRET)
    manifest = api.get(path)
    if manifest is None or not values:
        return False
    since = datetime.fromisoformat(str(manifest["metadata"]["creationTimestamp"]))
    if since <= made or read_secrets(api, place) == dict(values):
        return False
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    api.send("PATCH", path, {"data": data}, "application/merge-patch+json")
    return True


def timestamp() -> str:
    """Now, in UTC, as records and manifests have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read_record(api: Api, place: Place, kind: str) -> dict[str, Any]:
    """The last record of a kind (`backup`, `drill`, `restore`); empty where there is none."""
    manifest = api.get(KINDS["ConfigMap"].path(place.namespace, RECORDS)) or {}
    try:
        record: dict[str, Any] = json.loads((manifest.get("data") or {})[f"{kind}.json"])
    except (KeyError, ValueError):
        return {}
    return record


def write_record(api: Api, place: Place, kind: str, record: Mapping[str, Any]) -> None:
    """Leave a record where the application's /metrics, status.yml and the alerts read it."""
    path = KINDS["ConfigMap"].path(place.namespace, RECORDS)
    text = json.dumps(record, indent=2, sort_keys=True)
    try:
        api.send("PATCH", path, {"data": {f"{kind}.json": text}}, "application/merge-patch+json")
    except ClusterError as error:
        if error.status != 404:
            raise
        # Without the labels of ownership: a deployment removes what it owns and does not render.
        manifest = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": RECORDS, "namespace": place.namespace, "labels": {"app": "sortie"}},
            "data": {f"{kind}.json": text},
        }
        query = {"fieldManager": FIELD_MANAGER}
        api.send("POST", KINDS["ConfigMap"].path(place.namespace), manifest, "application/json", query)
