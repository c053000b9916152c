"""Whatever fails during a backup or a restore: the tenant serves, its data is whole, the last good snapshot is there, and
the message says what to do."""

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

# tests/soak asks for the full counts.
RESTORES_KILLED = int(os.environ.get("SORTIE_SOAK_RESTORES", "3"))
BACKUPS_UNDER_LOAD = int(os.environ.get("SORTIE_SOAK_BACKUPS", "3"))
FAULTY_MEGABYTES = 64


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


def assert_well(tenant: Tenant, tmp_path: Path, snapshot: str) -> None:
    """The tenant serves, and the snapshot that was good before still is."""
    eventually(tenant.serves, "the tenant serves", 180)
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


def test_a_pod_that_is_killed_in_the_middle(live: Live, demo: Tenant, good: str, tmp_path: Path) -> None:
    process = start(demo, "backup")
    wait_until_it_says(process, "Make a snapshot")
    for _kill in range(2):
        live.kubectl(
            "delete", "pod", "--selector", "app=sortie", "-n", demo.namespace, "--force", "--grace-period=0"
        )
        time.sleep(random.uniform(0.5, 2))
    output = process.communicate()[0]
    assert process.returncode == 0 or "Next: " in output, output
    assert_well(demo, tmp_path, good)
    demo.good("backup")


def test_a_node_that_is_killed_in_the_middle(live: Live, demo: Tenant, good: str, tmp_path: Path) -> None:
    before = demo.launches()
    process = start(demo, "backup")
    wait_until_it_says(process, "Make a snapshot")
    podman = ("podman", "--runtime", "runc")
    subprocess.run([*podman, "kill", live.container], check=True, capture_output=True)
    try:
        output = process.communicate(timeout=300)[0]
        assert process.returncode == 0 or ("State: " in output and "Next: " in output), output
    finally:
        subprocess.run([*podman, "start", live.container], check=True, capture_output=True)
    assert_well(demo, tmp_path, good)
    assert demo.launches() == before
    demo.good("backup")


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


def test_two_backups_at_once_are_both_good(demo: Tenant) -> None:
    before = len(demo.snapshots())
    keep = {"backup_keep_last": 1000}
    both = [start(demo, "backup", **keep) for _number in range(2)]
    outputs = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
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


@pytest.fixture
def faulty(demo: Tenant) -> Iterator[dict[str, object]]:
    """Variables of a small file system of its own for the repository, with one good snapshot."""
    directory = demo.live.local / "faulty"
    directory.mkdir()
    size = f"size={FAULTY_MEGABYTES}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", directory], check=True)
    variables: dict[str, object] = {
        "backup_repository": str(directory / "repository"),
        "backup_password_file": str(demo.live.local / "faulty-key"),
        "backup_lock_timeout": 5,
    }
    try:
        demo.good("backup", **variables, backup_new_repository=True)
        yield variables
    finally:
        subprocess.run(["umount", directory], check=True)
        directory.rmdir()
        (demo.live.local / "faulty-key").unlink()
    demo.good("backup")


def test_a_repository_that_is_full_gone_read_only_or_has_another_key(
    demo: Tenant, faulty: dict[str, object]
) -> None:
    repository, key = Path(str(faulty["backup_repository"])), Path(str(faulty["backup_password_file"]))
    last = demo.record("backup")

    def fails(*words: str) -> None:
        told = demo.refused("backup", **faulty)
        for word in (*words, "State: ", "snapshots made earlier are as they were", "Next: "):
            assert word in told
        record = demo.record("backup")
        assert (record["ok"], record["snapshot"], record["time"]) == (False, last["snapshot"], last["time"])
        assert demo.serves()

    fill = repository.parent / "fill"
    filled = subprocess.run(["dd", "if=/dev/zero", f"of={fill}", "bs=64k"], capture_output=True, check=False)
    assert b"No space left" in filled.stderr
    fails("no space left", "free space")
    fill.unlink()

    away = repository.with_name("away")
    repository.rename(away)
    fails("is gone", "is its disk mounted?")
    away.rename(repository)

    subprocess.run(["mount", "-o", "remount,ro", repository.parent], check=True)
    fails("read-only file system", "writable")
    subprocess.run(["mount", "-o", "remount,rw", repository.parent], check=True)

    right = key.read_text()
    key.write_text("not the key\n")
    fails("wrong password", str(key))
    key.unlink()
    fails("there is no key", "copy the key back")
    key.write_text(right)

    # A run that died leaves its lock behind; the next one removes it.
    environment = {**os.environ, "RESTIC_PASSWORD_FILE": str(key), "RESTIC_REPOSITORY": str(repository)}
    with subprocess.Popen(
        ["restic", "--no-cache", "backup", "--stdin"], env=environment, stdin=subprocess.PIPE
    ) as dead:
        eventually(lambda: any((repository / "locks").iterdir()), "the run holds its lock")
        dead.kill()
    demo.good("backup", **faulty)
    assert demo.record("backup")["kept"] == last["kept"] + 1


def test_a_flipped_byte_is_found_by_the_drill_and_the_next_backup_says_what_to_do_or_heals(
    demo: Tenant, faulty: dict[str, object]
) -> None:
    repository = Path(str(faulty["backup_repository"]))
    largest = max(
        (repository / "data").rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0
    )
    content = bytearray(largest.read_bytes())
    content[len(content) // 3] ^= 1
    largest.chmod(0o600)
    largest.write_bytes(content)
    told = demo.refused("drill", **{name: faulty[name] for name in faulty})
    assert "damaged" in told or "ciphertext verification failed" in told
    assert "A damaged repository" in told
    assert demo.record("drill")["ok"] is False
    assert demo.serves()
    answer = demo.playbook("backup", **faulty)
    if answer.returncode:
        assert "A damaged repository" in " ".join(answer.stdout.split())
        for step in (("rebuild-index",), ("check", "--read-data")):
            environment = {
                **os.environ,
                "RESTIC_PASSWORD_FILE": str(faulty["backup_password_file"]),
                "RESTIC_REPOSITORY": str(repository),
            }
            subprocess.run(["restic", "--no-cache", *step], env=environment, check=False, capture_output=True)
        fresh = {**faulty, "backup_repository": str(repository.with_name("fresh"))}
        demo.good("backup", **fresh, backup_new_repository=True)
        demo.good("drill", **fresh)
    else:
        demo.good("drill", **faulty)


@pytest.fixture
def small_disk(live: Live, demo: Tenant) -> Iterator[Path]:
    """The tenant's volume on a file system of 16 MiB; a file there that a test may grow."""
    claim = live.objects("persistentvolumeclaim", "sortie-data", "--namespace", demo.namespace)
    source = live.objects("persistentvolume", claim["spec"]["volumeName"])["spec"]
    path = (source.get("hostPath") or source["local"])["path"]

    def on_node(script: str) -> None:
        command = ["podman", "--runtime", "runc", "exec", live.container, "sh", "-euc", script, "sh", path]
        subprocess.run(command, check=True, capture_output=True)

    def scale(replicas: int) -> None:
        place = ("--namespace", demo.namespace)
        live.kubectl("scale", "deployment/sortie", f"--replicas={replicas}", *place)
        if replicas:
            live.kubectl("rollout", "status", "deployment/sortie", "--timeout=180s", *place)
        else:
            live.kubectl("wait", "pod", "-l", "app=sortie", "--for=delete", "--timeout=180s", *place)

    move = 'cp -a "$1" /var/tmp/sortie-moved; {}; cp -a /var/tmp/sortie-moved/. "$1"; rm -rf /var/tmp/sortie-moved'
    scale(0)
    on_node(move.format('mount -t tmpfs -o size=16m,mode=0777 tmpfs "$1"'))
    scale(1)
    try:
        yield Path(path)
    finally:
        scale(0)
        on_node(move.format('umount "$1"'))
        scale(1)


def test_a_tenant_whose_disk_is_full(
    live: Live, demo: Tenant, good: str, small_disk: Path, tmp_path: Path
) -> None:
    podman = ("podman", "--runtime", "runc", "exec", live.container)
    fill = str(small_disk / "fill")
    subprocess.run([*podman, "dd", "if=/dev/zero", f"of={fill}", "bs=64k"], check=False, capture_output=True)
    before = demo.applications()
    told = demo.refused("backup")
    for word in ("MiB free, and a copy needs", "sortie_storage_size", "State: ", "Next: "):
        assert word in told
    assert demo.applications() == before
    subprocess.run([*podman, "rm", fill], check=True)
    assert_well(demo, tmp_path, good)
    demo.good("backup")


def test_a_tenant_that_is_removed_in_the_middle(spare: Tenant, tmp_path: Path) -> None:
    spare.good("backup")
    good = spare.snapshots()[-1]
    process = start(spare, "backup")
    wait_until_it_says(process, "Make a snapshot")
    spare.good("remove", confirm="spare")
    output = process.communicate()[0]
    assert process.returncode == 0 or "Next: " in output, output
    spare.good("deploy")
    assert_well(spare, tmp_path, good)
    assert len(spare.snapshots()) >= 2
