"""`sortie database check` and `sortie database copy`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..settings import Settings, read

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_commands(subparsers: Subparsers) -> None:
    """Add the commands; each sets `func`, which takes the parsed arguments and returns the exit code."""
    database = subparsers.add_parser("database", help="look at a PostgreSQL, or move all data to or from one")
    steps = database.add_subparsers(dest="step", required=True)
    check = steps.add_parser(
        "check", help="say whether the PostgreSQL of SORTIE_DB_DSN will do; changes nothing"
    )
    _command(check, _check)
    copy = steps.add_parser(
        "copy", help="copy all rows to the other kind of database; the application must be stopped"
    )
    copy.add_argument("--to", choices=("postgres", "sqlite"), required=True, help="where they go")
    copy.add_argument("--db", "-db", help="the SQLite database (default: SORTIE_DB)")
    copy.add_argument(
        "--replace", action="store_true", help="remove the rows that are in the PostgreSQL already"
    )
    _command(copy, _copy)


def _command(parser: argparse.ArgumentParser, work: Callable[[argparse.Namespace], dict[str, Any]]) -> None:
    parser.set_defaults(func=lambda parsed: _run(work, parsed))


def _run(work: Callable[[argparse.Namespace], dict[str, Any]], parsed: argparse.Namespace) -> int:
    """Run `work` and print its report as JSON; 0 for a good end, 1 for a report with problems or an error."""
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415 - `sortie --help` shall not load the database's libraries

    from ..storage.errors import StorageError  # noqa: PLC0415
    from . import copy  # noqa: PLC0415

    try:
        report = work(parsed)
    except (StorageError, DBAPIError, OSError, *copy.DRIVERS_ERRORS) as error:
        said = " ".join(str(getattr(error, "orig", None) or error).split())
        sys.stderr.write(f"sortie: {said}\n")
        return 1
    sys.stdout.write(json.dumps(report) + "\n")
    return 1 if report.get("problems") else 0


def _settings(database: str | None = None) -> Settings:
    given = {"SORTIE_DB_TYPE": "postgres"} | ({"SORTIE_DB": database} if database else {})
    return read(os.environ, given)


def _check(_parsed: argparse.Namespace) -> dict[str, Any]:
    from .check import check  # noqa: PLC0415

    return check(_settings())


def _copy(parsed: argparse.Namespace) -> dict[str, Any]:
    from . import copy  # noqa: PLC0415

    settings = _settings(parsed.db)
    path = Path(settings.db).absolute()
    if parsed.to == "sqlite":
        return copy.to_sqlite(settings, path)
    return copy.to_postgres(settings, path, replace=parsed.replace)
