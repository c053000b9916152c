"""A snapshot counts only when it is proven, and a failure leaves everything as it was."""

from __future__ import annotations

import fcntl
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.sortie.platform.plugins.module_utils._backup import Settings, back_up
from ansible_collections.sortie.platform.plugins.module_utils._backup_error import BackupError
from ansible_collections.sortie.platform.plugins.module_utils._restic import Restic, ResticError
from ansible_collections.sortie.platform.plugins.module_utils._retention import Keep
from ansible_collections.sortie.platform.tests.unit.plugins.backups.tenant_cluster import (
    NAMESPACE,
    PLACE,
    TenantCluster,
    add_applications,
    status_frame,
)


def test_a_snapshot_has_everything_that_was_acknowledged_and_says_so(
    cluster: TenantCluster, settings: Settings
) -> None:
    result = back_up(cluster, PLACE, settings)
    assert result["tables"] == {"alembic_version": 1, "applications": 3}
    assert (result["schema"], result["rows"], result["sequence"], result["kept"]) == ("0001", 4, 1, 1)
    record = cluster.record("backup")
    assert record["ok"] is True
    assert record["sha256"] == result["sha256"]
    manifest = json.loads(settings.open("acme").read(result["snapshot"], "manifest.json"))
    assert manifest["tenant"] == "acme"
    assert manifest["application"]["served"]["applications"] == 3
    assert manifest["database"]["sha256"] == result["sha256"]


@pytest.mark.restic_init
def test_the_key_is_made_once_for_its_owner_alone(cluster: TenantCluster, settings: Settings) -> None:
    back_up(cluster, PLACE, settings)
    key = settings.password_file.read_text()
    assert settings.password_file.stat().st_mode & 0o777 == 0o600
    back_up(cluster, PLACE, settings)
    assert settings.password_file.read_text() == key


def test_nothing_in_the_repository_is_readable_without_the_key(
    cluster: TenantCluster, settings: Settings
) -> None:
    back_up(cluster, PLACE, settings)
    stored = b"".join(path.read_bytes() for path in Path(settings.repository).rglob("*") if path.is_file())
    assert b"App 1" not in stored
    assert b"SQLite format 3" not in stored


def test_nothing_is_left_in_the_work_directory(cluster: TenantCluster, settings: Settings) -> None:
    (settings.work / "acme").mkdir(parents=True)
    (settings.work / "acme" / "sortie.db").write_text("left by a killed run")
    back_up(cluster, PLACE, settings)
    assert [path.name for path in settings.work.iterdir()] == [".acme.lock"]


def test_older_snapshots_go_after_a_good_one(cluster: TenantCluster, settings: Settings) -> None:
    for _run in range(3):
        add_applications(cluster.database, 1)
        last = back_up(cluster, PLACE, settings)
    assert (last["sequence"], last["kept"], len(last["removed"])) == (3, 2, 1)
    kept = back_up(cluster, PLACE, replace(settings, prune=False))
    assert (kept["kept"], kept["removed"]) == (3, [])


def test_a_repository_that_lets_nothing_be_removed_keeps_the_new_snapshot_and_is_told(
    cluster: TenantCluster, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise ResticError("refused", "403 Forbidden", "correct the credentials")

    back_up(cluster, PLACE, replace(settings, keep=Keep(1)))
    monkeypatch.setattr(Restic, "forget", refuse)
    with pytest.raises(BackupError, match=r"403 Forbidden.*the new snapshot is good.*backup_prune: false"):
        back_up(cluster, PLACE, replace(settings, keep=Keep(1)))
    assert [entry.verified for entry in settings.open("acme").snapshots()] == [True, True]


@pytest.mark.parametrize("last", [[], [status_frame(137)]])
def test_a_stream_that_is_cut_is_fetched_again_from_the_next_pod(
    cluster: TenantCluster, settings: Settings, last: list[bytes]
) -> None:
    cluster.cut_by = last
    cluster.cut["sortie backup -"] = 1
    assert back_up(cluster, PLACE, settings)["rows"] == 4
    assert cluster.commands.count("sortie backup -") == 2


def test_a_damaged_database_is_never_stored(cluster: TenantCluster, settings: Settings) -> None:
    back_up(cluster, PLACE, settings)
    good = cluster.record("backup")
    connection = sqlite3.connect(cluster.database)
    connection.executescript(
        "CREATE TABLE child (parent TEXT REFERENCES applications (id)); INSERT INTO child VALUES ('gone');"
    )
    connection.close()
    with pytest.raises(BackupError, match="refers to a missing row of applications"):
        back_up(cluster, PLACE, settings)
    assert len(settings.open("acme").snapshots()) == 1
    record = cluster.record("backup")
    assert (record["ok"], record["time"], record["snapshot"]) == (False, good["time"], good["snapshot"])
    assert "damaged" in record["error"]


def test_a_tenant_that_does_not_run_is_told_with_what_to_type(
    cluster: TenantCluster, settings: Settings
) -> None:
    cluster.deployment["spec"]["replicas"] = 0
    with pytest.raises(BackupError, match=f"no pod of acme runs in namespace {NAMESPACE}.*get pods,events"):
        back_up(cluster, PLACE, settings)


def test_the_applications_own_words_are_told(cluster: TenantCluster, settings: Settings) -> None:
    cluster.database.unlink()
    with pytest.raises(BackupError, match="there is no database at"):
        back_up(cluster, PLACE, settings)


def test_a_repository_that_is_gone_is_not_silently_made_anew(
    cluster: TenantCluster, settings: Settings
) -> None:
    back_up(cluster, PLACE, settings)
    shutil.rmtree(settings.repository)
    with pytest.raises(BackupError, match=r"is gone.*is its disk mounted.*backup_new_repository=true"):
        back_up(cluster, PLACE, settings)
    assert back_up(cluster, PLACE, replace(settings, new_repository=True))["sequence"] == 1


def test_a_lost_key_is_never_replaced_by_a_new_one(cluster: TenantCluster, settings: Settings) -> None:
    back_up(cluster, PLACE, settings)
    settings.password_file.unlink()
    with pytest.raises(BackupError, match="cannot be read without its key"):
        back_up(cluster, PLACE, settings)
    # A new cluster knows nothing of earlier backups, and the repository is still the old one.
    cluster.objects.pop(f"/api/v1/namespaces/{NAMESPACE}/configmaps/sortie-status")
    with pytest.raises(BackupError, match="cannot be read without its key"):
        back_up(cluster, PLACE, settings)
    assert not settings.password_file.exists()


def test_a_wrong_key_is_told(cluster: TenantCluster, settings: Settings) -> None:
    back_up(cluster, PLACE, settings)
    settings.password_file.write_text("another")
    with pytest.raises(BackupError, match=r"wrong password.*put the right key at"):
        back_up(cluster, PLACE, settings)


def test_what_a_repository_goes_on_refusing_is_not_asked_again_and_again(
    cluster: TenantCluster, settings: Settings, tmp_path: Path
) -> None:
    """Root may write anywhere, so a program in restic's place says what restic says, and would say it for ever."""
    said = "Save(<lock/0a1b2c3d4e>) returned error, retrying after 552.3ms: open /r/locks/0a: read-only file system"
    restic = tmp_path / "restic"
    # Like Go's programs it hears the interrupt also where whoever started it ignores that, as in the background of a shell.
    listens = "import signal, sys, time\nsignal.signal(signal.SIGINT, signal.SIG_DFL)\n"
    restic.write_text(
        f"#!{sys.executable}\n{listens}print({said!r}, file=sys.stderr, flush=True)\ntime.sleep(600)\n"
    )
    restic.chmod(0o700)
    settings.password_file.parent.mkdir(parents=True)
    settings.password_file.write_text("key")
    with pytest.raises(BackupError, match=r"repository: open /r/locks/0a: read-only file system.*writable"):
        back_up(cluster, PLACE, replace(settings, restic=str(restic)))


def test_what_may_not_be_removed_is_left_to_restic(settings: Settings, tmp_path: Path) -> None:
    said = "Remove(<snapshot/0a1b2c3d4e>) returned error, retrying after 552.3ms: permission denied"
    restic = tmp_path / "restic"
    restic.write_text(f"#!/bin/sh\necho '{said}' >&2\nsleep 0.5\necho '{{\"id\": \"it went on\"}}'\n")
    restic.chmod(0o700)
    assert replace(settings, restic=str(restic)).open("acme").identity() == "it went on"


def test_a_lock_that_a_killed_run_left_is_removed(cluster: TenantCluster, settings: Settings) -> None:
    back_up(cluster, PLACE, settings)
    back_up(cluster, PLACE, settings)
    environment = {**os.environ, "RESTIC_PASSWORD_FILE": str(settings.password_file)}
    command = ["restic", "--no-cache", "--repo", settings.repository, "backup", "--stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, stdout=subprocess.DEVNULL) as run:
        while not list(Path(settings.repository, "locks").iterdir()):
            assert run.poll() is None
            time.sleep(0.05)
        run.kill()
    assert list(Path(settings.repository, "locks").iterdir())
    # Removing a snapshot needs the repository for itself.
    assert len(back_up(cluster, PLACE, replace(settings, lock_seconds=20))["removed"]) == 1


def test_another_run_on_the_same_tenant_is_waited_for_and_told(
    cluster: TenantCluster, settings: Settings
) -> None:
    settings.work.mkdir(parents=True)
    with (settings.work / ".acme.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BackupError, match="another backup or restore of acme is still running"):
            back_up(cluster, PLACE, replace(settings, lock_seconds=0))


def test_a_repository_of_another_tenant_is_refused(cluster: TenantCluster, settings: Settings) -> None:
    back_up(cluster, PLACE, settings)
    with pytest.raises(BackupError, match=r"holds snapshots of acme.*a backup_repository of its own"):
        back_up(cluster, replace(PLACE, tenant="globex"), settings)


def test_a_flipped_byte_in_the_repository_is_found_and_older_snapshots_stay(
    cluster: TenantCluster, settings: Settings
) -> None:
    first = back_up(cluster, PLACE, settings)
    for pack in Path(settings.repository, "data").rglob("*"):
        if pack.is_file():
            content = bytearray(pack.read_bytes())
            content[20::50] = bytes(byte ^ 0xFF for byte in content[20::50])
            pack.chmod(0o600)
            pack.write_bytes(content)
    shutil.rmtree(settings.cache)
    with pytest.raises(BackupError, match=r"check --read-data.*A damaged repository"):
        settings.open("acme").read_back(first["snapshot"])
    with pytest.raises(BackupError, match="check --read-data"):
        settings.open("acme").dump(first["snapshot"], "sortie.db", io.BytesIO())
    assert len(settings.open("acme").snapshots()) == 1


def test_a_safety_snapshot_is_never_the_latest_and_removes_nothing(
    cluster: TenantCluster, settings: Settings
) -> None:
    kept = replace(settings, keep=Keep(1))
    first = back_up(cluster, PLACE, kept)
    safety = back_up(cluster, PLACE, kept, safety=True)
    repository = settings.open("acme")
    assert safety["removed"] == []
    assert repository.find("latest").id.startswith(first["snapshot"])
    assert repository.find(safety["snapshot"]).safety
