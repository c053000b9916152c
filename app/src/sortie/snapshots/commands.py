"""`sortie backup`, `sortie check` and `sortie volume`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .check import check_file
from .copy import stream_copy, write_copy
from .errors import SnapshotError
from .volume import Volume

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

DEFAULT_DATABASE = "/data/sortie.db"


def add_commands(subparsers: Subparsers) -> None:
    """Add the commands; each sets `func`, which takes the parsed arguments and returns the exit code."""
    backup = subparsers.add_parser("backup", help="copy the SQLite database while it is in use")
    backup.add_argument(
        "target", type=Path, help="file to write, or - for a framed stream on standard output"
    )
    _command(backup, _backup)

    check = subparsers.add_parser("check", help="say what a SQLite database holds and whether it is whole")
    check.add_argument("file", type=Path, nargs="?", help="a database file (default: the one of --db)")
    check.add_argument(
        "--full", action="store_true", help="integrity_check instead of quick_check; 20 s for 1 GB"
    )
    _command(check, _check)

    volume = subparsers.add_parser("volume", help="put a restored database in place; used by restore.yml")
    steps = volume.add_subparsers(dest="step", required=True)
    _command(steps.add_parser("state", help="how far a restore came"), _state)
    receive = steps.add_parser("receive", help="read a database from standard input and check it")
    receive.add_argument("--bytes", type=int, required=True, help="how many bytes come")
    receive.add_argument("--sha256", required=True, help="their sha256")
    receive.add_argument("--snapshot", required=True, help="the snapshot's name, for the record")
    _command(receive, _receive)
    _command(
        steps.add_parser("swap", help="put the received database in place; the application must be stopped"),
        _swap,
    )
    _command(steps.add_parser("commit", help="remove the database that was replaced"), _commit)
    _command(steps.add_parser("rollback", help="put the replaced database back"), _rollback)
    hold = steps.add_parser("hold", help="wait, so that a helper pod keeps its volume")
    hold.add_argument("--seconds", type=float, required=True, help="longest time to wait")
    hold.set_defaults(func=_hold)


def _command(
    parser: argparse.ArgumentParser, work: Callable[[argparse.Namespace], dict[str, Any] | None]
) -> None:
    parser.add_argument(
        "--db", "-db", type=Path, help=f"the database (default: SORTIE_DB, else {DEFAULT_DATABASE})"
    )
    parser.set_defaults(func=lambda arguments: _run(work, arguments))


def _run(work: Callable[[argparse.Namespace], dict[str, Any] | None], arguments: argparse.Namespace) -> int:
    """Run `work`, print its report as JSON; 0 for a good end, 1 for a report with problems or an error."""
    try:
        report = work(arguments)
    except SnapshotError as error:
        sys.stderr.write(f"sortie: {error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"sortie: {error.filename or 'input/output'}: {error.strerror or error}\n")
        return 1
    if report is not None:
        sys.stdout.write(json.dumps(report) + "\n")
    return 1 if report and report.get("problems") else 0


def _database(arguments: argparse.Namespace) -> Path:
    return Path(arguments.db or os.environ.get("SORTIE_DB") or DEFAULT_DATABASE).absolute()


def _backup(arguments: argparse.Namespace) -> dict[str, Any] | None:
    if str(arguments.target) == "-":
        stream_copy(_database(arguments), sys.stdout.buffer)
        return None
    sha256 = write_copy(_database(arguments), arguments.target)
    return {**check_file(arguments.target), "file": str(arguments.target), "sha256": sha256}


def _check(arguments: argparse.Namespace) -> dict[str, Any]:
    return check_file(arguments.file or _database(arguments), full=arguments.full)


def _state(arguments: argparse.Namespace) -> dict[str, Any]:
    return Volume(_database(arguments)).state()


def _receive(arguments: argparse.Namespace) -> dict[str, Any]:
    volume = Volume(_database(arguments))
    return volume.receive(sys.stdin.buffer, arguments.bytes, arguments.sha256, arguments.snapshot)


def _swap(arguments: argparse.Namespace) -> dict[str, Any]:
    volume = Volume(_database(arguments))
    volume.swap()
    return volume.state()


def _commit(arguments: argparse.Namespace) -> dict[str, Any]:
    volume = Volume(_database(arguments))
    volume.commit()
    return volume.state()


def _rollback(arguments: argparse.Namespace) -> dict[str, Any]:
    volume = Volume(_database(arguments))
    volume.rollback()
    return volume.state()


def _hold(arguments: argparse.Namespace) -> int:
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    done.wait(arguments.seconds)
    return 0
