"""Schedules make snapshots with nobody typing anything: in the cluster, with rights for that and nothing else, and on the control host."""

from __future__ import annotations

import json
import platform
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.sortie.platform.plugins.module_utils._debian import TREE, Tree, make_tree
from ansible_collections.sortie.platform.plugins.module_utils._store import Store
from ansible_collections.sortie.platform.tests.cluster.live import Live, eventually
from ansible_collections.sortie.platform.tests.cluster.tenant import Tenant
from ansible_collections.sortie.platform.tests.playbook import cache_dir

CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "backups", "namespace": "sortie-spare"},
    "spec": {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "standard",
        "resources": {"requests": {"storage": "1Gi"}},
    },
}


# Cron of its own, which knows the entries of the test alone and leaves nothing on this machine.
CRON = """
mount --bind "$1" /etc/cron.d
mount --bind "$2" /etc/group
mount -t tmpfs tmpfs /var/spool
mount -t tmpfs tmpfs /run
exec "$3" -f
"""


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The directory of cron's entries; cron runs where this machine has no systemd that does its work."""
    place = tmp_path_factory.mktemp("cron")
    directory, group = place / "cron.d", place / "group"
    directory.mkdir()
    group.write_text(f"{Path('/etc/group').read_text()}crontab:x:64000:\n")
    if Path("/run/systemd/system").is_dir():
        yield directory
        return
    arch = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    tree = make_tree(Store(cache_dir()), Tree("cron", "bookworm", "extract", ["cron"]), arch)
    with tarfile.open(tree.path / TREE) as archive:
        archive.extract("./usr/sbin/cron", place, filter="data")
    cron = place / "usr" / "sbin" / "cron"
    command = ["unshare", "--mount", "sh", "-euc", CRON, "sh", *map(str, (directory, group, cron))]
    with subprocess.Popen(command) as process:
        try:
            yield directory
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def on_host(demo: Tenant, entries: Path) -> Iterator[str]:
    """Tenant `demo` with a backup each minute by this host; the newest that it had before."""
    demo.good("backup")
    before = demo.snapshots()[-1]
    demo.good("schedule", sortie_backup_schedule="* * * * *", backup_cron_dir=str(entries))
    yield before
    demo.good("schedule", backup_cron_dir=str(entries))
    assert not list(entries.iterdir())


@pytest.fixture(scope="module")
def variables(live: Live) -> dict[str, str]:
    return {
        "backup_volume_claim": "backups",
        "backup_repository": "/repository/spare",
        "backup_password_file": str(live.local / "backup-keys" / "spare-in-cluster"),
    }


@pytest.fixture(scope="module")
def scheduled(live: Live, spare: Tenant, variables: dict[str, str]) -> Iterator[Tenant]:
    """Tenant `spare` with a backup each minute."""
    live.kubectl("apply", "--filename", "-", given=json.dumps(CLAIM))
    # Its last backup went to another repository, and a scheduled run starts no new one in place of one that is gone.
    live.kubectl("delete", "configmap", "sortie-status", "--namespace", spare.namespace, "--ignore-not-found")
    spare.good("schedule", **variables, sortie_backup_schedule="* * * * *", backup_drill_schedule="0 0 1 1 *")
    yield spare
    spare.good("schedule", **variables)
    left = live.objects("cronjobs,roles,rolebindings", "--namespace", spare.namespace)["items"]
    assert [entry["metadata"]["name"] for entry in left] == []
    live.kubectl("delete", "configmap", "sortie-status", "--namespace", spare.namespace, "--ignore-not-found")
    live.kubectl("delete", "persistentvolumeclaim", "backups", "--namespace", spare.namespace)


def test_snapshots_appear_with_nobody_typing_anything(
    live: Live, demo: Tenant, on_host: str, scheduled: Tenant
) -> None:
    def recorded(sequence: int) -> bool:
        there = live.kubectl("get", "configmap", "sortie-status", "-n", scheduled.namespace, check=False)
        return there.returncode == 0 and scheduled.record("backup").get("sequence", 0) >= sequence

    eventually(lambda: recorded(1), "a backup was made", 240)
    # Before its time, as the documentation says. It finds the first one in its repository.
    live.kubectl("create", "job", "--from=cronjob/sortie-backup", "now", "-n", scheduled.namespace)
    eventually(lambda: recorded(2), "another one was made", 240)
    record = scheduled.record("backup")
    assert record["ok"] is True
    assert (record["repository"], record["kept"]) == ("/repository/spare", record["sequence"])
    # The control host made its own meanwhile.
    eventually(lambda: demo.snapshots()[-1] != on_host, "a backup was made by this host", 240)


def test_runs_do_not_overlap_have_a_deadline_and_a_history(live: Live, scheduled: Tenant) -> None:
    spec = live.objects("cronjob", "sortie-backup", "--namespace", scheduled.namespace)["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["startingDeadlineSeconds"] > 0
    assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] > 0
    assert (spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]) == (3, 3)
    assert spec["timeZone"] == "UTC"


def test_the_key_stands_in_a_secret_and_nowhere_else(
    live: Live, scheduled: Tenant, variables: dict[str, str]
) -> None:
    key = Path(variables["backup_password_file"]).read_text().strip()
    shown = live.kubectl(
        "get", "configmaps,cronjobs,jobs,pods", "--namespace", scheduled.namespace, "--output", "yaml"
    ).stdout
    jobs = live.objects("jobs", "--namespace", scheduled.namespace)["items"]
    logs = "".join(
        live.kubectl("logs", f"job/{job['metadata']['name']}", "-n", scheduled.namespace, check=False).stdout
        for job in jobs
    )
    assert len(key) >= 32
    assert "snapshot" in logs.lower()
    assert key not in shown + logs


RIGHTS = {
    ("create", "exec", "sortie-spare"): True,
    ("patch", "configmap/sortie-status", "sortie-spare"): True,
    ("get", "secret/sortie-secrets", "sortie-spare"): True,
    ("get", "secret/sortie-tls", "sortie-spare"): False,
    ("list", "secrets", "sortie-spare"): False,
    ("patch", "deployment/sortie", "sortie-spare"): False,
    ("delete", "persistentvolumeclaim/sortie-data", "sortie-spare"): False,
    ("create", "pods", "sortie-spare"): False,
    ("create", "pods", "sortie-spare-drill"): True,
    ("create", "exec", "sortie-demo"): False,
    ("get", "secret/sortie-secrets", "sortie-demo"): False,
    ("list", "pods", "kube-system"): False,
}


def test_the_account_may_do_this_and_nothing_else(live: Live, scheduled: Tenant) -> None:
    account = f"--as=system:serviceaccount:{scheduled.namespace}:sortie-backup"
    allowed = {}
    for verb, what, namespace in RIGHTS:
        # A slash would name an object; a subresource is asked for apart.
        asked = ("pods", "--subresource=exec") if what == "exec" else (what,)
        command = ("auth", "can-i", verb, *asked, "--namespace", namespace, account)
        allowed[verb, what, namespace] = live.kubectl(*command, check=False).stdout.strip() == "yes"
    assert allowed == RIGHTS
