"""Servers over SQLite, and over a PostgreSQL that is started for the tests."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from .server import App, Starter, eventually, free_port

POSTGRES = Path("/usr/lib/postgresql/15/bin")


def _as_postgres() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The connection string of a PostgreSQL of these tests."""
    directory = Path(tempfile.mkdtemp(prefix="sortie-postgres-"))
    if os.getuid() == 0:
        shutil.chown(directory, "postgres", "postgres")
    data, port = directory / "data", free_port()
    options = ["-A", "trust", "-U", "sortie", "-E", "UTF8", "--locale", "C.UTF-8", "--no-sync"]
    subprocess.run(
        [POSTGRES / "initdb", "-D", data, *options],
        check=True,
        capture_output=True,
        cwd=directory,
        **_as_postgres(),
    )
    server = subprocess.Popen(
        [
            *(POSTGRES / "postgres", "-D", data, "-p", str(port), "-k", directory),
            *("-c", "listen_addresses=127.0.0.1", "-c", "max_connections=400"),
        ],
        cwd=directory,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **_as_postgres(),
    )
    dsn = f"host=127.0.0.1 port={port} user=sortie"

    def is_up() -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(f"{dsn} dbname=postgres").close()
            return True
        return False

    try:
        eventually(is_up)
        yield dsn
    finally:
        server.send_signal(signal.SIGQUIT)
        server.wait(30)
        shutil.rmtree(directory)


class Databases:
    """Makes databases in a PostgreSQL."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.count = 0

    def __call__(self) -> dict[str, str]:
        self.count += 1
        name = f"sortie_{os.getpid()}_{self.count}"
        with psycopg.connect(f"{self.dsn} dbname=postgres", autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return {"SORTIE_DB_TYPE": "postgres", "SORTIE_DB_DSN": f"{self.dsn} dbname={name}"}


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest) -> Databases:
    return Databases(request.getfixturevalue("postgres_server"))


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def start(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Starter]:
    """Starts servers; both kinds of database, one after the other."""
    postgres = request.getfixturevalue("databases") if kind == "postgres" else None
    starter = Starter(kind, tmp_path, postgres)
    yield starter
    starter.stop()


@pytest.fixture
def start_sqlite(tmp_path: Path) -> Iterator[Starter]:
    starter = Starter("sqlite", tmp_path, None)
    yield starter
    starter.stop()


@pytest.fixture(scope="module")
def shared(
    kind: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[App]:
    """One server for all tests of a module that leave nothing behind that others could stumble over."""
    postgres = request.getfixturevalue("databases") if kind == "postgres" else None
    starter = Starter(kind, tmp_path_factory.mktemp(f"shared-{kind}"), postgres)
    yield starter()
    starter.stop()


@pytest.fixture(scope="module")
def admin(shared: App) -> str:
    """A token of the shared server's administrator."""
    return shared.login()
