# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Which snapshots stay.

The order of snapshots is their sequence number, never their time: a clock that jumps changes neither what is
newest nor how many good ones are left. Times only name the day, week and month that a snapshot stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Keep:
    """How many to keep: the last ones, and the newest of each of so many days, ISO weeks and months."""

    last: int
    daily: int = 0
    weekly: int = 0
    monthly: int = 0

    def __post_init__(self) -> None:
        if self.last < 1:
            raise ValueError(f"at least one snapshot has to stay: last is {self.last}")


@dataclass(frozen=True)
class Snapshot:
    """One snapshot of a tenant as the repository lists it; `original` is the id it had before it was marked.

    `safety`: made before a restore, of what the restore replaces.
    """

    id: str
    sequence: int
    time: datetime
    verified: bool
    sha256: str = ""
    original: str = ""
    safety: bool = False

    @property
    def order(self) -> tuple[int, datetime, str]:
        """Sorts oldest first; two runs at once may share a number."""
        return (self.sequence, self.time, self.id)


def newest_first(snapshots: Iterable[Snapshot]) -> list[Snapshot]:
    """The snapshots, the newest at the start."""
    return sorted(snapshots, key=lambda snapshot: snapshot.order, reverse=True)


def to_remove(snapshots: Iterable[Snapshot], keep: Keep) -> list[Snapshot]:
    """The snapshots that need not stay, oldest first.

    Only verified ones count as kept. An unverified one (its run was killed before the proof) goes once a
    newer verified one exists; newer than that it stays, because its run may still be going on.
    """
    ordered = newest_first(snapshots)
    good = [snapshot for snapshot in ordered if snapshot.verified]
    if not good:
        return []
    kept = set(good[: keep.last])
    for number, period in ((keep.daily, _day), (keep.weekly, _week), (keep.monthly, _month)):
        kept.update(_newest_of_each(good, number, period))
    newest = good[0]
    settled = [snapshot for snapshot in ordered if snapshot.verified or snapshot.order < newest.order]
    return [snapshot for snapshot in reversed(settled) if snapshot not in kept]


def _newest_of_each(good: list[Snapshot], number: int, period: Callable[[datetime], str]) -> list[Snapshot]:
    newest: dict[str, Snapshot] = {}
    for snapshot in good:
        newest.setdefault(period(snapshot.time), snapshot)
    return list(newest.values())[:number]


def _day(time: datetime) -> str:
    return time.strftime("%Y-%m-%d")


def _week(time: datetime) -> str:
    return time.strftime("%G-%V")


def _month(time: datetime) -> str:
    return time.strftime("%Y-%m")
