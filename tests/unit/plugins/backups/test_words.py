"""Mistakes are told all at once; schedules are read as cron reads them; summaries say what a person needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.sortie.platform.plugins.module_utils._restic import Restic
from ansible_collections.sortie.platform.plugins.modules.runner_source import locked
from ansible_collections.sortie.platform.plugins.plugin_utils._backups import (
    age,
    backup_mistakes,
    backup_summary,
    drill_summary,
    export_summary,
    restore_refusal,
    restore_summary,
    runner_wanted,
    size,
)
from ansible_collections.sortie.platform.plugins.plugin_utils._cron import is_cron, is_zone_of, on_calendar

TENANTS = ["acme", "globex"]


def described(tenant: str = "acme", **changed: Any) -> dict[str, Any]:
    return {
        "tenant": tenant,
        "database": "sqlite",
        "repository": f"/backups/{tenant}",
        "password_file": f"/keys/{tenant}",
        "keep_last": 7,
        "keep_daily": 14,
        "keep_weekly": 8,
        "keep_monthly": 12,
        "schedule": "",
        "drill_schedule": "",
        "schedule_target": "host",
        "volume_claim": "",
        "runner_image": "",
        "volume_snapshot": False,
        "volume_snapshot_class": "",
        "volume_snapshots_keep": 3,
        **changed,
    }


def mistaken(*tenants: dict[str, Any]) -> list[tuple[str, str]]:
    return [(mistake["tenant"], mistake["variable"]) for mistake in backup_mistakes(tenants)]


def test_good_descriptions_have_no_mistake() -> None:
    assert mistaken(described(), described("globex")) == []


@pytest.mark.parametrize("user", ["backup", ""])
def test_a_repository_is_named_without_its_password(user: str) -> None:
    address = f"rest:https://{user}:hunter2@backups.example.com/acme"
    restic = Restic(
        address, Path("key"), "acme", cache=Path("cache"), binary="/nowhere", environment={"A": "b"}
    )
    assert restic.shown == f"rest:https://{user}:***@backups.example.com/acme"
    told = restic._error(f'Fatal: unable to open repository at {address}: Head "{address}": EOF')
    assert "hunter2" not in str(told)


def test_a_repository_that_two_tenants_share_is_a_mistake_of_both() -> None:
    shared = mistaken(described(), described("globex", repository="/backups/acme/"))
    assert shared == [("acme", "backup_repository"), ("globex", "backup_repository")]


@pytest.mark.parametrize(
    ("changed", "variable"),
    [
        ({"keep_last": 0}, "backup_keep_last"),
        ({"keep_daily": "many"}, "backup_keep_daily"),
        ({"repository": " "}, "backup_repository"),
        ({"drill_schedule": "daily"}, "backup_drill_schedule"),
        ({"schedule_target": "moon"}, "backup_schedule_target"),
        ({"schedule": "@daily", "schedule_target": "cluster"}, "backup_repository"),
        (
            {"schedule": "0 3 * * *", "schedule_target": "cluster", "repository": "sftp:keeper:/acme"},
            "backup_repository",
        ),
        ({"database": "postgresql", "schedule": "0 3 * * *"}, "backup_schedule"),
        ({"database": "postgresql", "drill_schedule": "0 3 * * *"}, "backup_drill_schedule"),
        ({"volume_snapshots_keep": 0}, "backup_volume_snapshots_keep"),
        (
            {"schedule": "0 3 * * *", "schedule_target": "cluster", "volume_snapshot": True},
            "backup_volume_snapshot_class",
        ),
    ],
)
def test_mistakes_are_told_with_their_variable(changed: dict[str, Any], variable: str) -> None:
    assert ("acme", variable) in mistaken(described(**changed))


def test_a_pod_reaches_a_remote_repository_or_one_on_its_claim() -> None:
    scheduled = {"schedule": "0 3 * * *", "schedule_target": "cluster"}
    assert mistaken(described(**scheduled, repository="rest:https://backup.example/acme")) == []
    assert mistaken(described(**scheduled, repository="/repository/acme", volume_claim="backups")) == []
    assert runner_wanted([described(), described("globex", **scheduled)])
    assert not runner_wanted([described(schedule="0 3 * * *"), described(**scheduled, runner_image="mine")])


@pytest.mark.parametrize(
    "expression", ["* * * * *", "*/5 0-6,22 1 jan-mar mon", "15 3 * * 7", "0 0 1,15 * *", "0 9-17/2 * * 1-5"]
)
def test_cron_expressions(expression: str) -> None:
    assert is_cron(expression)


@pytest.mark.parametrize(
    "expression",
    [
        *("", "* * * *", "60 * * * *", "*/0 * * * *", "5-1 * * * *", "@daily", "* * 0 * *", "a * * * *"),
        *("0 3 * * *\n", "0\n3 * * *", "0 3 * * *\r", "² * * * *", "٣ * * * *"),
    ],
)
def test_what_is_no_cron_expression(expression: str) -> None:
    assert not is_cron(expression)


@pytest.mark.parametrize(
    ("expression", "calendar"),
    [
        ("* * * * *", "*-*-* *:*:00 UTC"),
        ("15 3 * * *", "*-*-* 3:15:00 UTC"),
        ("*/5 0-6 * * *", "*-*-* 0..6:0/5:00 UTC"),
        ("0 3 1,15 jan-mar *", "*-1..3-1,15 3:0:00 UTC"),
        ("0 3 * * 1-5", "Mon,Tue,Wed,Thu,Fri *-*-* 3:0:00 UTC"),
        ("0 3 * * 7", "Sun *-*-* 3:0:00 UTC"),
    ],
)
def test_systemd_gets_the_same_moments(expression: str, calendar: str) -> None:
    assert on_calendar(expression, "UTC") == calendar


def test_systemd_cannot_have_day_of_month_or_day_of_week() -> None:
    with pytest.raises(ValueError, match="use one of them"):
        on_calendar("0 3 1 * 1", "UTC")


def test_a_time_zone_is_a_name_and_nothing_more() -> None:
    assert on_calendar("0 3 * * *", "America/Argentina/Buenos_Aires").endswith(
        " America/Argentina/Buenos_Aires"
    )
    with pytest.raises(ValueError, match=r"backup_time_zone is .* but must be a name such as UTC"):
        on_calendar("0 3 * * *", "UTC\nUnit=other.service")


def test_cron_goes_by_the_zone_of_its_host(tmp_path: Path) -> None:
    host = tmp_path / "localtime"
    assert is_zone_of("UTC", str(host))
    assert not is_zone_of("Europe/Berlin", str(host))
    assert not is_zone_of("Nowhere/Land", str(host))
    host.symlink_to("/usr/share/zoneinfo/Europe/Berlin")
    assert is_zone_of("Europe/Berlin", str(host))
    # The same in winter only.
    assert not is_zone_of("Africa/Lagos", str(host))


@pytest.mark.parametrize(
    ("wanted", "tenants", "told"),
    [
        ({"snapshot": ""}, ["acme"], "Say which snapshot"),
        ({"into": "nobody"}, ["acme"], "no tenant of the inventory"),
        ({"into": "globex"}, TENANTS, "Say whose snapshot"),
        ({}, TENANTS, "would all be restored"),
    ],
)
def test_a_restore_that_is_not_clear_is_refused(
    wanted: dict[str, Any], tenants: list[str], told: str
) -> None:
    request = {"snapshot": "latest", "into": "", "all": False, "fresh": False, **wanted}
    assert told in restore_refusal(request, tenants, TENANTS)


def test_a_restore_that_is_clear_is_begun() -> None:
    request = {"snapshot": "latest", "into": "", "all": False, "fresh": False}
    assert restore_refusal(request, ["acme"], TENANTS) == ""
    assert restore_refusal(request | {"into": "globex"}, ["acme"], TENANTS) == ""
    assert restore_refusal(request | {"fresh": "true"}, TENANTS, TENANTS) == ""


def test_summaries_have_a_line_for_each_tenant_failed_or_not() -> None:
    backup = {
        "snapshot": "1f2e3d4c",
        "bytes": 131072,
        "rows": 23,
        "sha256": "7f1d029d93a9a53a",
        "seconds": 3.14,
        "kept": 7,
        "removed": ["9a8b7c6d"],
    }
    text = backup_summary({"acme": {"backup": backup, "failure": ""}, "globex": {"failure": "gone"}})
    assert [line.split()[:2] for line in text.splitlines()[1:]] == [["acme", "good"], ["globex", "FAILED"]]
    assert "128.0 KiB" in text
    assert "would be backed up" in backup_summary({"acme": {"failure": "", "backup": {}}}, check_mode=True)
    drill = {
        "snapshot": "1f2e",
        "snapshot_age_seconds": 7200,
        "bytes": 1,
        "recovery_seconds": 14.24,
        "rows": 23,
        "applications": 9,
    }
    text = drill_summary({"acme": {"drill": drill, "failure": ""}, "globex": {}})
    assert "14.2 s" in text
    assert "globex  FAILED" in text


def test_the_summary_of_an_export_names_the_files() -> None:
    written = {
        "file": "/exports/sortie-acme-20260101T031504Z.db",
        "snapshot": "",
        "bytes": 131072,
        "rows": 23,
        "sha256": "7f1d029d93a9ffff",
    }
    text = export_summary({"acme": {"export": written}, "globex": {"failure": "gone"}})
    assert "/exports/sortie-acme-20260101T031504Z.db" in text
    assert "FAILED" in text
    assert "would be written" in export_summary({"acme": {"export": {}, "failure": ""}}, True)


def test_a_dry_run_shows_what_would_change() -> None:
    plan = {
        "snapshot": "1f2e3d4c",
        "source": "acme",
        "target": "globex",
        "time": "2026-01-01T00:00:00+00:00",
        "age_seconds": 7200,
        "schema": {"present": None, "snapshot": "0001"},
        "rows": {"applications": {"present": 9, "snapshot": 12}, "users": {"present": None, "snapshot": 1}},
        "damage": ["it is malformed"],
    }
    text = restore_summary({"acme": {"restore": {"restored": False, "plan": plan}}}, check_mode=True)
    assert "globex would get snapshot 1f2e3d4c of acme, 2 h old" in text
    assert "+3" in text
    assert "it is malformed" in text


def test_sizes_and_ages_are_for_people() -> None:
    assert [size(number) for number in (512, 131072, 3 << 30)] == ["512 B", "128.0 KiB", "3.0 GiB"]
    assert [age(seconds) for seconds in (59, 300, 7300, 90 * 86400)] == ["59 s", "5 min", "2 h", "90 d"]


def test_the_runner_has_the_control_hosts_pins_without_what_it_does_not_need() -> None:
    text = "# note\nansible==1 \\\n    --hash=a\nansible-core==2 \\\n    --hash=b \\\n    --hash=c\nsix==3 \\\n    --hash=d\n"
    assert locked(text, ["ansible", "six"]) == "ansible-core==2 \\\n    --hash=b \\\n    --hash=c\n"
