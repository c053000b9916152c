# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Makes one verified snapshot of a tenant.

A snapshot counts after four proofs: the bytes that arrived are those that the pod read (sha256), the database is
whole (quick_check, foreign keys), its schema and rows are known, and what the repository gives back has the same
sha256. Only then is it marked verified, and only then are older ones removed.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.sortie.platform.plugins.module_utils._backup_error import (
    BackupError,
    UnsuitableError,
)
from ansible_collections.sortie.platform.plugins.module_utils._backup_served import catalogue_digest
from ansible_collections.sortie.platform.plugins.module_utils._backup_stream import (
    Received,
    StreamError,
    receive,
)
from ansible_collections.sortie.platform.plugins.module_utils._backup_tenant import (
    Place,
    TenantApi,
    container_of,
    image_of,
    read_pod,
    read_record,
    read_secrets,
    require_sqlite,
    running_pod,
    timestamp,
    write_record,
)
from ansible_collections.sortie.platform.plugins.module_utils._cluster import ClusterError, Manifest
from ansible_collections.sortie.platform.plugins.module_utils._exec import Container, ExecError, Process
from ansible_collections.sortie.platform.plugins.module_utils._lock import held
from ansible_collections.sortie.platform.plugins.module_utils._restic import Restic, ResticError
from ansible_collections.sortie.platform.plugins.module_utils._retention import (
    Keep,
    Snapshot,
    newest_first,
    to_remove,
)
from ansible_collections.sortie.platform.plugins.module_utils._sqlite_file import (
    DatabaseFacts,
    inspect,
    public_applications,
    sha256_of,
)
from ansible_collections.sortie.platform.plugins.module_utils._volume_snapshot import (
    VolumeSnapshots,
    make,
    prune,
)

MANIFEST_FORMAT = "sortie-backup-1"
DATABASE = "sortie.db"
MANIFEST = "manifest.json"
SECRETS = "secrets.json"
UNTOUCHED = "the tenant was not touched, and snapshots made earlier are as they were"
# Streams break when a pod is replaced in the middle; the next pod has the same data.
_TRIES = 3
_NEXT_POD_SECONDS = 60.0
_SIGNALLED = 128


@dataclass(frozen=True)
class Settings:
    """Where snapshots go and how many stay. Paths are on the host that runs this."""

    repository: str
    password_file: Path
    work: Path
    cache: Path
    keep: Keep
    environment: Mapping[str, str] = field(default_factory=dict)
    prune: bool = True
    new_repository: bool = False
    lock_seconds: float = 600
    # Whether the storage is to snapshot the volume before, and how many of those stay.
    volume: VolumeSnapshots | None = None
    restic: str = "restic"

    def open(self, tenant: str) -> Restic:
        """The repository, as this tenant uses it."""
        return Restic(
            self.repository,
            self.password_file,
            tenant,
            cache=self.cache,
            binary=self.restic,
            environment=self.environment,
            lock_seconds=self.lock_seconds,
        )


class Clock:
    """Seconds of each phase, and of all together."""

    def __init__(self) -> None:
        self._started = self._last = time.monotonic()
        self.phases: dict[str, float] = {}

    def note(self, phase: str) -> None:
        """The time since the last note was spent on `phase`."""
        now = time.monotonic()
        self.phases[phase] = round(self.phases.get(phase, 0) + now - self._last, 3)
        self._last = now

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return round(time.monotonic() - self._started, 3)


def back_up(
    api: TenantApi,
    place: Place,
    settings: Settings,
    *,
    source: Container | None = None,
    safety: bool = False,
    work: Path | None = None,
) -> dict[str, Any]:
    """Make a snapshot, prove it, remove what need not stay, and record the result in the cluster.

    `source`: a container that has the volume, where the application does not run. `safety`: made before a restore;
    `latest` never means such a one, and nothing is removed after it. `work`: an empty directory of a run that holds the tenant's lock already.

    A failure is recorded too, with the time of the last good one; then the BackupError goes on.
    """
    clock = Clock()
    try:
        with contextlib.nullcontext(work) if work else work_directory(settings, place.tenant) as directory:
            result = _back_up(api, place, settings, directory, clock=clock, source=source, safety=safety)
    except ClusterError as error:
        raise BackupError(
            f"the cluster of {place.tenant}: {error}",
            state=UNTOUCHED,
            next_step=f"{place.kubectl} get pods,events   shows what it answers; then run the backup again",
        ) from error
    except UnsuitableError:
        raise
    except BackupError as error:
        _record_failure(api, place, error)
        raise
    recorded = {"ok": True, "time": timestamp(), "error": "", **result}
    write_record(api, place, "backup", recorded)
    return result


def _back_up(
    api: TenantApi,
    place: Place,
    settings: Settings,
    work: Path,
    *,
    clock: Clock,
    source: Container | None,
    safety: bool,
) -> dict[str, Any]:
    if source is None:
        require_sqlite(place, running_pod(api, place))
    record = read_record(api, place, "backup")
    repository = settings.open(place.tenant)
    identity = _open_or_create(repository, settings, record)
    there = repository.snapshots()
    clock.note("repository")
    volume = settings.volume if source is None and not safety else None
    volume_snapshot = make(api, place, volume) if volume else ""
    image, received = take_copy(api, place, work / DATABASE, source)
    clock.note("copy")
    facts = checked(place, work / DATABASE)
    clock.note("check")
    sequence = 1 + max((entry.sequence for entry in there), default=0)
    manifest = manifest_of(place, image, sequence, received, facts)
    manifest["application"]["served"] = catalogue_digest(public_applications(work / DATABASE))
    _write_private(work / MANIFEST, manifest)
    _write_private(work / SECRETS, read_secrets(api, place))
    names = (DATABASE, MANIFEST, SECRETS)
    snapshot = repository.backup(work, names, sequence, received.sha256, safety=safety)
    clock.note("store")
    stored = {name: sha256_of(work / name) for name in (MANIFEST, SECRETS)}
    _read_back(repository, snapshot, stored | {DATABASE: received.sha256})
    repository.mark_verified(snapshot)
    clock.note("verify")
    there = repository.snapshots()
    removed = _prune(repository, settings, there) if settings.prune and not safety else []
    if volume:
        prune(api, place, volume)
    clock.note("prune")
    good = [entry for entry in there if entry.verified and entry not in removed]
    made = newest_first(good)[0]
    return {
        "snapshot": made.id[:8],
        "sequence": sequence,
        "repository": repository.shown,
        "repository_id": identity,
        "bytes": facts.bytes,
        "sha256": received.sha256,
        "schema": facts.schema,
        "tables": facts.tables,
        "rows": facts.rows,
        "image": manifest["application"]["image"],
        "volume_snapshot": volume_snapshot,
        "kept": len(good),
        "removed": [entry.id[:8] for entry in removed],
        "seconds": clock.seconds,
        "phases": clock.phases,
    }


def _open_or_create(repository: Restic, settings: Settings, record: Mapping[str, Any]) -> str:
    identity = _identity(repository, settings, record)
    if identity is None:
        if record.get("repository") == repository.shown and not settings.new_repository:
            raise ResticError(
                "missing",
                f"the repository {repository.shown} is gone; the last good backup went there at {record.get('time')}",
                "bring it back (is its disk mounted?), or start a new one: -e backup_new_repository=true",
            )
        return repository.create()
    return identity


def _identity(repository: Restic, settings: Settings, record: Mapping[str, Any]) -> str | None:
    """The repository's id, None where there is none yet; makes the key of a repository that is to be made."""
    key = settings.password_file
    known = record.get("repository_id") and not settings.new_repository
    made = not known and not key.exists()
    if made:
        make_key(key)
    if key.exists():
        try:
            return repository.identity()
        except ResticError as error:
            if not (made and error.kind == "password"):
                raise
            key.unlink()
    raise BackupError(
        f"there is no key {key}, and the repository {repository.shown} cannot be read without its key",
        state=UNTOUCHED,
        next_step=f"copy the key back to {key}; if it is lost for ever, name a fresh backup_repository "
        "and add -e backup_new_repository=true",
    )


def make_key(path: Path) -> None:
    """A random key for a new repository, for its owner alone; one that is there stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    _write_text(partial, secrets.token_urlsafe(48) + "\n")
    try:
        # A link is made whole or not at all, and never over a key that another run has just made.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(partial)
    finally:
        partial.unlink()


def take_copy(api: TenantApi, place: Place, target: Path, source: Container | None) -> tuple[str, Received]:
    """A whole copy in `target`; the image of the pod it came from, and what is known of the copy."""
    for attempt in range(1, _TRIES + 1):
        pod = (
            _next_pod(api, place, 0 if attempt == 1 else _NEXT_POD_SECONDS)
            if source is None
            else read_pod(api, source)
        )
        container = source or container_of(pod)
        try:
            with Process(api, container, ["sortie", "backup", "-"]) as process, target.open("wb") as file:
                return image_of(pod), receive(process.chunks(), file)
        except (ExecError, StreamError) as error:
            # Above 128 a signal ended it, as when its pod ends: it has said nothing.
            said = isinstance(error, ExecError) and error.code is not None and error.code < _SIGNALLED
            if said or attempt == _TRIES:
                raise BackupError(
                    f"the copy of {place.tenant}'s database did not arrive: {error}",
                    state=UNTOUCHED,
                    next_step="run the backup again"
                    if not said
                    else f"mend that; {place.kubectl} logs deployment/sortie   may say more",
                ) from error
        except OSError as error:
            raise BackupError(
                f"{target}: {error.strerror}",
                state=UNTOUCHED,
                next_step="free space on this host: a backup needs as much as the database is large",
            ) from error
        time.sleep(2 * attempt)
    raise AssertionError("unreachable")


def _next_pod(api: TenantApi, place: Place, patience: float) -> Manifest:
    """The pod that runs the application. In place of one that has just ended the next one takes a moment."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return running_pod(api, place)
        except BackupError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(1)


def checked(place: Place, database: Path) -> DatabaseFacts:
    """What a copy holds; BackupError if it is damaged."""
    facts = inspect(database)
    problems = facts.problems or ([] if "applications" in facts.tables else ["it has no applications table"])
    if problems:
        raise BackupError(
            f"the database of {place.tenant} is damaged: {'; '.join(problems[:3])}",
            state="nothing was stored, and snapshots made earlier are as they were",
            next_step=f"look at restore.yml -e restore_snapshot=latest --limit {place.tenant} --check, "
            "which says what the last good snapshot holds",
        )
    return facts


def manifest_of(
    place: Place, image: str, sequence: int, received: Received, facts: DatabaseFacts
) -> dict[str, Any]:
    """What a copy says of itself. `sequence` is its number in the repository."""
    return {
        "format": MANIFEST_FORMAT,
        "tenant": place.tenant,
        "namespace": place.namespace,
        "time": timestamp(),
        "sequence": sequence,
        "application": {"image": image},
        "database": {
            "kind": "sqlite",
            "file": DATABASE,
            "sha256": received.sha256,
            "sqlite_version": received.sqlite_version,
            "checks": ["quick_check", "foreign_key_check"],
            **{name: value for name, value in asdict(facts).items() if name != "problems"},
        },
    }


def _read_back(repository: Restic, snapshot: str, stored: Mapping[str, str]) -> None:
    given_back = repository.read_back(snapshot)
    if differing := [name for name, sha256 in stored.items() if given_back.get(name) != sha256]:
        raise BackupError(
            f"the repository gave back something else than was stored as {', '.join(differing)}",
            state=f"snapshot {snapshot[:8]} is there but does not count; no older one was removed",
            next_step="docs/backup.md, 'A damaged repository'",
        )


def _prune(repository: Restic, settings: Settings, there: list[Snapshot]) -> list[Snapshot]:
    removable = to_remove(there, settings.keep)
    if removable:
        try:
            repository.forget([entry.id for entry in removable], prune=True)
        except ResticError as error:
            raise BackupError(
                f"older snapshots could not be removed: {error.happened}",
                state="the new snapshot is good and counts, and nothing else was changed",
                next_step=f"set backup_prune: false if the repository is append-only; otherwise {error.next_step}",
            ) from error
    return removable


def _record_failure(api: TenantApi, place: Place, error: BackupError) -> None:
    """Keeps what is known of the last good one. A cluster that does not take it is told by the error itself."""
    with contextlib.suppress(ClusterError):
        record = read_record(api, place, "backup")
        failed = {**record, "ok": False, "error": str(error), "failed_at": timestamp()}
        failed["time"] = record.get("time", "")
        write_record(api, place, "backup", failed)


@contextlib.contextmanager
def work_directory(settings: Settings, tenant: str) -> Iterator[Path]:
    """An empty directory for its owner alone, held against other runs for the same tenant on this host.

    It is emptied before as well: a killed run leaves a plain copy of the database there.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(held(settings.work / f".{tenant}.lock", settings.lock_seconds))
        except TimeoutError as error:
            raise BackupError(
                f"another backup or restore of {tenant} is still running on this host",
                state=UNTOUCHED,
                next_step="wait for it to end",
            ) from error
        work = settings.work / tenant
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(mode=0o700)
        stack.callback(shutil.rmtree, work, ignore_errors=True)
        yield work


def _write_private(path: Path, content: Mapping[str, Any]) -> None:
    _write_text(path, json.dumps(content, indent=2, sort_keys=True) + "\n")


def _write_text(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
