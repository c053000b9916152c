"""`sortie seed`, `sortie import-db` and `sortie user`: work on the database itself, also while the application runs."""

from __future__ import annotations

import argparse
import contextlib
import getpass
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .settings import SettingsError, read

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from .storage.database import Database

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_commands(subparsers: Subparsers) -> None:
    """Add the commands; each sets `func`, which takes the parsed arguments and returns the exit code."""
    seed = subparsers.add_parser("seed", help="import a catalogue file; what is there already is updated")
    seed.add_argument("file", type=Path, help='{"applications": [...]} or a list of applications')
    seed.add_argument("--dry-run", action="store_true", help="only say what would change")
    _command(seed, _seed)

    import_db = subparsers.add_parser(
        "import-db", help="bring over a database of the Go implementation; what is there already stays"
    )
    import_db.add_argument("file", type=Path, help="its SQLite file, which is only read")
    _command(import_db, _import_db)

    user = subparsers.add_parser("user", help="create users and reset their passwords")
    steps = user.add_subparsers(dest="step", required=True)
    create = steps.add_parser("create", help="create a user")
    create.add_argument("username")
    create.add_argument("--role", choices=("admin", "app-author", "user"), default="user")
    create.add_argument("--email", default="")
    _password_options(create)
    _command(create, _create)
    reset = steps.add_parser("reset-password", help="set a new password; the user's sessions end")
    reset.add_argument("username")
    _password_options(reset)
    _command(reset, _reset)
    _command(steps.add_parser("list", help="list the users"), _list)


def _password_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--password-stdin",
        action="store_true",
        help="read the password from standard input, not from the terminal",
    )
    parser.add_argument("--random-password", action="store_true", help="make a password, and print it")


def _command(parser: argparse.ArgumentParser, work: Callable[[argparse.Namespace], None]) -> None:
    parser.add_argument("--db", "-db", help="the SQLite database (default: SORTIE_DB)")
    parser.set_defaults(func=lambda parsed: _run(work, parsed))


def _run(work: Callable[[argparse.Namespace], None], parsed: argparse.Namespace) -> int:
    from .problems import Problem  # noqa: PLC0415 - `sortie --help` shall not load the database's libraries
    from .storage.errors import StorageError  # noqa: PLC0415

    try:
        work(parsed)
    except StorageError as error:
        sys.stderr.write(f"sortie: {error}\n")
        return 1
    except Problem as problem:
        raise SettingsError([problem.message]) from problem
    return 0


@contextlib.contextmanager
def _database(parsed: argparse.Namespace) -> Iterator[Database]:
    from .storage.database import open_database  # noqa: PLC0415

    database = open_database(read(os.environ, {"SORTIE_DB": parsed.db} if parsed.db else {}))
    try:
        yield database
    finally:
        database.close()


def _seed(parsed: argparse.Namespace) -> None:
    from .catalogue import transfer  # noqa: PLC0415
    from .first_start import read_catalogue  # noqa: PLC0415

    catalogue = read_catalogue(parsed.file)
    with _database(parsed) as database:
        report = transfer.load(database, catalogue, dry_run=parsed.dry_run, managed=False)
    verbs = ", ".join(f"{len(report[verb])} {verb}" for verb in ("created", "updated"))
    sys.stdout.write(f"{'would be ' if parsed.dry_run else ''}{verbs}, {report['unchanged']} unchanged\n")


def _import_db(parsed: argparse.Namespace) -> None:
    from .import_db import bring  # noqa: PLC0415

    with _database(parsed) as database:
        report = bring(database, parsed.file)
    for what, count in report.brought.items():
        sys.stdout.write(f"{count} {what} imported\n")
    for what, count in report.present.items():
        sys.stdout.write(f"{count} {what} were there already\n")
    for words in report.refused:
        sys.stderr.write(f"sortie: not imported: {words}\n")


def _password(parsed: argparse.Namespace) -> str:
    from .people import passwords  # noqa: PLC0415

    if parsed.random_password:
        password = secrets.token_urlsafe(15)
        sys.stdout.write(f"{password}\n")
    elif parsed.password_stdin:
        password = sys.stdin.readline().rstrip("\n")
    else:
        password = getpass.getpass(f"Password of {parsed.username}: ")
    if not passwords.LEAST_CHARACTERS <= len(password) <= passwords.MOST_CHARACTERS:
        raise SettingsError([f"a password has {passwords.LEAST_CHARACTERS} characters at least"])
    return password


def _create(parsed: argparse.Namespace) -> None:
    from .people import audit, passwords, users  # noqa: PLC0415
    from .validation import check  # noqa: PLC0415

    given = {"username": parsed.username, "email": parsed.email, "roles": [parsed.role]}
    check(given, users.USER_OBJECT)
    password_hash = passwords.hashed(_password(parsed))

    def job(connection: Connection) -> None:
        users.add(connection, given, password_hash)
        audit.record(connection, "system", "CREATE_USER", f"Created user: {parsed.username}")

    with _database(parsed) as database:
        database.write(job)
    sys.stderr.write(f"created {parsed.username}\n")


def _reset(parsed: argparse.Namespace) -> None:
    from .people import audit, passwords, users  # noqa: PLC0415
    from .problems import not_found  # noqa: PLC0415

    def job(connection: Connection) -> None:
        user = users.find_by_name(connection, parsed.username)
        if user is None:
            raise not_found("user", parsed.username)
        users.set_password(connection, user["id"], password_hash)
        audit.record(connection, "system", "RESET_PASSWORD", f"Reset the password of {parsed.username}")

    password_hash = passwords.hashed(_password(parsed))
    with _database(parsed) as database:
        database.write(job)
    sys.stderr.write(f"set the password of {parsed.username}\n")


def _list(parsed: argparse.Namespace) -> None:
    from .people import users  # noqa: PLC0415

    with _database(parsed) as database, database.read() as connection:
        for user in users.all_users(connection):
            sys.stdout.write(f"{user['username']}\t{','.join(user['roles'])}\t{user['auth_provider']}\n")
