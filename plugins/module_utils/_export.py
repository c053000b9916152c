# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Carries a tenant's database out as a plain file, with its manifest beside it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from ansible_collections.sortie.platform.plugins.module_utils._backup import (
    DATABASE,
    Settings,
    checked,
    manifest_of,
    take_copy,
    work_directory,
)
from ansible_collections.sortie.platform.plugins.module_utils._backup_error import BackupError
from ansible_collections.sortie.platform.plugins.module_utils._backup_tenant import (
    Place,
    TenantApi,
    require_sqlite,
    running_pod,
)
from ansible_collections.sortie.platform.plugins.module_utils._cluster import ClusterError
from ansible_collections.sortie.platform.plugins.module_utils._restore import (
    fetch,
    open_repository,
    read_manifest,
)


def export(
    api: TenantApi, place: Place, settings: Settings, directory: Path, snapshot: str = ""
) -> dict[str, Any]:
    """Write `sortie-TENANT-TIME.db` and its manifest; where they are and what they hold.

    Of what the tenant holds now, or of a snapshot. Both files are for their owner alone: nothing in them is encrypted.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with work_directory(settings, f"{place.tenant}-export") as work:
            manifest = _stored(place, settings, work, snapshot) if snapshot else _present(api, place, work)
            return _carry_out(place, manifest, work / DATABASE, directory)
    except ClusterError as error:
        raise BackupError(
            f"the cluster of {place.tenant}: {error}",
            state="nothing was written",
            next_step=f"{place.kubectl} get pods,events   shows what it answers; then run the export again",
        ) from error
    except OSError as error:
        raise BackupError(
            f"{error.filename or directory}: {error.strerror}",
            state="no file was written",
            next_step="free space there, or name another export_dir",
        ) from error


def _present(api: TenantApi, place: Place, work: Path) -> dict[str, Any]:
    require_sqlite(place, running_pod(api, place))
    image, received = take_copy(api, place, work / DATABASE, None)
    return manifest_of(place, image, 0, received, checked(place, work / DATABASE))


def _stored(place: Place, settings: Settings, work: Path, snapshot: str) -> dict[str, Any]:
    repository = open_repository(settings, place.tenant)
    found = repository.find(snapshot)
    manifest = read_manifest(repository, found)
    fetch(repository, found, manifest, work)
    return {**manifest, "snapshot": found.id[:8]}


def _carry_out(place: Place, manifest: dict[str, Any], database: Path, directory: Path) -> dict[str, Any]:
    moment = datetime.fromisoformat(manifest["time"]).strftime("%Y%m%dT%H%M%SZ")
    target = directory / f"sortie-{place.tenant}-{moment}.db"
    with _written(target) as file, database.open("rb") as source:
        shutil.copyfileobj(source, file)
    with _written(target.with_suffix(".manifest.json")) as file:
        file.write(json.dumps(manifest, indent=2, sort_keys=True).encode() + b"\n")
    facts = manifest["database"]
    return {
        "file": str(target),
        "manifest": str(target.with_suffix(".manifest.json")),
        "snapshot": manifest.get("snapshot", ""),
        "time": manifest["time"],
        "bytes": facts["bytes"],
        "rows": sum(facts["tables"].values()),
        "sha256": facts["sha256"],
    }


@contextlib.contextmanager
def _written(target: Path) -> Iterator[BinaryIO]:
    """A file that is nobody else's from its first byte, under a name that nobody can have laid a link at; then `target`."""
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        Path(name).replace(target)
    finally:
        Path(name).unlink(missing_ok=True)
