"""Export and import of the whole catalogue. An import is done in one transaction: all of it or nothing.

Fields that the file does not have stay as they are. Everything that an import brought or changed is marked as
managed, and only that can be pruned by a later import.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from ..problems import Problem, invalid
from ..storage.database import Database
from . import rows
from .objects import APP, CATALOGUE, CATEGORY_DEFAULTS, app_answer
from .rows import Row

_SAME_FOR_ALL = {"id", "name"}


class _DryRun(Exception):  # noqa: N818 - ends the transaction, and is no error
    """Carries the report out of a transaction that shall not be kept."""

    def __init__(self, report: dict[str, Any]) -> None:
        super().__init__()
        self.report = report


def exported(connection: Connection) -> dict[str, Any]:
    """The catalogue as a file that `load` takes again."""
    return {
        "applications": [app_answer(row, row["category"]) for row in rows.all_apps(connection)],
        "categories": [_exported_category(row) for row in rows.all_categories(connection)],
    }


def _exported_category(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in ("id", "name", *CATEGORY_DEFAULTS)}


def catalogue_of(body: Any) -> dict[str, list[dict[str, Any]]]:
    """Applications and categories of a checked body: an object with both, or a bare list of applications."""
    if isinstance(body, list):
        body = {"applications": body}
    catalogue = {"applications": body["applications"], "categories": body.get("categories", [])}
    _require_unique(catalogue["applications"], "applications", "id")
    _require_unique(catalogue["categories"], "categories", "id")
    _require_unique(catalogue["categories"], "categories", "name")
    for index, app in enumerate(catalogue["applications"]):
        if "id" not in app:
            raise invalid(
                f"applications[{index}].id is missing; an import needs it", f"applications[{index}].id"
            )
    return catalogue


def _require_unique(entries: Sequence[Mapping[str, Any]], where: str, field: str) -> None:
    seen: dict[str, int] = {}
    for index, entry in enumerate(entries):
        if field in entry and (first := seen.setdefault(entry[field], index)) != index:
            raise invalid(
                f"{where}[{index}].{field} is {entry[field]!r}, as {where}[{first}] has it already",
                f"{where}[{index}].{field}",
            )


def load(
    database: Database,
    catalogue: Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    prune: bool = False,
    dry_run: bool = False,
    managed: bool = True,
    also: Any = None,
) -> dict[str, Any]:
    """Import a catalogue; what changed (or would change), by id.

    `also` is called with the connection and the report before the commit, if something changed.
    """

    def job(connection: Connection) -> dict[str, Any]:
        report = _Import(connection, catalogue, managed).run(prune)
        report["dry_run"] = dry_run
        if also is not None and report["changed"]:
            also(connection, report)
        if dry_run:
            raise _DryRun(report)
        return report

    try:
        return database.write(job)
    except _DryRun as trial:
        return trial.report


class _Import:
    """One import within a transaction."""

    def __init__(
        self, connection: Connection, catalogue: Mapping[str, Sequence[Mapping[str, Any]]], managed: bool
    ) -> None:
        self._connection = connection
        self._given = catalogue
        self._managed = managed
        self._apps = {row["id"]: row for row in rows.all_apps(connection)}
        self._categories = {row["name"]: row for row in rows.all_categories(connection)}
        self._report: dict[str, list[str]] = {"created": [], "updated": [], "removed": []}
        self._category_report: dict[str, list[str]] = {"created": [], "updated": [], "removed": []}
        self._unchanged = 0

    def run(self, prune: bool) -> dict[str, Any]:
        for index, category in enumerate(self._given["categories"]):
            with _at(f"categories[{index}]"):
                self._category(category)
        for index, app in enumerate(self._given["applications"]):
            with _at(f"applications[{index}]"):
                self._app(app)
        if prune:
            self._prune()
        changed = any(self._report.values()) or any(self._category_report.values())
        return {
            "changed": changed,
            **self._report,
            "unchanged": self._unchanged,
            "categories": self._category_report,
        }

    def _category(self, given: Mapping[str, Any]) -> None:
        before = self._find_category(given)
        if before is None:
            row = rows.add_category(self._connection, given, managed=self._managed)
            self._categories[row["name"]] = row
            self._category_report["created"].append(row["id"])
            return
        wanted = {**given, "id": before["id"]}
        if "approved_users" in wanted:
            wanted["approved_users"] = sorted(set(wanted["approved_users"]))
        if self._differs(before, wanted):
            after = rows.change_category(self._connection, before["id"], wanted, managed=self._mark)
            del self._categories[before["name"]]
            self._categories[after["name"]] = after
            self._category_report["updated"].append(before["id"])

    def _find_category(self, given: Mapping[str, Any]) -> Row | None:
        """The category that is meant: by id if it has one that exists, else by name."""
        for row in self._categories.values():
            if row["id"] == given.get("id"):
                return row
        return self._categories.get(given["name"])

    def _app(self, given: Mapping[str, Any]) -> None:
        name = given.get("category", "")
        if name and name not in self._categories:
            row = rows.add_category(self._connection, {"name": name}, managed=self._managed)
            self._categories[name] = row
            self._category_report["created"].append(row["id"])
        before = self._apps.get(given["id"])
        if before is None:
            self._apps[given["id"]] = rows.add_app(self._connection, given, managed=self._managed)
            self._report["created"].append(given["id"])
        elif self._differs(before, given):
            rows.change_app(self._connection, given["id"], given, managed=self._mark)
            self._report["updated"].append(given["id"])
        else:
            self._unchanged += 1

    @property
    def _mark(self) -> bool | None:
        """True marks as managed; None leaves the mark as it is."""
        return True if self._managed else None

    def _differs(self, before: Row, wanted: Mapping[str, Any]) -> bool:
        if self._managed and not before["managed"]:
            return True
        return any(before[name] != value for name, value in wanted.items())

    def _prune(self) -> None:
        wanted = {app["id"] for app in self._given["applications"]}
        for app_id, row in self._apps.items():
            if row["managed"] and app_id not in wanted:
                rows.remove_app(self._connection, app_id)
                self._report["removed"].append(app_id)
        named = {category["name"] for category in self._given["categories"]}
        used = {row["category"] for row in rows.all_apps(self._connection)}
        for name, row in list(self._categories.items()):
            if row["managed"] and name not in named | used:
                rows.remove_category(self._connection, row["id"])
                self._category_report["removed"].append(row["id"])


@contextlib.contextmanager
def _at(place: str) -> Any:
    """Put the place of an entry before what is wrong with it."""
    try:
        yield
    except Problem as problem:
        field = f"{place}.{problem.field}" if problem.field else place
        raise Problem(problem.status, problem.code, f"{place}: {problem.message}", field) from problem


def is_empty(connection: Connection) -> bool:
    return not rows.all_apps(connection) and not rows.all_categories(connection)


__all__ = ["APP", "CATALOGUE", "catalogue_of", "exported", "is_empty", "load"]
