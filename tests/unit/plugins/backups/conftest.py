"""A tenant, and a repository for its snapshots."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ansible_collections.sortie.platform.plugins.module_utils._backup import Settings
from ansible_collections.sortie.platform.plugins.module_utils._restic import Restic
from ansible_collections.sortie.platform.plugins.module_utils._retention import Keep
from ansible_collections.sortie.platform.tests.restic_key import make_repository, set_password
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


@pytest.fixture(scope="session")
def new_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("restic") / "repository"
    make_repository(made, "new")
    return made


@pytest.fixture(autouse=True)
def repositories_are_cheap_to_open(
    new_repository: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """A new repository is a copy of one that restic made, with the key of its own; marker `restic_init` has the real thing."""

    def create(repository: Restic) -> str:
        shutil.copytree(new_repository, repository.repository)
        set_password(Path(repository.repository), "new", repository.password_file.read_text().strip())
        return repository.identity() or ""

    if "restic_init" not in request.keywords:
        monkeypatch.setattr(Restic, "create", create)
