"""The storage snapshots the volume where it can, and where it cannot that is told before anything is made."""

from __future__ import annotations

import pytest

from ansible_collections.sortie.platform.plugins.module_utils._backup_error import BackupError
from ansible_collections.sortie.platform.plugins.module_utils._cluster import KINDS
from ansible_collections.sortie.platform.plugins.module_utils._volume_snapshot import (
    VolumeSnapshots,
    make,
    prune,
)
from ansible_collections.sortie.platform.tests.unit.plugins.backups.tenant_cluster import (
    NAMESPACE,
    PLACE,
    TenantCluster,
)

KIND = KINDS["VolumeSnapshot"]


def with_storage(cluster: TenantCluster, *drivers: str) -> None:
    """The API is there, the volume is of driver `fast`, and so are classes of some drivers."""
    cluster.put(KIND.root, {"kind": "APIResourceList"})
    claim = {"metadata": {"name": "sortie-data"}, "spec": {"storageClassName": "standard"}}
    cluster.put(KINDS["PersistentVolumeClaim"].path(NAMESPACE, "sortie-data"), claim)
    storage = {"metadata": {"name": "standard"}, "provisioner": "fast"}
    cluster.put(KINDS["StorageClass"].path(None, "standard"), storage)
    for driver in drivers:
        one = {"metadata": {"name": f"of-{driver}"}, "driver": driver}
        cluster.put(KINDS["VolumeSnapshotClass"].path(None, f"of-{driver}"), one)


def names(cluster: TenantCluster) -> list[str]:
    place = KIND.path(NAMESPACE)
    return [path.rpartition("/")[2] for path in cluster.objects if path.startswith(f"{place}/")]


def test_the_class_is_that_of_the_driver_that_made_the_volume(cluster: TenantCluster) -> None:
    with_storage(cluster, "slow", "fast")
    name = make(cluster, PLACE, VolumeSnapshots(1))
    made = cluster.objects[KIND.path(NAMESPACE, name)]
    assert made["spec"] == {
        "volumeSnapshotClassName": "of-fast",
        "source": {"persistentVolumeClaimName": "sortie-data"},
    }
    assert made["metadata"]["labels"]["sortie.platform/tenant"] == "acme"


def test_without_the_api_or_a_class_it_is_told_and_nothing_is_made(cluster: TenantCluster) -> None:
    with pytest.raises(BackupError, match="has no VolumeSnapshot API"):
        make(cluster, PLACE, VolumeSnapshots(1))
    with_storage(cluster, "slow")
    with pytest.raises(BackupError, match=r"is for fast, .*there are: of-slow of slow"):
        make(cluster, PLACE, VolumeSnapshots(1))
    assert names(cluster) == []


def test_the_newest_stay_and_the_newest_that_is_ready(cluster: TenantCluster) -> None:
    with_storage(cluster, "fast")
    for number in range(4):
        name = make(cluster, PLACE, VolumeSnapshots(2))
        made = cluster.objects[KIND.path(NAMESPACE, name)]
        made["metadata"]["creationTimestamp"] = f"2026-01-0{number + 1}T00:00:00Z"
        made["status"] = {"readyToUse": number == 0}
    made_by_hand = {"metadata": {"name": "by-hand", "creationTimestamp": "2020-01-01T00:00:00Z"}}
    cluster.put(KIND.path(NAMESPACE, "by-hand"), made_by_hand)
    assert len(prune(cluster, PLACE, VolumeSnapshots(2))) == 1
    stamps = {
        cluster.objects[KIND.path(NAMESPACE, name)]["metadata"]["creationTimestamp"]
        for name in names(cluster)
    }
    assert stamps == {f"20{day}T00:00:00Z" for day in ("20-01-01", "26-01-01", "26-01-03", "26-01-04")}


def test_keeping_none_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        VolumeSnapshots(0)
