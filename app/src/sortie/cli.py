"""The command `sortie`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from .settings import Settings, SettingsError, read, unknown

_OPTIONS = {
    "db": "SORTIE_DB",
    "port": "SORTIE_PORT",
    "host": "SORTIE_HOST",
    "seed": "SORTIE_SEED",
    "config": "SORTIE_CONFIG",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit code: 0 good, 1 it could not be done, 2 something given is wrong."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or (given[0].startswith("-") and given[0] not in ("-h", "--help", "--version")):
        given.insert(0, "serve")
    parsed = _parser().parse_args(given)
    try:
        code: int = parsed.func(parsed)
    except SettingsError as error:
        for problem in error.problems:
            print(f"sortie: {problem}", file=sys.stderr)
        return 2
    return code


def _parser() -> argparse.ArgumentParser:
    from . import administration, databases, snapshots  # noqa: PLC0415
    from .version import VERSION  # noqa: PLC0415

    parser = argparse.ArgumentParser(
        prog="sortie",
        description="A self-hosted launcher portal. Without a command it serves. "
        "Settings are environment variables; `sortie settings` lists them.",
    )
    parser.add_argument("--version", action="version", version=f"sortie {VERSION}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    snapshots.add_commands(subparsers)
    administration.add_commands(subparsers)
    databases.add_commands(subparsers)

    serve = subparsers.add_parser("serve", help="serve the portal (the default)")
    for name, variable in _OPTIONS.items():
        serve.add_argument(f"--{name}", f"-{name}", metavar="VALUE", help=f"instead of {variable}")
    serve.set_defaults(func=_serve)

    subparsers.add_parser("settings", help="list the settings").set_defaults(func=_settings)
    subparsers.add_parser("version", help="print the version").set_defaults(func=_version)
    return parser


def _read(parsed: argparse.Namespace) -> Settings:
    given = {variable: value for name, variable in _OPTIONS.items() if (value := getattr(parsed, name, None))}
    return read(os.environ, given)


def _serve(parsed: argparse.Namespace) -> int:
    from . import logs, server  # noqa: PLC0415
    from .storage.errors import StorageError  # noqa: PLC0415

    settings = _read(parsed)
    logs.start(settings.log_level)
    logs.remarks(unknown(os.environ))
    try:
        return server.serve(settings)
    except StorageError as error:
        print(f"sortie: {error}", file=sys.stderr)
        return 1


def _settings(_parsed: argparse.Namespace) -> int:
    from .settings import documentation  # noqa: PLC0415

    print(documentation(), end="")
    return 0


def _version(_parsed: argparse.Namespace) -> int:
    from .version import VERSION  # noqa: PLC0415

    print(f"sortie {VERSION}")
    return 0
