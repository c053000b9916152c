"""The cluster is gone, and so is everything on the control host but the repositories and their keys."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from ansible_collections.sortie.platform.tests.cluster.live import CLUSTER_VARIABLES, ROOT, Live
from ansible_collections.sortie.platform.tests.cluster.tenant import INVENTORY, Tenant, writing

LEFT = {"backups", "backup-keys"}


@pytest.fixture
def environment() -> Path:
    """The link to the virtual environment in use, which bin/deploy sets to its own."""
    link = ROOT / ".local" / "venv"
    return link.readlink()


def test_one_command_brings_the_cluster_and_all_tenants_back(
    live: Live, environment: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tenants = [Tenant(live, name) for name in ("demo", "spare")]
    demo = tenants[0]
    for tenant in tenants:
        tenant.add(f"of-{tenant.name}")
    with writing(demo):
        answer = live.playbook("backup", "-i", str(INVENTORY))
        assert answer.returncode == 0, answer.stdout
    passwords = {tenant.name: tenant.secret() for tenant in tenants}
    applications = {tenant.name: tenant.applications() for tenant in tenants}
    stored = demo.record("backup")["tables"]["analytics"]
    written = demo.launches()
    last_snapshot = time.monotonic()

    name = live.variables["common_cluster_name"]
    gone = live.playbook("cluster_reset", "-e", f"confirm={name}")
    assert gone.returncode == 0, gone.stdout
    for path in live.local.iterdir():
        if path.name not in LEFT:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert {path.name for path in live.local.iterdir()} == LEFT

    started = time.monotonic()
    try:
        recovered = subprocess.run(
            ["bin/deploy", "-i", INVENTORY, "-e", f"@{CLUSTER_VARIABLES}", "-e", "restore_snapshot=latest"],
            cwd=ROOT,
            env={**os.environ, "SORTIE_LOCAL_DIR": str(live.local), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        link = ROOT / ".local" / "venv"
        link.unlink()
        link.symlink_to(environment)
    seconds = time.monotonic() - started
    assert recovered.returncode == 0, recovered.stdout + recovered.stderr

    for tenant in tenants:
        assert tenant.applications() == applications[tenant.name]
        assert tenant.secret() == passwords[tenant.name]
    there = demo.launches()
    assert there == stored
    # The snapshot's age is told for each tenant, so that a person knows what to ask the tenants for.
    assert len(re.findall(r"has snapshot \w+, .+ old", recovered.stdout)) == len(tenants)
    with capfd.disabled():
        print(
            f"\nrecovered {len(tenants)} tenants with their cluster in {seconds:.0f} s; lost: {written - there} of {written} "
            f"launches, those after the snapshot, which was {started - last_snapshot:.0f} s old"
        )

    again = live.playbook("deploy", "-i", str(INVENTORY), "-e", "restore_snapshot=latest")
    assert again.returncode == 0, again.stdout
    assert "it has data of its own already" in again.stdout
