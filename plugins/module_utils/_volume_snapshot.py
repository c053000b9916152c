# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Snapshots of a tenant's volume, which the storage itself makes where it has a CSI snapshotter.

They are quick to bring back and lie on the same storage, so they never stand in for a backup: they are made before it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from ansible_collections.sortie.platform.plugins.module_utils._backup_error import BackupError
from ansible_collections.sortie.platform.plugins.module_utils._backup_pod import CLAIM
from ansible_collections.sortie.platform.plugins.module_utils._backup_tenant import Place, TenantApi
from ansible_collections.sortie.platform.plugins.module_utils._cluster import (
    KINDS,
    TENANT_LABEL,
    Manifest,
    items,
)

_UNTOUCHED = "nothing was made, and snapshots made earlier are as they were"
_DEFAULT_STORAGE = "storageclass.kubernetes.io/is-default-class"


@dataclass(frozen=True)
class VolumeSnapshots:
    """How many VolumeSnapshots stay, and of which class they are; empty for one that fits the volume's storage."""

    keep: int
    class_name: str = ""

    def __post_init__(self) -> None:
        if self.keep < 1:
            raise ValueError(f"at least one volume snapshot has to stay: {self.keep} were to be kept")


def make(api: TenantApi, place: Place, wanted: VolumeSnapshots) -> str:
    """Have the storage snapshot the tenant's volume; the object's name. BackupError where it cannot."""
    kind = KINDS["VolumeSnapshot"]
    if api.get(kind.root) is None:
        raise _cannot("this cluster has no VolumeSnapshot API", "install a CSI driver with its snapshotter")
    class_name = wanted.class_name or _fitting_class(api, place)
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    name = f"{CLAIM}-{moment}-{secrets.token_hex(2)}"
    manifest = {
        "apiVersion": kind.api_version,
        "kind": "VolumeSnapshot",
        "metadata": {
            "name": name,
            "namespace": place.namespace,
            "labels": {TENANT_LABEL: place.tenant, "app": "sortie"},
        },
        "spec": {"volumeSnapshotClassName": class_name, "source": {"persistentVolumeClaimName": CLAIM}},
    }
    api.send("POST", kind.path(place.namespace), manifest, "application/json")
    return name


def prune(api: TenantApi, place: Place, wanted: VolumeSnapshots) -> list[str]:
    """Remove all but the newest; the newest that is ready stays in any case. The names of those removed."""
    kind = KINDS["VolumeSnapshot"]
    query = {"labelSelector": f"{TENANT_LABEL}={place.tenant}"}
    newest = sorted(items(api, kind.path(place.namespace), query), key=_order, reverse=True)
    ready = [entry for entry in newest if (entry.get("status") or {}).get("readyToUse")]
    kept = {entry["metadata"]["name"] for entry in [*newest[: wanted.keep], *ready[:1]]}
    removed = [name for entry in newest if (name := str(entry["metadata"]["name"])) not in kept]
    for name in removed:
        api.delete(kind.path(place.namespace, name))
    return removed


def _order(entry: Manifest) -> tuple[str, str]:
    return str(entry["metadata"].get("creationTimestamp", "")), str(entry["metadata"]["name"])


def _fitting_class(api: TenantApi, place: Place) -> str:
    """The class whose driver is the one that made the tenant's volume."""
    claim = api.get(KINDS["PersistentVolumeClaim"].path(place.namespace, CLAIM)) or {}
    storage = _storage(api, (claim.get("spec") or {}).get("storageClassName"))
    driver = str(storage.get("provisioner", ""))
    classes = list(items(api, KINDS["VolumeSnapshotClass"].path()))
    fitting = sorted(entry["metadata"]["name"] for entry in classes if entry.get("driver") == driver)
    if not fitting:
        others = ", ".join(
            sorted(f"{entry['metadata']['name']} of {entry.get('driver')}" for entry in classes)
        )
        raise _cannot(
            f"no VolumeSnapshotClass is for {driver or 'its driver'}, which made the volume of {place.tenant}"
            f" (there are: {others or 'none'})",
            "make one if that driver can snapshot, or name one: backup_volume_snapshot_class",
        )
    return str(fitting[0])


def _storage(api: TenantApi, name: str | None) -> Manifest:
    if name:
        return api.get(KINDS["StorageClass"].path(None, name)) or {}
    for entry in items(api, KINDS["StorageClass"].path()):
        if (entry["metadata"].get("annotations") or {}).get(_DEFAULT_STORAGE) == "true":
            return entry
    return {}


def _cannot(happened: str, next_step: str) -> BackupError:
    return BackupError(
        f"the volume cannot be snapshotted: {happened}",
        state=_UNTOUCHED,
        next_step=f"{next_step}; or do without (backup_volume_snapshot: false), backups need none of it",
    )
