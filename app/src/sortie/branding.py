"""The tenant's name, logo and colours.

Where a value comes from, the first that has it: the mounted branding.json, what an administrator set, the
environment, the default. The file is looked at on every request and read again when it changed, so that a
changed ConfigMap needs no restart; a file that became wrong leaves the last good values in use.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from .problems import Problem, conflict
from .settings import Settings, SettingsError
from .storage.database import Database, touch
from .storage.schema import now, settings
from .validation import check

BRANDING: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "logo_url": {"type": "string", "format": "image-address", "maxLength": 100_000},
        "primary_color": {"type": "string", "pattern": "^#[0-9A-Fa-f]{6}$"},
        "secondary_color": {"type": "string", "pattern": "^#[0-9A-Fa-f]{6}$"},
        "tenant_name": {"type": "string", "minLength": 1, "maxLength": 100},
    },
}
NAMES = tuple(BRANDING["properties"])
DEFAULTS = {
    "logo_url": "",
    "primary_color": "#1F2A3C",
    "secondary_color": "#2B3445",
    "tenant_name": "Sortie",
}
_KEY = "branding"
_log = logging.getLogger("sortie.branding")


def read_file(path: Path) -> dict[str, str]:
    """The values of a branding.json; SettingsError with what is wrong with it."""
    try:
        values = json.loads(path.read_bytes())
        return {name: value for name, value in check(values, BRANDING).items() if value}
    except OSError as error:
        raise SettingsError([f"SORTIE_CONFIG: {path} cannot be read: {error.strerror}"]) from error
    except Problem as problem:
        raise SettingsError([f"SORTIE_CONFIG: {path}: {problem.message}"]) from problem
    except ValueError as error:
        raise SettingsError([f"SORTIE_CONFIG: {path} is not JSON: {error}"]) from error


class Branding:
    """The current branding."""

    def __init__(self, given: Settings) -> None:
        self._path = Path(given.config) if given.config else None
        self._environment = {name: value for name in NAMES if (value := getattr(given, name)) is not None}
        self._lock = threading.Lock()
        self._seen = self._look()
        self._file = read_file(self._path) if self._path else {}
        self._stored: tuple[int, dict[str, str]] = (-1, {})
        self._current: tuple[Any, dict[str, str]] = (None, {})

    def current(self, database: Database, revision: int) -> dict[str, str]:
        """All four values. `revision` is the one of the stored settings."""
        file = self._from_file()
        key = (id(file), revision)
        if self._current[0] != key:
            values = {**DEFAULTS, **self._environment, **self._from_database(database, revision), **file}
            self._current = (key, values)
        return self._current[1]

    @property
    def last(self) -> dict[str, str]:
        """What was current last, for when the database cannot be asked."""
        return self._current[1] or {**DEFAULTS, **self._environment, **self._from_file()}

    def require_free(self, given: Mapping[str, str]) -> None:
        """Refuse values that would have no effect because the file has others."""
        fixed = self._from_file()
        for name, value in given.items():
            if name in fixed and fixed[name] != value:
                raise conflict(f"{name} is set by {self._path}, which wins; change it there", name)

    def _look(self) -> tuple[int, ...]:
        """What changes when the file does. A missing file looks like nothing."""
        if self._path is None:
            return ()
        try:
            found = os.stat(self._path)  # noqa: PTH116 - on every request, and half as long as Path.stat
        except OSError:
            return ()
        return (found.st_ino, found.st_mtime_ns, found.st_size)

    def _from_file(self) -> dict[str, str]:
        seen = self._look()
        if self._path is not None and seen != self._seen:
            with self._lock:
                if seen != self._seen:
                    self._seen = seen
                    self._reload(self._path)
        return self._file

    def _reload(self, path: Path) -> None:
        try:
            self._file = read_file(path)
        except SettingsError as error:
            _log.error("%s; the values of before stay in use", error)
        else:
            _log.info("%s was read again", path)

    def _from_database(self, database: Database, revision: int) -> dict[str, str]:
        if self._stored[0] != revision:
            with database.read() as connection:
                self._stored = (revision, stored(connection))
        return self._stored[1]


def stored(connection: Connection) -> dict[str, str]:
    """What an administrator set."""
    text = connection.execute(select(settings.c.value).where(settings.c.key == _KEY)).scalar()
    values: dict[str, str] = json.loads(text) if text else {}
    return values


def store(connection: Connection, given: Mapping[str, str]) -> None:
    """Set what `given` has; an empty logo is none."""
    values = {**stored(connection), **given}
    connection.execute(delete(settings).where(settings.c.key == _KEY))
    connection.execute(insert(settings), {"key": _KEY, "value": json.dumps(values), "updated_at": now()})
    touch(connection, "settings")
