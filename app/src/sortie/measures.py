"""What /metrics says beside the requests: build, database, volume, certificate, process, backups."""

from __future__ import annotations

import json
import os
import platform
import resource
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import certificates, replication
from .metrics import Labels, family, gauges
from .site import Site
from .storage.errors import StorageError
from .version import VERSION

_NONE: Labels = ()
# Numbers of the last good run of each kind: its key in the record, the gauge and what it means.
_RECORDED = {
    "backup": (
        ("bytes", "sortie_backup_size_bytes", "Size of the database in the last good backup."),
        ("seconds", "sortie_backup_duration_seconds", "How long the last good backup took."),
    ),
    "drill": (
        (
            "recovery_seconds",
            "sortie_drill_recovery_seconds",
            "How long the last good drill took to recover.",
        ),
    ),
}


def lines(site: Site) -> list[str]:
    return [
        *gauges("sortie_build_info", "Version of what runs.", {_build(site): 1}),
        *gauges("sortie_read_only", "Whether this is a read replica.", {_NONE: int(site.settings.read_only)}),
        *_database(site),
        *_volume(site),
        *_certificate(site),
        *_recovery(site),
        *_process(site),
    ]


def _build(site: Site) -> Labels:
    from pysqlite3 import dbapi2  # noqa: PLC0415 - loaded already where SQLite is used

    return (
        ("version", VERSION),
        ("python", platform.python_version()),
        ("database", site.settings.db_type),
        ("sqlite", dbapi2.sqlite_version),
    )


def _database(site: Site) -> list[str]:
    name = "sortie_ready"
    meaning = "Whether the database can be used."
    try:
        database = site.storage.database
        size = database.size()
        applications = len(site.storage.published.current(database.revisions()["catalogue"]))
        behind = replication.age(database) if site.settings.read_only else None
    except StorageError:
        return gauges(name, meaning, {_NONE: 0})
    by_kind: list[tuple[str, Labels]] = [(kind, (("kind", kind),)) for kind in ("read", "write")]
    return [
        *gauges(name, meaning, {_NONE: 1}),
        *_replica(site, behind),
        *gauges("sortie_applications", "Applications in the catalogue.", {_NONE: applications}),
        *gauges("sortie_database_size_bytes", "Size of the database.", {_NONE: size}),
        *family(
            "sortie_database_seconds_total",
            "counter",
            "Time spent in the database, with waiting for it.",
            [(labels, database.seconds[kind]) for kind, labels in by_kind],
        ),
        *family(
            "sortie_database_operations_total",
            "counter",
            "Transactions.",
            [(labels, database.operations[kind]) for kind, labels in by_kind],
        ),
    ]


def _replica(site: Site, behind: float | None) -> list[str]:
    if not site.settings.read_only or behind is None:
        return []
    return gauges(
        "sortie_replica_lag_seconds",
        "Age of the newest moment of the primary that this read replica has.",
        {_NONE: behind},
    )


def _volume(site: Site) -> list[str]:
    """The file system under SQLite, as df tells it: without what is kept for root."""
    if site.settings.db_type != "sqlite":
        return []
    try:
        room = os.statvfs(Path(site.settings.db).parent)
    except OSError:
        return []
    size = (room.f_blocks - room.f_bfree + room.f_bavail) * room.f_frsize
    return [
        *gauges("sortie_volume_size_bytes", "Size of the database's volume.", {_NONE: size}),
        *gauges(
            "sortie_volume_available_bytes",
            "What is free of the database's volume.",
            {_NONE: room.f_bavail * room.f_frsize},
        ),
    ]


def _certificate(site: Site) -> list[str]:
    if not site.settings.tls_certificate:
        return []
    try:
        end = certificates.end(Path(site.settings.tls_certificate).read_bytes())
    except OSError:
        return []
    name = "sortie_certificate_expiry_timestamp_seconds"
    return [] if end is None else gauges(name, "When the tenant's certificate ends.", {_NONE: end})


def _recovery(site: Site) -> list[str]:
    """What the backup playbooks left in the status directory; nothing where there is none."""
    if not site.settings.status_dir:
        return []
    found: list[str] = []
    for kind, numbers in _RECORDED.items():
        record = _status(Path(site.settings.status_dir) / f"{kind}.json")
        if record is None:
            continue
        good = bool(record.get("ok", True))
        found += gauges(f"sortie_{kind}_last_ok", f"Whether the last {kind} was good.", {_NONE: int(good)})
        moment = _moment(record.get("time"))
        if moment is not None:
            name = f"sortie_{kind}_last_success_timestamp_seconds"
            found += gauges(name, f"When the last good {kind} ended.", {_NONE: moment})
        for key, name, meaning in numbers:
            if isinstance(value := record.get(key), int | float):
                found += gauges(name, meaning, {_NONE: value})
    return found


def _status(path: Path) -> dict[str, Any] | None:
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _moment(value: Any) -> float | None:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _process(site: Site) -> list[str]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return [
        *family(
            "process_cpu_seconds_total",
            "counter",
            "Processor time used.",
            [(_NONE, usage.ru_utime + usage.ru_stime)],
        ),
        *gauges(
            "process_resident_memory_bytes", "Memory in use.", {_NONE: pages * os.sysconf("SC_PAGE_SIZE")}
        ),
        *gauges("process_start_time_seconds", "When the process started.", {_NONE: site.started}),
    ]
