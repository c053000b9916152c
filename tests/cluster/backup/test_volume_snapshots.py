"""Snapshots of the volume, against the real API with the real definitions of their kinds."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.sortie.platform.tests.cluster.live import Live, eventually
from ansible_collections.sortie.platform.tests.cluster.tenant import Tenant

MODULE = "github.com/kubernetes-csi/external-snapshotter/client/v8@v8.2.0"
CLASS = {
    "apiVersion": "snapshot.storage.k8s.io/v1",
    "kind": "VolumeSnapshotClass",
    "metadata": {"name": "local"},
    "deletionPolicy": "Delete",
}
KEEP = 2


@pytest.fixture
def definitions(live: Live) -> Iterator[list[Path]]:
    """The definitions that the snapshotter's own project publishes; in the cluster once a test has applied them."""
    found = subprocess.run(
        ["go", "mod", "download", "-json", MODULE], cwd="/", capture_output=True, text=True, check=True
    )
    directory = Path(json.loads(found.stdout)["Dir"]) / "config" / "crd"
    files = sorted(directory.glob("snapshot.storage.k8s.io_*.yaml"))
    assert len(files) == 3
    yield files
    for file in files:
        live.kubectl("delete", "--ignore-not-found", "--filename", str(file))


def test_they_are_made_before_a_backup_and_kept_where_the_storage_can_and_refused_where_it_cannot(
    live: Live, demo: Tenant, definitions: list[Path]
) -> None:
    wanted: dict[str, object] = {"backup_volume_snapshot": True, "backup_volume_snapshots_keep": KEEP}
    before = demo.snapshots()
    assert "this cluster has no VolumeSnapshot API" in demo.refused("backup", **wanted)
    for file in definitions:
        live.kubectl("apply", "--filename", str(file))
    eventually(
        lambda: live.kubectl("get", "volumesnapshots", "--all-namespaces", check=False).returncode == 0,
        "the API serves VolumeSnapshots",
    )
    told = demo.refused("backup", **wanted)
    assert "no VolumeSnapshotClass is for rancher.io/local-path" in told
    assert "backup_volume_snapshot_class" in told
    assert demo.snapshots() == before

    live.kubectl("apply", "-f", "-", given=json.dumps({**CLASS, "driver": "rancher.io/local-path"}))
    made = []
    for _backup in range(KEEP + 1):
        demo.good("backup", **wanted)
        made.append(demo.record("backup")["volume_snapshot"])
    there = live.objects("volumesnapshots", "--namespace", demo.namespace)["items"]
    assert {entry["metadata"]["name"] for entry in there} == set(made[-KEEP:])
    for entry in there:
        assert entry["spec"] == {
            "volumeSnapshotClassName": "local",
            "source": {"persistentVolumeClaimName": "sortie-data"},
        }
