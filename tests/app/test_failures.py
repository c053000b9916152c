"""The database fails while it is in use: told in /readyz and the log, nothing lost, and taken up again."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pysqlite3 import dbapi2 as sqlite3

from .conftest import Databases
from .server import App, Starter, eventually


def entry(number: int) -> dict[str, Any]:
    return {"id": f"app-{number}", "name": "x", "url": "https://example.org", "description": "x" * 3000}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "disk"
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", directory], check=True)
    yield directory
    subprocess.run(["umount", "--lazy", directory], check=True)


def test_a_full_disk_is_told_and_what_was_acknowledged_stays(start_sqlite: Starter, small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 400_000)
    app = start_sqlite({"SORTIE_DB": str(small_disk / "sortie.db")})
    token = app.login()
    kept: list[str] = []
    for number in range(1000):
        reply = app.call("POST", "/api/apps", entry(number), token)
        if reply.status != 201:
            break
        kept.append(reply.json["id"])
    assert (reply.status, reply.error["code"]) == (503, "unavailable")
    assert "full" in reply.error["message"]
    ready = app.get("/readyz")
    assert ready.status == 503
    assert "full" in ready.json["reason"]
    assert {found["id"] for found in app.get("/api/apps").json} == set(kept)
    ballast.unlink()
    eventually(lambda: app.get("/readyz").status == 200)
    assert app.call("POST", "/api/apps", entry(5000), token).status == 201
    assert app.stop() == 0
    connection = sqlite3.connect(small_disk / "sortie.db")
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert connection.execute("SELECT count(*) FROM applications").fetchone() == (len(kept) + 1,)
    connection.close()


def test_a_damaged_file_is_told(start_sqlite: Starter) -> None:
    app = start_sqlite()
    token = app.login()
    app.call("POST", "/api/catalog", {"applications": [entry(number) for number in range(200)]}, token)
    app.stop()
    path = Path(app.environment["SORTIE_DB"])
    size = path.stat().st_size
    with path.open("r+b") as file:
        for page in range(30, size // 4096, 3):
            file.seek(page * 4096)
            file.write(b"\xaa" * 4096)
    again = start_sqlite({"SORTIE_DB": str(path)}, wait=False)
    assert again.get("/api/apps").status == 503
    ready = again.get("/readyz")
    assert ready.status == 503
    assert "malformed" in ready.json["reason"] or "damaged" in ready.json["reason"]
    assert again.get("/healthz").status == 200


def test_a_database_that_may_only_be_read_is_told(start_sqlite: Starter, small_disk: Path) -> None:
    environment = {"SORTIE_DB": str(small_disk / "sortie.db")}
    start_sqlite(environment).stop()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    app = start_sqlite(environment, wait=False)
    assert app.get("/readyz").status == 503
    assert app.get("/readyz").json["reason"]
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    eventually(lambda: app.get("/readyz").status == 200)


@pytest.fixture
def on_postgres(databases: Databases, tmp_path: Path) -> Iterator[tuple[App, str]]:
    starter = Starter("postgres", tmp_path, databases)
    app = starter()
    yield app, app.environment["SORTIE_DB_DSN"].rpartition("dbname=")[2]
    starter.stop()


def test_connections_that_postgres_closed_are_replaced(
    on_postgres: tuple[App, str], databases: Databases
) -> None:
    app, name = on_postgres
    token = app.login()
    for _ in range(3):
        with psycopg.connect(f"{databases.dsn} dbname=postgres", autocommit=True) as connection:
            query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
            connection.execute(query, (name,))
        assert app.get("/api/apps", token).status == 200
        assert app.call("POST", "/api/auth/logout").status == 204
    assert app.call("POST", "/api/apps", entry(1), token).status == 201


def test_while_postgres_is_away_visitors_see_what_there_was(
    on_postgres: tuple[App, str], databases: Databases
) -> None:
    app, name = on_postgres
    token = app.login()
    app.call("POST", "/api/apps", entry(1), token)
    assert len(app.get("/api/apps").json) == 1
    with psycopg.connect(f"{databases.dsn} dbname=postgres", autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'.encode())
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
        )
        assert len(app.get("/api/apps").json) == 1
        assert app.get("/").status == 200
        assert app.get("/api/apps", token).status == 503
        assert app.call("POST", "/api/analytics/launch", {"app_id": "app-1"}).status == 503
        assert app.get("/readyz").status == 503
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'.encode())
    eventually(lambda: app.get("/readyz").status == 200)
    assert app.get("/api/apps", token).status == 200
