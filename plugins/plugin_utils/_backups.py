# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""What is wrong with the backups that an inventory describes, and what became of a run, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.sortie.platform.plugins.plugin_utils import _cron
from ansible_collections.sortie.platform.plugins.plugin_utils._summary import table

Description = Mapping[str, Any]
Results = Mapping[str, Mapping[str, Any]]

KEPT = ("keep_daily", "keep_weekly", "keep_monthly")


def backup_mistakes(tenants: Sequence[Description]) -> list[dict[str, str]]:
    """Every mistake of every tenant: (tenant, variable, value, expected)."""
    found = []
    for tenant in tenants:
        name = tenant["tenant"]
        found += [
            _mistake(name, variable, tenant[variable], expected)
            for variable, expected in _wrong(tenant).items()
        ]
        for variable in ("repository", "password_file"):
            sharing = [
                other["tenant"]
                for other in tenants
                if other["tenant"] != name and _same(other[variable], tenant[variable])
            ]
            if sharing and tenant[variable]:
                expected = f"one of its own; {', '.join(sharing)} has the same"
                found.append(_mistake(name, variable, tenant[variable], expected))
    return found


def _same(one: str, other: str) -> bool:
    return one.rstrip("/") == other.rstrip("/")


def _wrong(tenant: Description) -> dict[str, str]:
    """What is expected instead, by variable."""
    wrong = {name: "a number of at least 0" for name in KEPT if not _number(tenant[name], 0)}
    if not _number(tenant["keep_last"], 1):
        wrong["keep_last"] = "a number of at least 1"
    if not _number(tenant["volume_snapshots_keep"], 1):
        wrong["volume_snapshots_keep"] = "a number of at least 1"
    for name in ("repository", "password_file"):
        if not str(tenant[name]).strip():
            wrong[name] = "not to be empty"
    if tenant["database"] == "postgresql":
        wrong |= {
            name: "to be empty with sortie_database: postgresql, whose server has its own backups"
            for name in ("schedule", "drill_schedule")
            if tenant[name]
        }
    elif tenant["drill_schedule"] and not _cron.is_cron(tenant["drill_schedule"]):
        wrong["drill_schedule"] = _cron.EXPECTED
    if tenant["schedule_target"] not in ("cluster", "host"):
        wrong["schedule_target"] = "cluster or host"
    scheduled = tenant["schedule"] or tenant["drill_schedule"]
    if scheduled and tenant["schedule_target"] == "cluster":
        if _unreachable(tenant):
            wrong["repository"] = (
                "one that pods reach: s3:, rest:, or a path below /repository with backup_volume_claim; "
                "or backup_schedule_target: host"
            )
        if tenant["volume_snapshot"] and not tenant["volume_snapshot_class"]:
            wrong["volume_snapshot_class"] = "the name of one, as the scheduled run may not look for it"
    return wrong


def _unreachable(tenant: Description) -> bool:
    """Whether the repository is a directory that no pod has, or is reached by a program that the runner lacks."""
    repository = str(tenant["repository"])
    if repository.startswith(("sftp:", "rclone:")):
        return True
    if not repository.startswith("/"):
        return False
    return not (tenant["volume_claim"] and repository.startswith("/repository"))


def _number(value: Any, least: int) -> bool:
    try:
        return int(str(value)) >= least
    except ValueError:
        return False


def _mistake(tenant: str, variable: str, value: Any, expected: str) -> dict[str, str]:
    return {
        "tenant": tenant,
        "variable": f"backup_{variable}",
        "value": str(value),
        "expected": expected,
    }


def backup_summary(results: Results, check_mode: bool = False) -> str:
    """The end of backup.yml: a line for each tenant, and where the keys are."""
    rows, made = [], []
    for tenant, result in results.items():
        backup = result.get("backup") or {}
        if backup:
            made.append(tenant)
            rows.append({"tenant": tenant, "state": "good", **_facts(backup)})
        else:
            state = "would be backed up" if check_mode and not result.get("failure") else "FAILED"
            rows.append({"tenant": tenant, "state": state})
    columns = ["tenant", "state", "snapshot", "size", "rows", "sha256", "seconds", "kept", "removed"]
    return table(rows, columns if made else columns[:2]) + "\n"


def _facts(backup: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **backup,
        "size": size(int(backup["bytes"])),
        "sha256": backup["sha256"][:12],
        "seconds": f"{backup['seconds']:.1f}",
        "removed": len(backup["removed"]),
    }


def size(number: int) -> str:
    """Bytes for people."""
    amount = float(number)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def restore_refusal(wanted: Mapping[str, Any], tenants: Sequence[str], known: Sequence[str]) -> str:
    """Why a restore is not begun; empty if it is clear what is meant.

    `wanted`: snapshot, into, all, fresh. `tenants` are those of the play, `known` all of the inventory.
    """
    into = wanted["into"]
    if not wanted["snapshot"]:
        return "Say which snapshot: -e restore_snapshot=latest, or its id."
    if into and into not in known:
        return f"restore_into={into} is no tenant of the inventory, which has {', '.join(known)}."
    if into and len(tenants) != 1:
        return f"Say whose snapshot goes into {into}: --limit TENANT."
    if len(tenants) > 1 and not (boolean(wanted["all"]) or boolean(wanted["fresh"])):
        names = ", ".join(tenants)
        return f"{names} would all be restored. Name one with --limit, or say -e restore_all=true."
    return ""


def restore_summary(results: Results, check_mode: bool = False) -> str:
    """The end of restore.yml: for each tenant what changed or would change."""
    parts = []
    for tenant, result in results.items():
        restore = result.get("restore") or {}
        if restore.get("plan"):
            parts.append(_restored(restore, check_mode))
        else:
            parts.append(f"{tenant}: {restore.get('reason') or 'FAILED'}")
    return "\n\n".join(parts) + "\n"


def _restored(restore: Mapping[str, Any], check_mode: bool) -> str:
    plan = restore["plan"]
    verb = "would get" if check_mode else "has"
    whose = "" if plan["source"] == plan["target"] else f" of {plan['source']}"
    schema = plan["schema"]
    lines = [
        f"{plan['target']} {verb} snapshot {plan['snapshot']}{whose}, {age(plan['age_seconds'])} old ({plan['time']})",
        f"schema {schema['snapshot']}, at present {schema['present'] or 'unknown'}",
    ]
    if plan["damage"]:
        lines.append(f"the present database is damaged: {plan['damage'][0]}")
    rows = [
        {
            "table": name,
            "present": _count(count["present"]),
            "snapshot": _count(count["snapshot"]),
            "difference": _difference(count),
        }
        for name, count in plan["rows"].items()
    ]
    lines.append(table(rows, ["table", "present", "snapshot", "difference"]))
    if restore["restored"]:
        lines.append(f"restored in {restore['seconds']:.1f} s, away for {restore['away_seconds']:.1f} s")
        if restore["safety"]:
            lines.append(
                f"what was there before: -e restore_snapshot={restore['safety']} --limit {plan['target']}"
            )
    return "\n".join(lines)


def _count(number: int | None) -> str:
    return "-" if number is None else str(number)


def _difference(count: Mapping[str, int | None]) -> str:
    number = (count["snapshot"] or 0) - (count["present"] or 0)
    return f"{number:+d}" if number else ""


def age(seconds: int) -> str:
    """A time span for people, in its largest unit."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def drill_summary(results: Results, check_mode: bool = False) -> str:
    """The end of drill.yml: a line for each tenant."""
    rows = []
    for tenant, result in results.items():
        drill = result.get("drill") or {}
        if drill:
            state, facts = "comes back", dict(drill)
            facts["snapshot_age"] = age(int(drill["snapshot_age_seconds"]))
            facts["size"] = size(int(drill["bytes"]))
            facts["recovery"] = f"{drill['recovery_seconds']:.1f} s"
        else:
            state = "would be tried" if check_mode and not result.get("failure") else "FAILED"
            facts = {}
        rows.append({"tenant": tenant, "state": state, **facts})
    columns = ["tenant", "state", "snapshot", "snapshot_age", "size", "rows", "applications", "recovery"]
    return table(rows, columns if any("size" in row for row in rows) else columns[:2]) + "\n"


def export_summary(results: Results, check_mode: bool = False) -> str:
    """The end of export.yml: a line for each tenant."""
    rows = []
    for tenant, result in results.items():
        found = result.get("export") or {}
        if found:
            of = f"snapshot {found['snapshot']}" if found["snapshot"] else "now"
            facts = {**found, "of": of, "size": size(int(found["bytes"])), "sha256": found["sha256"][:12]}
            rows.append({"tenant": tenant, "state": "written", **facts})
        else:
            state = "would be written" if check_mode and not result.get("failure") else "FAILED"
            rows.append({"tenant": tenant, "state": state})
    columns = ["tenant", "state", "of", "size", "rows", "sha256", "file"]
    return table(rows, columns if any("file" in row for row in rows) else columns[:2]) + "\n"


def runner_wanted(tenants: Sequence[Description]) -> bool:
    """Whether some tenant's runs happen in the cluster, with the image that this collection builds."""
    return any(
        tenant["schedule_target"] == "cluster"
        and not tenant["runner_image"]
        and (tenant["schedule"] or tenant["drill_schedule"])
        for tenant in tenants
    )
