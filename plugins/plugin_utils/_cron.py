# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Cron expressions of five fields, as Kubernetes and cron know them: checked, and in systemd's words."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

EXPECTED = "a cron expression of five fields, for example '15 3 * * *' for each night at 3:15"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# Lowest and highest value of minute, hour, day of month, month and day of week.
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")
_PART = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\d+))?")


def is_cron(value: object) -> bool:
    """Whether it is a cron expression that Kubernetes takes."""
    text = str(value)
    # In a line of cron's an end of a line would end the command, and without its command no line of that file counts.
    if not (text.isascii() and text.isprintable()):
        return False
    fields = text.split()
    return len(fields) == len(_RANGES) and all(_is_field(text, place) for place, text in enumerate(fields))


def _is_field(text: str, place: int) -> bool:
    lowest, highest = _RANGES[place]
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None or match["step"] == "0":
            return False
        numbers = [_number(word, place) for word in (match["first"], match["last"]) if word]
        if any(number is None or not lowest <= number <= highest for number in numbers):
            return False
        if len(numbers) == 2 and numbers != sorted(numbers, key=lambda number: number or 0):
            return False
    return True


def _number(word: str, place: int) -> int | None:
    names = {3: _MONTHS, 4: _DAYS}.get(place, ())
    if word.lower() in names:
        return names.index(word.lower()) + (1 if place == 3 else 0)
    return int(word) if word.isdigit() else None


def on_calendar(expression: str, time_zone: str) -> str:
    """The same moments as systemd's OnCalendar. Not for day of month and day of week at once, which cron reads as 'or'."""
    minute, hour, day, month, weekday = expression.split()
    if day != "*" and weekday != "*":
        raise ValueError(f"'{expression}': systemd cannot have day of month or day of week; use one of them")
    if not _ZONE.fullmatch(time_zone):
        raise ValueError(
            f"backup_time_zone is {time_zone!r}, but must be a name such as UTC or Europe/Berlin"
        )
    days = "" if weekday == "*" else f"{_weekdays(weekday)} "
    date = f"*-{_field(month, 3)}-{_field(day, 2)}"
    return f"{days}{date} {_field(hour, 1)}:{_field(minute, 0)}:00 {time_zone}"


def is_zone_of(time_zone: str, localtime: str) -> bool:
    """Whether a time zone has the times of the host whose /etc/localtime is `localtime`; without one a host is in UTC."""
    moments = [datetime(2026, month, 1, tzinfo=UTC) for month in range(1, 13)]
    file = Path(localtime)
    here: tzinfo = UTC
    if file.exists():
        with file.open("rb") as zone:
            here = ZoneInfo.from_file(zone)
    try:
        there = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        return False
    return all(
        moment.astimezone(here).utcoffset() == moment.astimezone(there).utcoffset() for moment in moments
    )


def _field(text: str, place: int) -> str:
    return ",".join(_part(part, place) for part in text.split(","))


def _part(part: str, place: int) -> str:
    match = _PART.fullmatch(part)
    if match is None:
        raise ValueError(f"'{part}' is no part of a cron expression")
    lowest, highest = _RANGES[place]
    step = match["step"]
    if not match["first"]:
        return f"{lowest}/{step}" if step else "*"
    first = _number(match["first"], place)
    last = _number(match["last"], place) if match["last"] else (highest if step else None)
    spread = f"{first}..{last}" if last is not None else f"{first}"
    return f"{spread}/{step}" if step else spread


def _weekdays(text: str) -> str:
    """Days by name; systemd knows no steps here, so they are counted out."""
    chosen: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"'{part}' is no part of a cron expression")
        first = _number(match["first"], 4) if match["first"] else 0
        last = _number(match["last"], 4) if match["last"] else (first if match["first"] else 6)
        if match["first"] and match["step"] and not match["last"]:
            last = 6
        chosen |= {day % 7 for day in range(first or 0, (last or 0) + 1, int(match["step"] or 1))}
    return ",".join(_DAYS[day].capitalize() for day in sorted(chosen))
