"""Which snapshots stay: never fewer good ones than asked for, whatever the clock says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ansible_collections.sortie.platform.plugins.module_utils._restic import parse_time
from ansible_collections.sortie.platform.plugins.module_utils._retention import Keep, Snapshot, to_remove

START = datetime(2026, 1, 1, 3, tzinfo=UTC)


def snapshots(*days: float, good: bool = True) -> list[Snapshot]:
    return [
        Snapshot(f"s{place}", place, START + timedelta(days=day), good)
        for place, day in enumerate(days, start=1)
    ]


def kept(there: list[Snapshot], keep: Keep) -> list[str]:
    removed = to_remove(there, keep)
    return [entry.id for entry in there if entry not in removed]


def test_the_last_ones_stay() -> None:
    assert kept(snapshots(0, 0, 0, 0), Keep(2)) == ["s3", "s4"]


def test_the_newest_of_each_day_week_and_month_stay() -> None:
    # Two each day for 70 days, up to Wednesday, 11 March 2026.
    there = snapshots(*(half / 2 for half in range(140)))
    removed = to_remove(there, Keep(1, 3, 2, 3))
    days = [entry.time.strftime("%m-%d") for entry in there if entry not in removed]
    assert days == ["01-31", "02-28", "03-08", "03-09", "03-10", "03-11"]


@pytest.mark.parametrize("days", [(0, 10, -5000), (9000, 1, 2), (0, 0, 0)])
def test_a_clock_that_jumps_changes_neither_order_nor_number(days: tuple[float, ...]) -> None:
    assert kept(snapshots(*days), Keep(2)) == ["s2", "s3"]


def test_unverified_ones_never_count_and_go_once_a_newer_good_one_is_there() -> None:
    good, bad = snapshots(0, 1, 2, 3), snapshots(0, 1, 2, 3, good=False)
    there = [good[0], bad[1], good[2], bad[3]]
    assert kept(there, Keep(1)) == ["s3", "s4"]
    assert to_remove(bad, Keep(1)) == []


def test_keeping_none_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Keep(0)


def test_restics_times_are_read() -> None:
    assert parse_time("2026-01-01T04:00:00.123456789+01:00") == START.replace(microsecond=123456)
    assert parse_time("2026-01-01T03:00:00Z") == START
