"""A database of the Go implementation can be brought over, with its users' passwords."""

from __future__ import annotations

from pathlib import Path

import bcrypt
import pytest
from pysqlite3 import dbapi2 as sqlite3

from .server import Starter, run_command

TABLES = """
CREATE TABLE applications (id TEXT PRIMARY KEY, name TEXT, description TEXT, url TEXT, icon TEXT, category TEXT,
  visibility TEXT, launch_type TEXT, os_type TEXT, container_image TEXT, container_port INTEGER, container_args TEXT,
  cpu_request TEXT, cpu_limit TEXT, memory_request TEXT, memory_limit TEXT, egress_policy TEXT, tenant_id TEXT);
CREATE TABLE audit_log (id INTEGER PRIMARY KEY, timestamp DATETIME, user TEXT, action TEXT, details TEXT);
CREATE TABLE analytics (id INTEGER PRIMARY KEY, app_id TEXT, timestamp DATETIME);
CREATE TABLE users (id TEXT PRIMARY KEY, username TEXT, email TEXT, display_name TEXT, password_hash TEXT,
  roles TEXT, auth_provider TEXT, auth_provider_id TEXT, tenant_id TEXT, created_at DATETIME);
CREATE TABLE categories (id TEXT PRIMARY KEY, name TEXT, description TEXT, tenant_id TEXT);
CREATE TABLE category_admins (category_id TEXT, user_id TEXT);
CREATE TABLE category_approved_users (category_id TEXT, user_id TEXT);
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "go.db"
    connection = sqlite3.connect(path)
    connection.executescript(TABLES)
    password = bcrypt.hashpw(b"password of old", bcrypt.gensalt(4)).decode()
    connection.executemany(
        "INSERT INTO users VALUES (?, ?, ?, ?, ?, ?, 'local', '', 'default', '2024-05-01 10:00:00')",
        [
            ("u1", "ann", "ann@example.org", "Ann", password, '["admin","user"]'),
            ("u2", "ben", None, None, password, "[]"),
            ("u3", "admin", "", "", password, '["admin"]'),
        ],
    )
    connection.execute("INSERT INTO categories VALUES ('c1', 'Inner', 'd', 'default')")
    connection.execute("INSERT INTO category_approved_users VALUES ('c1', 'u2')")
    app = "INSERT INTO applications VALUES (?, ?, 'd', ?, '', ?, ?, ?, 'linux', ?, ?, ?, '', '2', '', '', ?, 'default')"
    connection.execute(app, ("wiki", "Wiki", "https://w.org", "Inner", "approved", "url", "", 0, "[]", ""))
    connection.execute(
        app, ("box", "Box", "", "New", "public", "container", "a/b:1", 80, '["-x"]', '{"mode": "deny"}')
    )
    connection.execute(app, ("bad", "Bad", "javascript:1", "", "public", "url", "", 0, "[]", ""))
    connection.execute("INSERT INTO audit_log VALUES (1, '2024-05-01 10:00:00', 'ann', 'LOGIN', 'x')")
    connection.execute(
        "INSERT INTO audit_log VALUES (2, '2024-05-01T11:00:00.123456789Z', 'ann', 'LOGOUT', 'y')"
    )
    connection.executemany(
        "INSERT INTO analytics VALUES (?, 'wiki', ?)",
        [(1, "2024-05-01 10:00:00"), (2, "2024-05-01 10:00:00"), (3, "2024-05-02 08:00:00 +0000 UTC")],
    )
    connection.commit()
    connection.close()
    return path


def test_everything_comes_over_and_a_second_import_adds_nothing(start: Starter, old: Path) -> None:
    database = start.database()
    app = start(database)
    first = run_command("import-db", str(old), **database)
    assert first.returncode == 0, first.stderr
    assert set(first.stdout.splitlines()) == {
        "2 users imported",
        "1 users were there already",
        "1 categories imported",
        "2 applications imported",
        "2 audit entries imported",
        "3 launches imported",
    }
    assert "'bad': url is" in first.stderr
    again = run_command("import-db", str(old), **database)
    assert " imported\n" not in again.stdout
    token = app.login("ann", "password of old")
    apps = {entry["id"]: entry for entry in app.get("/api/apps", token).json}
    assert apps["wiki"]["category"] == "Inner"
    assert apps["box"]["container_args"] == ["-x"]
    assert apps["box"]["egress_policy"] == {"mode": "deny"}
    assert apps["box"]["resource_limits"] == {"cpu_limit": "2"}
    assert "bad" not in apps
    stats = app.get("/api/analytics/stats", token).json
    assert stats["app_stats"] == [{"app_id": "wiki", "app_name": "Wiki", "launch_count": 3}]
    assert app.get("/api/audit?to=2024-12-31T00:00:00Z", token).json["total"] == 2
    ben = app.login("ben", "password of old")
    assert {entry["id"] for entry in app.get("/api/apps", ben).json} == {"wiki", "box"}


def test_a_bcrypt_hash_is_replaced_at_the_first_sign_in(start_sqlite: Starter, old: Path) -> None:
    database = start_sqlite.database()
    app = start_sqlite(database)
    run_command("import-db", str(old), **database)
    app.login("ann", "password of old")
    app.login("ann", "password of old")
    connection = sqlite3.connect(database["SORTIE_DB"])
    hashes = dict(connection.execute("SELECT username, substr(password_hash, 1, 7) FROM users"))
    connection.close()
    assert hashes["ann"] == "$argon2"
    assert hashes["ben"].startswith("$2")


def test_other_files_are_refused_and_nothing_is_changed(start_sqlite: Starter, tmp_path: Path) -> None:
    database = start_sqlite.database()
    for name, content in (("text", b"no database at all, but long enough"), ("empty", b"")):
        path = tmp_path / name
        path.write_bytes(content)
        result = run_command("import-db", str(path), **database)
        assert result.returncode == 1
        assert str(path) in result.stderr
        assert path.read_bytes() == content
    missing = run_command("import-db", str(tmp_path / "nothing"), **database)
    assert "there is no database" in missing.stderr
