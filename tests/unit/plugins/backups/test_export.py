"""A tenant's database is carried out whole, or not at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import BinaryIO

import pytest

from ansible_collections.sortie.platform.plugins.module_utils._backup import Settings, back_up
from ansible_collections.sortie.platform.plugins.module_utils._backup_error import BackupError
from ansible_collections.sortie.platform.plugins.module_utils._export import export
from ansible_collections.sortie.platform.plugins.module_utils._sqlite_file import inspect, sha256_of
from ansible_collections.sortie.platform.tests.unit.plugins.backups.tenant_cluster import (
    PLACE,
    TenantCluster,
    add_applications,
)


def test_what_the_tenant_holds_now_and_what_a_snapshot_holds(
    cluster: TenantCluster, settings: Settings, tmp_path: Path
) -> None:
    snapshot = back_up(cluster, PLACE, settings)["snapshot"]
    add_applications(cluster.database, 2)
    for wanted, applications in (("", 5), (snapshot, 3)):
        written = export(cluster, PLACE, settings, tmp_path / "exports" / (wanted or "now"), wanted)
        file = Path(written["file"])
        assert inspect(file).tables["applications"] == applications
        manifest = json.loads(Path(written["manifest"]).read_text())
        assert manifest["database"]["sha256"] == sha256_of(file) == written["sha256"]
        assert written["snapshot"] == wanted
        assert {path.stat().st_mode & 0o777 for path in file.parent.iterdir()} == {0o600}


def test_in_a_directory_of_everybodys_no_link_leads_it_elsewhere_and_nobody_reads_it_meanwhile(
    cluster: TenantCluster, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, victim = tmp_path / "shared", tmp_path / "victim"
    directory.mkdir(mode=0o777)
    victim.write_text("somebody else's")
    copy, seen = shutil.copyfileobj, []

    def copied(source: BinaryIO, target: BinaryIO) -> None:
        copy(source, target)
        seen.append([path.stat().st_mode & 0o777 for path in directory.iterdir() if not path.is_symlink()])

    snapshot = back_up(cluster, PLACE, settings)["snapshot"]
    name = Path(export(cluster, PLACE, settings, tmp_path / "first", snapshot)["file"]).name
    (directory / f".{name}.partial").symlink_to(victim)
    monkeypatch.setattr(shutil, "copyfileobj", copied)
    export(cluster, PLACE, settings, directory, snapshot)
    assert seen == [[0o600]]
    assert victim.read_text() == "somebody else's"


def test_where_nothing_can_be_written_it_is_told(
    cluster: TenantCluster, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "exports").write_text("a file, not a directory")
    with pytest.raises(BackupError, match=r"State: no file was written\. Next: .*export_dir"):
        export(cluster, PLACE, settings, tmp_path / "exports")
    assert list(settings.work.glob("*/*")) == []
