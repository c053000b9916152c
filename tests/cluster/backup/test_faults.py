"""What disturbs a backup or a restore: a writer at full speed, a kill anywhere, a clock that jumps. The data stays whole."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.sortie.platform.tests.cluster.live import CLUSTER_VARIABLES, ROOT
from ansible_collections.sortie.platform.tests.cluster.tenant import (
    INVENTORY,
    Tenant,
    rows,
    writing,
)

RESTORES_KILLED = 3
BACKUPS_UNDER_LOAD = 3


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
