"""Whatever disturbs a backup or a restore: the tenant serves, its data is whole, the last good snapshot is there, and the message says what
to do."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.sortie.platform.tests.cluster.live import CLUSTER_VARIABLES, ROOT, Live, eventually
from ansible_collections.sortie.platform.tests.cluster.tenant import (
    INVENTORY,
    Tenant,
    rows,
    writing,
)

RESTORES_KILLED = 3
BACKUPS_UNDER_LOAD = 3
NODE = ("podman", "--runtime", "runc")


def start(tenant: Tenant, playbook: str, **variables: object) -> subprocess.Popen[str]:
    """A playbook that is at work; a process group of its own, so that all of it can be killed."""
    return subprocess.Popen(
        [
            *(Path(sys.executable).with_name("ansible-playbook"), f"playbooks/{playbook}.yml"),
            *("-i", ROOT / "inventories" / "local", "-i", INVENTORY, "--limit", tenant.name),
            *("-e", f"@{CLUSTER_VARIABLES}", "-e", json.dumps(variables)),
        ],
        cwd=ROOT,
        env={**os.environ, "SORTIE_LOCAL_DIR": str(tenant.live.local), "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_until_it_says(process: subprocess.Popen[str], words: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if words in line:
            return
    raise AssertionError(f"the playbook ended without {words!r}")


def told(process: subprocess.Popen[str]) -> str:
    """What a disturbed run said in the end: that it is good, or what happened, the state of things and what to do."""
    output = " ".join(process.communicate(timeout=400)[0].split())
    assert process.returncode == 0 or ("State: " in output and "Next: " in output), output
    return output


def kill_pods(tenant: Tenant, *which: str) -> None:
    tenant.live.kubectl(
        *("delete", "pod", "--namespace", tenant.namespace, "--ignore-not-found", *which),
        *("--force", "--grace-period=0"),
    )


def assert_well(tenant: Tenant, tmp_path: Path, snapshot: str) -> None:
    """The tenant serves, and the snapshot that was good before still is."""
    eventually(tenant.serves, "the tenant serves", 240)
    assert snapshot in tenant.snapshots()
    assert tenant.database(snapshot, tmp_path / "well.db").problems == []


@pytest.fixture
def good(demo: Tenant) -> str:
    """The newest good snapshot before something fails."""
    demo.good("backup")
    return demo.snapshots()[-1]


def test_backups_beside_a_writer_at_full_speed_hold_what_was_acknowledged_and_restore(
    demo: Tenant, tmp_path: Path
) -> None:
    with writing(demo) as writer:
        for _number in range(BACKUPS_UNDER_LOAD):
            acknowledged = demo.launches()
            demo.good("backup")
            facts = demo.database(demo.snapshots()[-1], tmp_path / "sortie.db")
            assert facts.problems == []
            assert rows(facts, "analytics") >= acknowledged
        assert writer.unsure == 0
    written = demo.launches()
    demo.good("restore", restore_snapshot="latest")
    assert acknowledged <= demo.launches() <= written


def test_a_restore_that_is_killed_anywhere_can_be_run_again(demo: Tenant, good: str) -> None:
    applications = demo.applications()
    demo.add("not-in-the-snapshot")
    for _kill in range(RESTORES_KILLED):
        process = start(demo, "restore", restore_snapshot=good)
        wait_until_it_says(process, "Refuse to guess")
        time.sleep(random.uniform(0, 15))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        # Away while it is swapped, but never with half of it: what answers has the one state or the other.
        if demo.serves():
            assert demo.applications() in (applications, applications | {"not-in-the-snapshot"})
    demo.good("restore", restore_snapshot=good)
    assert demo.applications() == applications
    pods = demo.live.objects("pods", "--namespace", demo.namespace)["items"]
    assert [pod["metadata"]["name"] for pod in pods if pod["metadata"]["name"] == "sortie-volume"] == []


def test_pods_that_are_killed_in_the_middle_of_a_backup(demo: Tenant, good: str, tmp_path: Path) -> None:
    process = start(demo, "backup")
    wait_until_it_says(process, "Make a snapshot")
    for _kill in range(2):
        kill_pods(demo, "--selector", "app=sortie")
        time.sleep(random.uniform(0.2, 2))
    told(process)
    assert_well(demo, tmp_path, good)


def test_pods_that_are_killed_in_the_middle_of_a_restore(demo: Tenant, good: str, tmp_path: Path) -> None:
    applications = demo.applications()
    demo.add("not-in-the-snapshot")
    process = start(demo, "restore", restore_snapshot=good)
    wait_until_it_says(process, "Restore the tenant")
    for _kill in range(3):
        time.sleep(random.uniform(0.5, 4))
        kill_pods(demo, "--selector", "app=sortie")
        kill_pods(demo, "sortie-volume")
    told(process)
    demo.good("restore", restore_snapshot=good)
    assert demo.applications() == applications
    assert_well(demo, tmp_path, good)


def test_two_backups_at_once_are_both_good(demo: Tenant) -> None:
    before = len(demo.snapshots())
    both = [start(demo, "backup", backup_keep_last=1000) for _number in range(2)]
    for process in both:
        told(process)
    assert [process.returncode for process in both] == [0, 0]
    assert len(demo.snapshots()) == before + 2


def test_a_clock_that_was_ahead_changes_neither_what_is_newest_nor_what_stays(
    demo: Tenant, good: str, tmp_path: Path
) -> None:
    sequence = demo.record("backup")["sequence"] + 1
    (tmp_path / "sortie.db").write_bytes(demo.restic("dump", good, "/sortie.db"))
    (tmp_path / "manifest.json").write_bytes(demo.restic("dump", good, "/manifest.json"))
    tags = [
        tag for text in ("sortie.platform", "verified", f"sequence:{sequence}") for tag in ("--tag", text)
    ]
    ahead = ("--time", "2044-01-01 00:00:00", "--host", demo.name, *tags)
    demo.restic("backup", *ahead, str(tmp_path / "sortie.db"), str(tmp_path / "manifest.json"))
    demo.good("backup", backup_keep_last=1, backup_keep_daily=0, backup_keep_weekly=0, backup_keep_monthly=0)
    record = demo.record("backup")
    assert record["sequence"] == sequence + 1
    assert demo.snapshots() == [record["snapshot"]]


def test_a_node_that_is_killed_in_the_middle(live: Live, demo: Tenant, good: str, tmp_path: Path) -> None:
    before = demo.launches()
    process = start(demo, "backup")
    wait_until_it_says(process, "Make a snapshot")
    subprocess.run([*NODE, "kill", live.container], check=True, capture_output=True)
    try:
        told(process)
    finally:
        subprocess.run([*NODE, "start", live.container], check=True, capture_output=True)
    assert_well(demo, tmp_path, good)
    assert demo.launches() == before
    demo.good("backup")


@pytest.fixture
def small_disk(live: Live, demo: Tenant) -> Iterator[str]:
    """The tenant's volume on a file system of 96 MiB in the node: its directory there."""
    claim = live.objects("persistentvolumeclaim", "sortie-data", "--namespace", demo.namespace)
    source = live.objects("persistentvolume", claim["spec"]["volumeName"])["spec"]
    path = str((source.get("hostPath") or source["local"])["path"])
    place = ("--namespace", demo.namespace)

    def moved(change: str) -> None:
        """Stops the application, changes what lies below its files, and starts it."""
        live.kubectl("scale", "deployment/sortie", "--replicas=0", *place)
        live.kubectl("wait", "pod", "-l", "app=sortie", "--for=delete", "--timeout=180s", *place)
        script = f'cp -a "$1" /var/tmp/moved; {change}; cp -a /var/tmp/moved/. "$1"; rm -rf /var/tmp/moved'
        command = [*NODE, "exec", live.container, "sh", "-euc", script, "sh", path]
        subprocess.run(command, check=True, capture_output=True)
        live.kubectl("scale", "deployment/sortie", "--replicas=1", *place)
        live.kubectl("rollout", "status", "deployment/sortie", "--timeout=180s", *place)

    moved('mount -t tmpfs -o size=96m,mode=0777 tmpfs "$1"')
    try:
        yield path
    finally:
        moved('umount "$1"')


def test_a_tenant_whose_disk_is_full(
    live: Live, demo: Tenant, good: str, small_disk: str, tmp_path: Path
) -> None:
    on_node = (*NODE, "exec", live.container)
    fill = ["dd", "if=/dev/zero", f"of={small_disk}/fill", "bs=64k"]
    subprocess.run([*on_node, *fill], check=False, capture_output=True)
    before = demo.applications()
    refusal = demo.refused("backup")
    for word in ("MiB free, and a copy needs", "sortie_storage_size", "State: ", "Next: "):
        assert word in refusal
    assert demo.applications() == before
    subprocess.run([*on_node, "rm", f"{small_disk}/fill"], check=True)
    assert_well(demo, tmp_path, good)
    demo.good("backup")


def test_a_tenant_that_is_removed_in_the_middle(spare: Tenant, tmp_path: Path) -> None:
    spare.good("backup")
    good = spare.snapshots()[-1]
    process = start(spare, "backup")
    wait_until_it_says(process, "Make a snapshot")
    spare.good("remove", confirm="spare")
    told(process)
    spare.good("tenants")
    assert_well(spare, tmp_path, good)
    assert spare.snapshots()[-1] != good
