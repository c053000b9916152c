# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Brings a snapshot back into a tenant.

The snapshot is fetched, proven and received beside the present database while the application still serves. Then the
application is stopped, the files are swapped by renames, and it is started again. It has to answer on the restored
data; if it does not, what was there before is put back. `.restore/state.json` on the volume says how far a run came,
so whatever kills one, the next goes on from there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible_collections.sortie.platform.plugins.module_utils._backup import (
    DATABASE,
    MANIFEST,
    MANIFEST_FORMAT,
    SECRETS,
    UNTOUCHED,
    Clock,
    Settings,
    back_up,
    work_directory,
)
from ansible_collections.sortie.platform.plugins.module_utils._backup_error import BackupError
from ansible_collections.sortie.platform.plugins.module_utils._backup_pod import Application
from ansible_collections.sortie.platform.plugins.module_utils._backup_served import served_applications
from ansible_collections.sortie.platform.plugins.module_utils._backup_tenant import (
    Place,
    TenantApi,
    container_of,
    read_record,
    restore_secrets,
    running_pod,
    timestamp,
    write_record,
)
from ansible_collections.sortie.platform.plugins.module_utils._cluster import KINDS, ClusterError
from ansible_collections.sortie.platform.plugins.module_utils._exec import Container, ExecError, Process, run
from ansible_collections.sortie.platform.plugins.module_utils._restic import Restic
from ansible_collections.sortie.platform.plugins.module_utils._retention import Snapshot
from ansible_collections.sortie.platform.plugins.module_utils._sqlite_file import inspect, sha256_of
from ansible_collections.sortie.platform.plugins.module_utils._state import APPLICATION, database_of

_KNOWN_SCHEMAS = "from sortie.storage.migrate import STEPS; print(*STEPS)"


@dataclass(frozen=True)
class Source:
    """The repository that holds the snapshot, and whose it is."""

    tenant: str
    settings: Settings


@dataclass(frozen=True)
class Request:
    """Which snapshot, and what is done about doubts.

    `force`: goes on without a safety snapshot where none can be made, and with a schema that the application does not
    know. `only_fresh`: leaves a tenant alone that was backed up or restored before. `secrets`: brings the tenant's own
    Secret back too, where the present one is younger than the snapshot.
    """

    snapshot: str
    force: bool = False
    only_fresh: bool = False
    secrets: bool = True
    timeout: float = 180


def restore(
    api: TenantApi,
    place: Place,
    settings: Settings,
    source: Source,
    request: Request,
    *,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Restore, or say what would change (`dry_run`); the result has `plan` and what was done.

    `settings` are those of the tenant that is restored, `source` says where the snapshot comes from. BackupError says
    what state the tenant is in.
    """
    clock = Clock()
    try:
        if request.only_fresh and (reason := _not_fresh(api, place)):
            return {"restored": False, "reason": reason, "plan": {}}
        job = _Restore(api, place, settings, request, clock)
        repository = open_repository(source.settings, source.tenant)
        found = repository.find(request.snapshot)
        manifest = read_manifest(repository, found)
        plan = job.plan(found, manifest, source)
        if dry_run:
            return {"restored": False, "reason": "", "plan": plan}
        with work_directory(settings, place.tenant) as work:
            result = job.run(repository, found, manifest, work)
    except (ClusterError, ExecError) as error:
        raise BackupError(
            f"the cluster of {place.tenant}: {error}",
            state="run the restore again, and it goes on where it stopped",
            next_step=f"{place.kubectl} get pods,events   shows what it answers; then run the restore again",
        ) from error
    record = {"ok": True, "time": timestamp(), "snapshot": found.id[:8], "source": source.tenant, **result}
    write_record(api, place, "restore", record)
    return {"restored": True, "reason": "", "plan": plan, **result}


def _not_fresh(api: TenantApi, place: Place) -> str:
    """Why a tenant is no new one; empty if it is."""
    if read_record(api, place, "backup") or read_record(api, place, "restore"):
        return "it has data of its own already"
    deployment = api.get(KINDS["Deployment"].path(place.namespace, APPLICATION))
    if deployment is not None and database_of(deployment) == "postgresql":
        return "its data is in its PostgreSQL"
    return ""


def open_repository(settings: Settings, tenant: str) -> Restic:
    """The repository of a tenant; BackupError if it or its key is not there."""
    repository, key = settings.open(tenant), settings.password_file
    if not key.exists():
        raise BackupError(
            f"there is no key {key}",
            state="nothing was changed",
            next_step=f"copy the key of {repository.shown} to {key}; without it nobody can read the repository",
        )
    if repository.identity() is None:
        raise BackupError(
            f"there is no repository {repository.shown}",
            state="nothing was changed",
            next_step="bring it back (is its disk mounted?), or correct backup_repository",
        )
    return repository


def read_manifest(repository: Restic, found: Snapshot) -> dict[str, Any]:
    """What the snapshot says of itself."""
    manifest: dict[str, Any] = json.loads(repository.read(found.id, MANIFEST))
    if manifest.get("format") != MANIFEST_FORMAT:
        raise BackupError(
            f"snapshot {found.id[:8]} has format {manifest.get('format')}, and only {MANIFEST_FORMAT} is known",
            state="nothing was changed",
            next_step="restore it with the release of this collection that made it",
        )
    return manifest


def fetch(repository: Restic, found: Snapshot, manifest: Mapping[str, Any], work: Path) -> Path:
    """The database of the snapshot in directory `work`, proven to be the one that was stored."""
    database, expected = work / DATABASE, manifest["database"]
    with database.open("wb") as file:
        sha256 = repository.dump(found.id, DATABASE, file)
    facts = inspect(database)
    wrong = list(facts.problems)
    if sha256 != expected["sha256"]:
        wrong.append(f"its sha256 is {sha256}, the manifest says {expected['sha256']}")
    if facts.tables != expected["tables"]:
        wrong.append("its rows are not those of the manifest")
    if wrong:
        raise BackupError(
            f"snapshot {found.id[:8]} is damaged: {'; '.join(wrong[:3])}",
            state="nothing was changed",
            next_step="name an older snapshot, and see docs/backup.md, 'A damaged repository'",
        )
    return database


def send(api: TenantApi, container: Container, found: Snapshot, database: Path) -> None:
    """Have the pod's volume receive the database beside the present one; ExecError if it does not arrive whole."""
    size, sha256 = database.stat().st_size, sha256_of(database)
    command = ["sortie", "volume", "receive", "--bytes", str(size), "--sha256", sha256]
    with (
        Process(api, container, [*command, "--snapshot", found.id], stdin=True) as process,
        database.open("rb") as file,
    ):
        process.send(file)
        process.output()


class _Restore:
    """One restore of one tenant."""

    def __init__(
        self, api: TenantApi, place: Place, settings: Settings, request: Request, clock: Clock
    ) -> None:
        self._api, self._place, self._settings = api, place, settings
        self._request, self._clock = request, clock
        self._application = Application(api, place, timeout=request.timeout)
        # A tenant that nothing can be restored into is told before anything else.
        self._application.read()

    def plan(self, found: Snapshot, manifest: Mapping[str, Any], source: Source) -> dict[str, Any]:
        """What would change: age, schemas, rows of each table before and after."""
        if manifest["tenant"] != source.tenant:
            raise BackupError(
                f"snapshot {found.id[:8]} is of tenant {manifest['tenant']}, not of {source.tenant}",
                state="nothing was changed",
                next_step=f"restore.yml --limit {manifest['tenant']} -e restore_into={self._place.tenant}",
            )
        container = self._running()
        present = self._present(container) if container else {}
        after = manifest["database"]
        age = datetime.now(UTC) - datetime.fromisoformat(manifest["time"])
        tables = sorted({*after["tables"], *present.get("tables", {})})
        plan = {
            "snapshot": found.id[:8],
            "source": source.tenant,
            "target": self._place.tenant,
            "time": manifest["time"],
            "age_seconds": int(age.total_seconds()),
            "schema": {"present": present.get("schema"), "snapshot": after["schema"]},
            "bytes": {"present": present.get("bytes"), "snapshot": after["bytes"]},
            "rows": {
                name: {
                    "present": present.get("tables", {}).get(name),
                    "snapshot": after["tables"].get(name),
                }
                for name in tables
            },
            "damage": present.get("problems", []),
        }
        if container and not self._request.force:
            self._require_known_schema(container, str(after["schema"]))
        return plan

    def run(
        self, repository: Restic, found: Snapshot, manifest: Mapping[str, Any], work: Path
    ) -> dict[str, Any]:
        """Does it; says how long the application was away, and which snapshot has what was there before."""
        database = fetch(repository, found, manifest, work)
        self._clock.note("fetch")
        running = self._running()
        container = running or self._stopped()
        phase = self._phase(container, found)
        safety = "" if phase == "swapped" else self._keep_present(running, container, work)
        self._clock.note("safety")
        if phase not in ("none", "received", "swapped"):
            # Left by a run with another snapshot; the application makes whole what was half done when it starts.
            container = container if not running else self._stopped()
            self._volume(container, "rollback")
        if phase != "swapped":
            self._receive(container, found, database)
        self._clock.note("receive")
        stopped = Clock()
        try:
            if phase != "swapped":
                container = container if container.pod != getattr(running, "pod", None) else self._stopped()
                self._volume(container, "swap")
            if self._request.secrets:
                secrets = json.loads(repository.read(found.id, SECRETS))
                restore_secrets(self._api, self._place, secrets, found.time)
            self._application.release()
            self._application.start()
            self._verify(manifest)
        except (BackupError, ExecError) as error:
            self._undo(error)
        self._clock.note("swap")
        away = stopped.seconds
        self._volume(container_of(running_pod(self._api, self._place)), "commit")
        return {
            "safety": safety,
            "rows": sum(manifest["database"]["tables"].values()),
            "sha256": manifest["database"]["sha256"],
            "away_seconds": away,
            "seconds": self._clock.seconds,
            "phases": self._clock.phases,
        }

    def _running(self) -> Container | None:
        try:
            return container_of(running_pod(self._api, self._place))
        except BackupError:
            return None

    def _stopped(self) -> Container:
        """The volume in a pod of its own, with the application stopped."""
        self._application.stop()
        return self._application.hold()

    def _present(self, container: Container) -> dict[str, Any]:
        """What the tenant's database holds now; with `problems` where it is damaged."""
        try:
            found: dict[str, Any] = json.loads(run(self._api, container, "sortie", "check"))
        except ExecError as error:
            return {"problems": [str(error)]}
        return found

    def _require_known_schema(self, container: Container, schema: str) -> None:
        known = run(self._api, container, "python3", "-c", _KNOWN_SCHEMAS).decode().split()
        if schema not in known:
            raise BackupError(
                f"the snapshot has schema {schema}, and the application of {self._place.tenant} knows {known[-1]} at most",
                state="nothing was changed",
                next_step="deploy the release that made the snapshot, or name an older snapshot",
            )

    def _phase(self, container: Container, found: Snapshot) -> str:
        """How far an earlier run came; `swapped` only if it was with this snapshot, else `foreign`."""
        state = json.loads(run(self._api, container, "sortie", "volume", "state"))
        phase = str(state["phase"])
        if phase in ("none", "received"):
            return phase
        names = {found.id, found.original}
        return "swapped" if phase == "swapped" and state.get("snapshot") in names else "foreign"

    def _keep_present(self, running: Container | None, container: Container, work: Path) -> str:
        """The id of a snapshot of what is there now."""
        directory = work / "safety"
        directory.mkdir(mode=0o700)
        source = None if running else container
        try:
            kept = back_up(self._api, self._place, self._settings, source=source, safety=True, work=directory)
        except BackupError as error:
            if self._request.force:
                return ""
            if not running:
                self._application.release()
                self._application.start()
            raise BackupError(
                f"there is no safety snapshot of what {self._place.tenant} holds now: {error.happened}",
                state=UNTOUCHED,
                next_step=f"{error.next_step}; or go on without one: -e restore_force=true",
            ) from error
        return str(kept["snapshot"])

    def _receive(self, container: Container, found: Snapshot, database: Path) -> None:
        try:
            send(self._api, container, found, database)
        except ExecError as error:
            self._application.release()
            raise BackupError(
                f"the snapshot did not reach {self._place.tenant}: {error}",
                state="its database is as it was",
                next_step="mend that, then run the restore again",
            ) from error

    def _volume(self, container: Container, step: str) -> None:
        run(self._api, container, "sortie", "volume", step)

    def _verify(self, manifest: Mapping[str, Any]) -> None:
        """The application answers, and the database it serves is whole and has the snapshot's tables."""
        container = container_of(running_pod(self._api, self._place))
        served_applications(self._api, container)
        present = self._present(container)
        missing = sorted(set(manifest["database"]["tables"]) - set(present.get("tables", {})))
        wrong = [*present.get("problems", []), *(f"table {name} is missing" for name in missing)]
        if wrong:
            raise BackupError(
                f"the restored database is not as it should be: {'; '.join(wrong[:3])}",
                state="the restored database is in place",
                next_step="name an older snapshot",
            )

    def _undo(self, cause: BackupError | ExecError) -> None:
        """Puts back what was there; always raises."""
        what = cause.happened if isinstance(cause, BackupError) else str(cause)
        try:
            container = self._stopped()
            self._volume(container, "rollback")
            self._application.release()
            self._application.start()
        except (BackupError, ExecError, ClusterError) as error:
            raise BackupError(
                f"the restore of {self._place.tenant} failed ({what}), and what was there could not be started: {error}",
                state="previous.db or sortie.db on the volume has what was there, and a safety snapshot was made before",
                next_step="run the restore again; it goes on where it stopped",
            ) from cause
        raise BackupError(
            f"the restore of {self._place.tenant} failed: {what}",
            state="what was there before was put back, and is served",
            next_step="name another snapshot, or mend that and run the restore again",
        ) from cause
