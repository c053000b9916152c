"""A tenant, and a repository for its snapshots."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.sortie.platform.plugins.module_utils._backup import Settings
from ansible_collections.sortie.platform.plugins.module_utils._retention import Keep
from ansible_collections.sortie.platform.tests.unit.plugins.backups.tenant_cluster import (
    TenantCluster,
    make_database,
)


@pytest.fixture
def cluster(tmp_path: Path) -> TenantCluster:
    data = tmp_path / "data"
    data.mkdir()
    made = TenantCluster(data)
    make_database(made.database)
    return made


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        repository=str(tmp_path / "repository"),
        password_file=tmp_path / "keys" / "acme",
        work=tmp_path / "work",
        cache=tmp_path / "cache",
        keep=Keep(2),
        lock_seconds=1,
    )
