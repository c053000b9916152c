"""A restore brings back what was stored, or leaves what was there; killed anywhere, the next run goes on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.sortie.platform.plugins.module_utils import _restore
from ansible_collections.sortie.platform.plugins.module_utils._backup import Settings, back_up
from ansible_collections.sortie.platform.plugins.module_utils._backup_error import BackupError
from ansible_collections.sortie.platform.plugins.module_utils._cluster import ClusterError
from ansible_collections.sortie.platform.plugins.module_utils._restore import Request, Source, restore
from ansible_collections.sortie.platform.tests.unit.plugins.backups.tenant_cluster import (
    NAMESPACE,
    PLACE,
    Killed,
    Socket,
    TenantCluster,
    add_applications,
    count_applications,
)
from ansible_collections.sortie.platform.tests.unit.plugins.fakes import encoded

LATEST = Request("latest", timeout=5)


@pytest.fixture
def stored(cluster: TenantCluster, settings: Settings) -> str:
    """The id of a snapshot with three applications; the tenant has eight since."""
    snapshot = back_up(cluster, PLACE, settings)["snapshot"]
    add_applications(cluster.database, 5)
    return str(snapshot)


def bring_back(cluster: TenantCluster, settings: Settings, request: Request = LATEST, **more: Any) -> Any:
    return restore(cluster, PLACE, settings, Source("acme", settings), request, **more)


def is_tidy(cluster: TenantCluster) -> bool:
    """The application runs, nothing of a restore is left, and no -wal of another database."""
    return (
        cluster.deployment["spec"]["replicas"] == 1
        and not cluster.deployment["metadata"].get("annotations")
        and f"/api/v1/namespaces/{NAMESPACE}/pods/sortie-volume" not in cluster.objects
        and not Path(cluster.data, ".restore").exists()
    )


def test_a_dry_run_says_what_would_change_and_changes_nothing(
    cluster: TenantCluster, settings: Settings, stored: str
) -> None:
    before = cluster.database.read_bytes()
    plan = bring_back(cluster, settings, dry_run=True)["plan"]
    assert plan["snapshot"] == stored
    assert plan["rows"]["applications"] == {"present": 8, "snapshot": 3}
    assert plan["schema"] == {"present": "0001", "snapshot": "0001"}
    assert cluster.database.read_bytes() == before
    assert len(settings.open("acme").snapshots()) == 1


def test_a_restore_brings_back_what_was_stored_and_keeps_what_was_there(
    cluster: TenantCluster, settings: Settings, stored: str
) -> None:
    result = bring_back(cluster, settings)
    assert count_applications(cluster.database) == 3
    assert is_tidy(cluster)
    assert cluster.record("restore")["snapshot"] == stored
    # And back again, by the id of the safety snapshot.
    bring_back(cluster, settings, replace(LATEST, snapshot=result["safety"]))
    assert count_applications(cluster.database) == 8


def test_an_application_that_does_not_answer_on_the_restored_data_gets_back_what_it_had(
    cluster: TenantCluster, settings: Settings, stored: str
) -> None:
    cluster.broken_applications = True
    with pytest.raises(BackupError, match=r"connection refused.*what was there before was put back"):
        bring_back(cluster, settings)
    assert count_applications(cluster.database) == 8
    assert is_tidy(cluster)


@pytest.mark.parametrize(
    "moment",
    [
        "sortie volume receive",
        "PATCH sortie",
        "sortie volume swap",
        "DELETE sortie-volume",
        "sortie volume commit",
    ],
)
def test_a_killed_restore_is_finished_by_the_next_one(
    cluster: TenantCluster, settings: Settings, stored: str, moment: str
) -> None:
    cluster.kill_at = moment
    with pytest.raises(Killed):
        bring_back(cluster, settings)
    assert cluster.kill_at == ""
    # Neither without data nor with half of it, at any moment.
    assert count_applications(cluster.database) in (3, 8)
    bring_back(cluster, settings)
    assert count_applications(cluster.database) == 3
    assert is_tidy(cluster)


def test_another_snapshot_after_a_killed_restore_starts_from_what_was_there(
    cluster: TenantCluster, settings: Settings, stored: str
) -> None:
    other = back_up(cluster, PLACE, settings)["snapshot"]
    cluster.kill_at = "sortie volume commit"
    with pytest.raises(Killed):
        bring_back(cluster, settings, replace(LATEST, snapshot=stored))
    bring_back(cluster, settings, replace(LATEST, snapshot=other))
    assert count_applications(cluster.database) == 8
    assert is_tidy(cluster)


def test_a_damaged_database_is_replaced_only_when_told(
    cluster: TenantCluster, settings: Settings, stored: str
) -> None:
    content = bytearray(cluster.database.read_bytes())
    content[:100] = b"x" * 100
    cluster.database.write_bytes(content)
    for suffix in ("-wal", "-shm"):
        cluster.database.with_name(f"sortie.db{suffix}").unlink(missing_ok=True)
    assert bring_back(cluster, settings, dry_run=True)["plan"]["damage"]
    with pytest.raises(BackupError, match=r"no safety snapshot.*restore_force=true"):
        bring_back(cluster, settings)
    assert bring_back(cluster, settings, replace(LATEST, force=True))["safety"] == ""
    assert count_applications(cluster.database) == 3
    assert is_tidy(cluster)


def test_a_schema_that_the_application_does_not_know_is_refused(
    cluster: TenantCluster, settings: Settings, stored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_restore, "_KNOWN_SCHEMAS", "STEPS of an older release")
    monkeypatch.setattr(cluster, "_answer", lambda script: [b"\x010000\n", b'\x03{"status": "Success"}'])
    with pytest.raises(BackupError, match=r"has schema 0001, and the application of acme knows 0000"):
        bring_back(cluster, settings)
    assert count_applications(cluster.database) == 8


def test_a_snapshot_that_is_not_there_is_told_with_those_that_are(
    cluster: TenantCluster, settings: Settings, stored: str
) -> None:
    with pytest.raises(BackupError, match=f"no snapshot 'ffff' of acme.*{stored}"):
        bring_back(cluster, settings, replace(LATEST, snapshot="ffff"))


def test_without_the_repository_or_its_key_nothing_is_begun(
    cluster: TenantCluster, settings: Settings
) -> None:
    with pytest.raises(BackupError, match=r"there is no key .*copy the key"):
        bring_back(cluster, settings)
    settings.password_file.parent.mkdir()
    settings.password_file.write_text("key")
    with pytest.raises(BackupError, match="there is no repository"):
        bring_back(cluster, settings)


def test_only_a_tenant_without_a_history_counts_as_new(
    cluster: TenantCluster, settings: Settings, stored: str
) -> None:
    fresh = replace(LATEST, only_fresh=True)
    assert bring_back(cluster, settings, fresh) == {
        "restored": False,
        "reason": "it has data of its own already",
        "plan": {},
    }
    cluster.objects.pop(f"/api/v1/namespaces/{NAMESPACE}/configmaps/sortie-status")
    assert bring_back(cluster, settings, fresh)["restored"] is True
    assert count_applications(cluster.database) == 3


@pytest.mark.parametrize(("made", "key"), [("2020-01-01T00:00:00Z", "new"), ("2999-01-01T00:00:00Z", "j")])
def test_the_secret_comes_back_where_it_is_younger_than_the_snapshot(
    cluster: TenantCluster, settings: Settings, stored: str, made: str, key: str
) -> None:
    path = f"/api/v1/namespaces/{NAMESPACE}/secrets/sortie-secrets"
    cluster.objects[path] = {
        "metadata": {"name": "sortie-secrets", "creationTimestamp": made},
        "data": encoded({"jwt-secret": "new"}),
    }
    result = bring_back(cluster, settings)
    assert cluster.objects[path]["data"] == encoded({"jwt-secret": key})
    assert "new" not in json.dumps(result)


def test_a_restore_whose_pod_goes_at_the_last_moment_says_how_to_go_on(
    cluster: TenantCluster, settings: Settings, stored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = cluster.open_stream

    def open_stream(path: str, query: Sequence[tuple[str, str]]) -> Socket:
        if ("command", "commit") in query:
            raise ClusterError('pods "sortie-1" not found', 404)
        return opened(path, query)

    with monkeypatch.context() as patched:
        patched.setattr(cluster, "open_stream", open_stream)
        with pytest.raises(BackupError, match=r"not found.*run the restore again"):
            bring_back(cluster, settings)
    bring_back(cluster, settings)
    assert count_applications(cluster.database) == 3
    assert is_tidy(cluster)
