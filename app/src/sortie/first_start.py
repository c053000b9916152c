"""What the first start does: make an administrator, and fill an empty catalogue."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from .catalogue import transfer
from .people import audit, passwords, users
from .problems import Problem
from .settings import Settings, SettingsError
from .storage.database import Database
from .validation import check, parse_json

_log = logging.getLogger("sortie.first_start")


def first_start(database: Database, settings: Settings) -> None:
    """Do what is missing; safe on every start, and when several start together."""
    if settings.seed:
        seed_if_empty(database, Path(settings.seed))
    with database.read() as connection:
        if users.count(connection):
            return
    if not settings.admin_password:
        _log.warning(
            "there are no users, and SORTIE_ADMIN_PASSWORD is not set: "
            "`sortie user create NAME --role admin` makes an administrator"
        )
        return
    password_hash = passwords.hashed(settings.admin_password)

    def job(connection: Connection) -> bool:
        if users.count(connection):
            return False
        name = settings.admin_username
        # A fixed id: of two replicas that start together, one makes it.
        users.add(
            connection,
            {"username": name, "display_name": "Administrator", "roles": [users.ADMIN]},
            password_hash,
            id=f"admin-{name}",
        )
        audit.record(connection, "system", "CREATE_USER", f"Created the first administrator: {name}")
        return True

    try:
        made = database.write(job)
    except Problem:
        made = False
    if made:
        _log.info("made the first administrator, %s", settings.admin_username)


def read_catalogue(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The catalogue in a file; SettingsError says what is wrong with it."""
    try:
        return transfer.catalogue_of(check(parse_json(path.read_bytes()), transfer.CATALOGUE))
    except OSError as error:
        raise SettingsError([f"{path} cannot be read: {error.strerror}"]) from error
    except Problem as problem:
        raise SettingsError([f"{path}: {problem.message}"]) from problem


def seed_if_empty(database: Database, path: Path) -> None:
    """Fill the catalogue from a file if there is nothing in it. What it brings is not managed."""
    with database.read() as connection:
        if not transfer.is_empty(connection):
            return
    report = transfer.load(database, read_catalogue(path), managed=False, also=_record_seed)
    _log.info("filled the catalogue with %d applications from %s", len(report["created"]), path)


def _record_seed(connection: Connection, report: dict[str, Any]) -> None:
    audit.record(connection, "system", "SEED_CATALOG", f"Seeded {len(report['created'])} applications")
