"""A tenant on PostgreSQL is told what to do instead, before anything is made or changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.sortie.platform.plugins.module_utils import _drill
from ansible_collections.sortie.platform.plugins.module_utils._backup import Settings, back_up
from ansible_collections.sortie.platform.plugins.module_utils._backup_error import BackupError
from ansible_collections.sortie.platform.plugins.module_utils._drill import drill
from ansible_collections.sortie.platform.plugins.module_utils._export import export
from ansible_collections.sortie.platform.plugins.module_utils._restore import Request, Source, restore
from ansible_collections.sortie.platform.tests.unit.plugins.backups.tenant_cluster import (
    PLACE,
    TenantCluster,
)

LATEST = Request("latest", timeout=5)


def bring_back(cluster: TenantCluster, settings: Settings, request: Request = LATEST) -> Any:
    return restore(cluster, PLACE, settings, Source("acme", settings), request)


def carry_out(cluster: TenantCluster, settings: Settings) -> Any:
    return export(cluster, PLACE, settings, settings.work.parent / "exports")


def try_out(cluster: TenantCluster, settings: Settings) -> Any:
    return drill(cluster, PLACE, settings, _drill.Request("sortie-acme-drill"))


def store(cluster: TenantCluster, settings: Settings) -> Any:
    return back_up(cluster, PLACE, settings)


@pytest.mark.parametrize("work", [store, bring_back, try_out, carry_out])
def test_it_is_refused_in_words(
    cluster: TenantCluster, settings: Settings, work: Callable[[TenantCluster, Settings], Any]
) -> None:
    cluster.move_to_postgresql()
    with pytest.raises(
        BackupError, match=r"acme is on PostgreSQL \(sortie_database: postgresql\).*Tenants on PostgreSQL"
    ):
        work(cluster, settings)
    assert not Path(settings.repository).exists()
    assert not settings.password_file.exists()
    assert not [path for path in cluster.objects if path.endswith("/sortie-status")]
    assert not [command for command in cluster.commands if command.startswith("sortie")]
    assert cluster.deployment["spec"]["replicas"] == 1


def test_it_is_left_alone_where_only_new_tenants_are_restored(
    cluster: TenantCluster, settings: Settings
) -> None:
    cluster.move_to_postgresql()
    answer = bring_back(cluster, settings, replace(LATEST, only_fresh=True))
    assert answer == {"restored": False, "reason": "its data is in its PostgreSQL", "plan": {}}
