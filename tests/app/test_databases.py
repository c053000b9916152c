"""`sortie database`: a PostgreSQL that will not do is told in words, and a copy is all rows or nothing."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sortie.databases import check as checks

from .conftest import Databases
from .server import App, Starter, run_command

OTHER = {
    "id": "work.1~x",
    "name": "Zürich 'quoted' \\ tab\there",
    "url": "https://example.org/?a=b&c=%20",
    "description": "line\nline",
    "category": "Ünïcode",
    "resource_limits": {"cpu_limit": "1", "memory_limit": "1Gi"},
    "container_args": ["--x", "y z"],
    "visibility": "approved",
}


def dsn(databases: Databases) -> str:
    return databases()["SORTIE_DB_DSN"]


def checked(dsn: str) -> dict[str, Any]:
    answer = run_command("database", "check", SORTIE_DB_DSN=dsn)
    report: dict[str, Any] = json.loads(answer.stdout)
    assert answer.returncode == (1 if report["problems"] else 0), answer.stderr
    return report


def the_problem(dsn: str) -> str:
    (problem,) = checked(dsn)["problems"]
    return str(problem)


def on(dsn: str, *statements: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def test_an_empty_database_will_do(databases: Databases) -> None:
    report = checked(dsn(databases))
    assert report["problems"] == []
    assert report["schema"] is None
    assert report["server"].startswith("15.")


def test_of_several_hosts_the_one_that_takes_writes_is_found(databases: Databases) -> None:
    fields = dict(field.split("=") for field in dsn(databases).split())
    hosts = f"127.0.0.1:1,{fields['host']}:{fields['port']}"
    report = checked(f"postgresql://sortie@{hosts}/{fields['dbname']}?target_session_attrs=read-write")
    assert report["problems"] == []


def test_the_applications_own_database_will_do(databases: Databases, tmp_path: Path) -> None:
    app = Starter("postgres", tmp_path, databases)()
    report = checked(app.environment["SORTIE_DB_DSN"])
    assert (report["problems"], report["in_use"]) == ([], True)
    app.stop()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("postgresql://sortie:pass-word@127.0.0.1:1/sortie", "nothing listens"),
        ("postgresql://sortie:pass-word@no-such-host.invalid/sortie", "no host of that name"),
        ("postgresql://sortie:pass-word@[::1/x", "cannot be read"),
        ("this is none", "cannot be read"),
    ],
)
def test_a_wrong_address_is_told_without_the_password(wrong: str, told: str) -> None:
    problem = the_problem(wrong)
    assert told in problem
    assert "pass-word" not in problem


def test_a_name_that_is_not_there_is_told(databases: Databases) -> None:
    assert "no database of that name" in the_problem(f"{databases.dsn} dbname=nowhere")
    assert "no user of that name" in the_problem(f"{databases.dsn} user=nobody dbname=postgres")


def test_tls_that_the_server_does_not_speak_is_told(databases: Databases) -> None:
    assert "speaks no TLS" in the_problem(f"{dsn(databases)} sslmode=require")


def test_a_server_that_is_too_old_is_told(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "LEAST_SERVER", 99)
    settings = checks.Settings(db_type="postgres", db_dsn=dsn(databases))
    assert "99 is the oldest that will do" in checks.check(settings)["problems"][0]


def test_a_database_of_somebody_else_is_told(databases: Databases) -> None:
    there = dsn(databases)
    on(there, "CREATE TABLE blog (id int)")
    assert "not empty and not the application's own: it has table blog" in the_problem(there)


def test_missing_rights_are_told(databases: Databases) -> None:
    there = dsn(databases)
    on(there, "CREATE ROLE poor LOGIN", "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    try:
        assert "poor may not make tables" in the_problem(there.replace("user=sortie", "user=poor"))
    finally:
        on(there, "DROP ROLE poor")


def test_a_database_that_takes_no_writes_is_told(databases: Databases) -> None:
    there = dsn(databases)
    on(there, f'ALTER DATABASE "{there.rpartition("=")[2]}" SET default_transaction_read_only = on')
    assert "takes no writes" in the_problem(there)


# More than nine, so that the order of their numbers is not that of the numbers' texts.
LAUNCHES = 12


def filled(start_sqlite: Starter) -> App:
    """A stopped SQLite server with something in every table, and a gap in its numbers."""
    app = start_sqlite()
    token = app.login()
    app.add_user(token, "zoe")
    assert (
        app.call("POST", "/api/categories", {"name": "Ünïcode", "approved_users": ["zoe"]}, token).status
        == 201
    )
    assert app.call("POST", "/api/apps", OTHER, token).status == 201
    assert (
        app.call("POST", "/api/apps", {"id": "a", "name": "A", "url": "https://a.example"}, token).status
        == 201
    )
    for _ in range(LAUNCHES):
        assert app.call("POST", "/api/analytics/launch", {"app_id": "a"}).status == 201
    assert app.call("PUT", "/api/admin/branding", {"tenant_name": "Zürich"}, token).status == 200
    app.stop()
    path = app.environment["SORTIE_DB"]
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM analytics WHERE id = (SELECT max(id) FROM analytics)")
    return app


def copied(to: str, path: str, there: str, *more: str) -> dict[str, Any]:
    answer = run_command("database", "copy", "--to", to, "--db", path, *more, SORTIE_DB_DSN=there)
    assert answer.returncode == 0, answer.stderr
    report: dict[str, Any] = json.loads(answer.stdout)
    return report


def served(app: App) -> list[Any]:
    token = app.login()
    entries = app.get("/api/audit?limit=1000", token).json["logs"]
    return [
        app.get("/api/catalog", token).json,
        app.get("/api/config").json,
        [entry for entry in entries if entry["action"] != "LOGIN"],
        app.get("/api/analytics/stats", token).json,
    ]


def test_a_copy_there_and_back_is_the_same_application(
    start_sqlite: Starter, databases: Databases, tmp_path: Path
) -> None:
    app = filled(start_sqlite)
    path, there = app.environment["SORTIE_DB"], dsn(databases)
    report = copied("postgres", path, there)
    assert report["tables"]["analytics"]["rows"] == LAUNCHES - 1
    assert all(entry["rows"] for name, entry in report["tables"].items()), report
    back = str(tmp_path / "back.db")
    assert copied("sqlite", back, there)["tables"] == report["tables"]

    original = served(start_sqlite({"SORTIE_DB": path}))
    on_postgres = Starter("postgres", tmp_path, databases)(
        {"SORTIE_DB_TYPE": "postgres", "SORTIE_DB_DSN": there}
    )
    assert served(on_postgres) == original
    on_postgres.stop()
    assert served(start_sqlite({"SORTIE_DB": back})) == original


def test_numbers_of_rows_that_are_gone_are_not_given_out_again(
    start_sqlite: Starter, databases: Databases, tmp_path: Path
) -> None:
    app, there = filled(start_sqlite), dsn(databases)
    copied("postgres", app.environment["SORTIE_DB"], there)
    with psycopg.connect(there) as connection:
        row = connection.execute(
            "INSERT INTO analytics (app_id, timestamp) VALUES ('a', now()) RETURNING id"
        ).fetchone()
        assert row == (LAUNCHES + 1,)
    back = tmp_path / "back.db"
    copied("sqlite", str(back), there)
    with sqlite3.connect(back) as connection:
        connection.execute("DELETE FROM analytics WHERE id = ?", (LAUNCHES + 1,))
        found = connection.execute(
            "INSERT INTO analytics (app_id, timestamp) VALUES ('a', 'x') RETURNING id"
        ).fetchone()
    assert found == (LAUNCHES + 2,)


def test_rows_that_are_there_are_refused_unless_told(start_sqlite: Starter, databases: Databases) -> None:
    app, there = filled(start_sqlite), dsn(databases)
    first = copied("postgres", app.environment["SORTIE_DB"], there)
    arguments = ("database", "copy", "--to", "postgres", "--db", app.environment["SORTIE_DB"])
    again = run_command(*arguments, SORTIE_DB_DSN=there)
    assert again.returncode == 1
    assert "not empty" in again.stderr
    assert copied("postgres", app.environment["SORTIE_DB"], there, "--replace")["tables"] == first["tables"]


def test_a_copy_that_fails_leaves_an_empty_target_empty(start_sqlite: Starter, databases: Databases) -> None:
    """PostgreSQL has no text with a NUL in it; SQLite has."""
    app, there = filled(start_sqlite), dsn(databases)
    path = app.environment["SORTIE_DB"]
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE audit_log SET details = 'a' || char(0) || 'b' WHERE id = 1")
    answer = run_command("database", "copy", "--to", "postgres", "--db", path, SORTIE_DB_DSN=there)
    assert answer.returncode == 1
    assert answer.stderr.startswith("sortie: ")
    assert "Traceback" not in answer.stderr
    assert checked(there)["tables"] == 0


def test_what_a_copy_replaces_stays_beside_it(start_sqlite: Starter, databases: Databases) -> None:
    app, there = filled(start_sqlite), dsn(databases)
    path = Path(app.environment["SORTIE_DB"])
    copied("postgres", str(path), there)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE applications SET name = 'older' WHERE id = 'a'")
    connection.close()
    assert copied("sqlite", str(path), there)["kept"] == "sortie.db.before-migration"
    for name, expected in (("sortie.db", "A"), ("sortie.db.before-migration", "older")):
        with sqlite3.connect(path.with_name(name)) as connection:
            assert connection.execute("SELECT name FROM applications WHERE id = 'a'").fetchone() == (
                expected,
            )
    assert not path.with_name("sortie.db-wal").exists() or path.with_name("sortie.db-wal").stat().st_size == 0
