"""The catalogue in memory: what each kind of viewer sees, as bytes that are made once for each change.

Reading rows and encoding them for each request would take 50 times longer.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..storage.database import Database
from . import rows
from .objects import app_answer, category_answer

_MOST_VIEWS = 64
# Below this gzip costs the client more than it saves.
_WORTH_COMPRESSING = 600


@dataclass(frozen=True)
class Viewer:
    """What somebody may see: `public` always, `approved` where named, everything for administrators."""

    everything: bool = False
    every_approved: bool = False
    categories: frozenset[str] = frozenset()

    def sees(self, visibility: str, category_id: str | None) -> bool:
        if self.everything or visibility == "public":
            return True
        return visibility == "approved" and (self.every_approved or category_id in self.categories)


ANONYMOUS = Viewer()
ADMINISTRATOR = Viewer(everything=True)


@dataclass
class Prepared:
    """A body with its tag; compressed when somebody first wants that."""

    body: bytes
    content_type: str
    etag: str = ""
    _gzipped: bytes | None = None

    def __post_init__(self) -> None:
        self.etag = f'"{hashlib.blake2b(self.body, digest_size=12).hexdigest()}"'

    @property
    def gzipped(self) -> bytes | None:
        """The compressed body, None if it is not worth it."""
        if len(self.body) < _WORTH_COMPRESSING:
            return None
        if self._gzipped is None:
            self._gzipped = gzip.compress(self.body, compresslevel=6, mtime=0)
        return self._gzipped


@dataclass
class View:
    """What one kind of viewer sees. `made` has the bodies made from it so far, by name."""

    apps: list[dict[str, Any]]
    categories: list[dict[str, Any]]
    by_id: dict[str, dict[str, Any]]
    made: dict[str, Prepared] = field(default_factory=dict)

    def prepared(self, name: str, make: Callable[[View], Prepared]) -> Prepared:
        """The body called `name`; `make` makes it the first time."""
        ready = self.made.get(name)
        if ready is None:
            ready = self.made[name] = make(self)
        return ready


class Catalogue:
    """The catalogue at one revision."""

    def __init__(self, apps: list[rows.Row], categories: list[rows.Row]) -> None:
        self.categories = categories
        self._entries = [
            (app_answer(row, row["category"]), row["visibility"], row["category_id"]) for row in apps
        ]
        self._views: OrderedDict[Viewer, View] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def approved_categories(self, username: str) -> frozenset[str]:
        """The ids of the categories whose approved applications `username` sees."""
        return frozenset(row["id"] for row in self.categories if username in row["approved_users"])

    def view(self, viewer: Viewer) -> View:
        view = self._views.get(viewer)
        if view is None:
            with self._lock:
                view = self._views[viewer] = self._make_view(viewer)
                while len(self._views) > _MOST_VIEWS:
                    self._views.popitem(last=False)
        return view

    def _make_view(self, viewer: Viewer) -> View:
        apps = [app for app, visibility, category in self._entries if viewer.sees(visibility, category)]
        used = {app["category"] for app in apps}
        categories = [
            category_answer(row, row["approved_users"] if viewer.everything else None)
            for row in self.categories
            if viewer.everything or row["name"] in used or row["id"] in viewer.categories
        ]
        return View(apps, categories, {app["id"]: app for app in apps})


def json_bytes(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def apps_body(view: View) -> Prepared:
    return Prepared(json_bytes(view.apps), "application/json")


def catalogue_body(view: View) -> Prepared:
    return Prepared(json_bytes({"applications": view.apps}), "application/json")


class Published:
    """The current catalogue. Who asks gets every change that was acknowledged before."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._current: tuple[int, Catalogue] | None = None

    @property
    def last(self) -> Catalogue | None:
        """The catalogue that was read last, however old."""
        return None if self._current is None else self._current[1]

    def current(self, revision: int) -> Catalogue:
        """The catalogue at `revision` or later."""
        current = self._current
        if current is not None and current[0] == revision:
            return current[1]
        with self._lock:
            if self._current is None or self._current[0] != revision:
                # Read after the revision: it may hold more than that revision, never less.
                with self._database.read() as connection:
                    catalogue = Catalogue(rows.all_apps(connection), rows.all_categories(connection))
                self._current = (revision, catalogue)
            return self._current[1]
