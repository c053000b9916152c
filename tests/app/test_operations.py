"""Life of the process: probes, metrics, headers, branding, start and stop."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
from pysqlite3 import dbapi2 as sqlite3

from sortie.server import FINISH_SECONDS
from sortie.storage.engine import BUSY_SECONDS
from sortie.version import VERSION

from .server import KEY, App, Starter, eventually, run_command


def test_the_probes_answer(shared: App) -> None:
    assert shared.get("/healthz").json == {"status": "ok"}
    assert shared.get("/readyz").json == {"status": "ok"}


def test_every_answer_has_the_security_headers_and_a_request_id(shared: App) -> None:
    for path in ("/", "/api/apps", "/nothing", "/healthz", "/branding.css"):
        headers = shared.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"]
        assert headers["permissions-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert re.fullmatch(r"[0-9a-f]{16}", headers["x-request-id"])
        assert "server" not in headers
        assert "strict-transport-security" not in headers
    echoed = shared.call("GET", "/nothing", headers={"X-Request-ID": "abc-123"})
    assert echoed.headers["x-request-id"] == "abc-123"
    forged = shared.call("GET", "/nothing", headers={"X-Request-ID": "a b"})
    assert forged.headers["x-request-id"] != "a b"


def test_errors_are_json(shared: App, admin: str) -> None:
    assert shared.get("/nothing").error["code"] == "not_found"
    wrong = shared.call("DELETE", "/api/apps")
    assert (wrong.status, wrong.error["code"]) == (405, "method_not_allowed")
    assert set(wrong.headers["allow"].replace(" ", "").split(",")) >= {"GET", "POST"}
    headers = {"Authorization": f"Bearer {admin}"}
    assert shared.raw("POST", "/api/apps", b"{}", headers).status == 415
    headers["Content-Type"] = "application/json"
    endless = b'{"name": "x", "url": "https://example.com", "resource_limits": {"cpu": [1e999]}}'
    for body in (b"{", b"\xff", b'{"name": NaN}', b"[" * 100_000, endless):
        reply = shared.raw("POST", "/api/apps", body, headers)
        assert (reply.status, reply.error["code"]) == (400, "invalid")


def test_a_body_above_the_limit_is_refused(start: Starter) -> None:
    app = start(SORTIE_MAX_BODY="2Ki")
    reply = app.call("POST", "/api/auth/login", {"username": "x" * 4000, "password": "y"})
    assert (reply.status, reply.error["code"]) == (413, "too_large")


def test_metrics_are_prometheus_text(start: Starter, tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.mkdir()
    good = {"ok": True, "time": "2025-01-31T12:00:00Z", "bytes": 4096, "seconds": 2.5}
    (status / "backup.json").write_text(json.dumps(good))
    failed = {"ok": False, "time": "2025-01-30T12:00:00Z", "error": "no room", "recovery_seconds": 7.5}
    (status / "drill.json").write_text(json.dumps(failed))
    app = start(SORTIE_STATUS_DIR=str(status))
    app.get("/api/apps")
    reply = app.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain")
    text = reply.body.decode()
    for line in text.splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) \w+ .+|\w+(\{(\w+="[^"]*",?)+\})? [0-9.e+-]+', line), line
    assert 'sortie_http_requests_total{method="GET",route="/api/apps",status="200"} 1.0' in text
    assert 'sortie_http_request_seconds_bucket{method="GET",route="/api/apps",le="+Inf"} 1' in text
    assert re.search(r"^sortie_database_size_bytes \d+", text, re.MULTILINE)
    backups = dict(line.split(" ") for line in text.splitlines() if re.match("sortie_(backup|drill)_", line))
    assert {name: float(value) for name, value in backups.items()} == {
        "sortie_backup_last_ok": 1,
        "sortie_backup_last_success_timestamp_seconds": 1738324800,
        "sortie_backup_size_bytes": 4096,
        "sortie_backup_duration_seconds": 2.5,
        "sortie_drill_last_ok": 0,
        "sortie_drill_last_success_timestamp_seconds": 1738238400,
        "sortie_drill_recovery_seconds": 7.5,
    }
    assert "sortie_build_info{" in text


def test_the_branding_follows_its_file(start: Starter, tmp_path: Path) -> None:
    """As Kubernetes changes it: a new directory, and a link that is replaced."""
    for number, name in enumerate(("Acme", "Globex")):
        directory = tmp_path / f"..{number}"
        directory.mkdir()
        values = {
            "tenant_name": name,
            "primary_color": "#398D9B",
            "logo_url": "https://cdn.example.org/l.png",
        }
        (directory / "branding.json").write_text(json.dumps(values))
    link = tmp_path / "..data"
    link.symlink_to("..0")
    (tmp_path / "branding.json").symlink_to("..data/branding.json")
    app = start(
        SORTIE_CONFIG=str(tmp_path / "branding.json"),
        SORTIE_TENANT_NAME="Env",
        SORTIE_SECONDARY_COLOR="#000000",
    )
    config = app.get("/api/config").json
    assert config == {
        "logo_url": "https://cdn.example.org/l.png",
        "primary_color": "#398D9B",
        "secondary_color": "#000000",
        "tenant_name": "Acme",
        "allow_registration": False,
        "sso_enabled": False,
    }
    (tmp_path / "..tmp").symlink_to("..1")
    (tmp_path / "..tmp").rename(link)
    assert app.get("/api/config").json["tenant_name"] == "Globex"
    assert b"<title>Globex</title>" in app.get("/").body
    (tmp_path / "..1/branding.json").write_text('{"primary_color": "blue"}')
    assert app.get("/api/config").json["tenant_name"] == "Globex"
    assert any("primary_color" in entry["message"] for entry in app.logs() if entry["level"] == "error")


def test_an_administrator_sets_what_the_file_does_not(start: Starter, tmp_path: Path) -> None:
    file = tmp_path / "branding.json"
    file.write_text('{"tenant_name": "Acme"}')
    app = start(SORTIE_CONFIG=str(file))
    token = app.login()
    assert app.call("PUT", "/api/admin/branding", {"primary_color": "#FFFFFF"}).status == 401
    assert app.call("PUT", "/api/admin/branding", {"primary_color": "#FFFFFF"}, token).status == 200
    assert app.get("/api/config").json["primary_color"] == "#FFFFFF"
    fixed = app.call("PUT", "/api/admin/branding", {"tenant_name": "Other"}, token)
    assert (fixed.status, fixed.error["field"]) == (409, "tenant_name")
    assert b"--on-brand: #000000" in app.get("/branding.css").body


def test_proxy_headers_count_only_from_where_they_are_trusted(start: Starter) -> None:
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9, 10.1.1.1"}
    plain = start()
    assert "strict-transport-security" not in plain.call("GET", "/", headers=forwarded).headers
    behind = start(SORTIE_TRUSTED_PROXIES="127.0.0.0/8,10.0.0.0/8")
    assert "strict-transport-security" in behind.call("GET", "/", headers=forwarded).headers
    behind.call("POST", "/api/auth/logout", headers=forwarded)
    assert eventually(lambda: [e for e in behind.logs() if e.get("address") == "203.0.113.9"])
    body = {"username": "admin", "password": "correct horse battery"}
    signed = behind.call("POST", "/api/auth/login", body, headers=forwarded)
    assert all("Secure" in cookie for cookie in signed.cookies)


def test_the_log_has_the_request_and_no_secrets(start: Starter) -> None:
    app = start()
    token = app.login()
    app.call("POST", "/api/apps", {"name": "X", "url": "https://x.org"}, token, {"X-Request-ID": "find-me"})
    (entry,) = eventually(lambda: [entry for entry in app.logs() if entry.get("request_id") == "find-me"])
    assert (entry["status"], entry["user"], entry["route"]) == (201, "admin", "/api/apps")
    text = app.log_path.read_text()
    for secret in (token, KEY, "correct horse battery"):
        assert secret not in text


def test_sigterm_finishes_requests_and_the_database_is_one_file(start_sqlite: Starter) -> None:
    app = start_sqlite()
    token = app.login()
    path = Path(app.environment["SORTIE_DB"])
    done: list[int] = []

    def work() -> None:
        for number in range(1000):
            body = {"name": f"App {number}", "url": "https://x.org"}
            try:
                done.append(app.call("POST", "/api/apps", body, token).status)
            except (ConnectionRefusedError, ConnectionResetError, http.client.RemoteDisconnected):
                # The door is closed; a request that was let in is answered.
                return

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    eventually(lambda: len(done) > 20)
    assert app.stop() == 0
    for worker in workers:
        worker.join()
    assert set(done) == {201}
    assert not path.with_name("sortie.db-wal").exists()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM applications").fetchone()[0] == len(done)
    connection.close()


def test_with_a_delay_load_balancers_can_notice_the_end(start_sqlite: Starter) -> None:
    app = start_sqlite(SORTIE_STOP_DELAY="2s")
    app.process.send_signal(signal.SIGTERM)
    eventually(lambda: app.get("/readyz").status == 503)
    assert app.get("/api/apps").status == 200
    assert app.process.wait(30) == 0


def test_near_the_end_no_connection_is_kept(start_sqlite: Starter) -> None:
    """A proxy that keeps one would ask here until the last moment."""
    app = start_sqlite(SORTIE_STOP_DELAY="2s")
    assert "connection" not in app.get("/api/apps").headers
    app.process.send_signal(signal.SIGTERM)
    eventually(lambda: app.get("/readyz").status == 503)
    assert app.get("/api/apps").headers["connection"] == "close"
    assert app.process.wait(30) == 0


def test_an_idle_connection_does_not_hold_up_the_end(start_sqlite: Starter) -> None:
    app = start_sqlite()
    with socket.create_connection(("127.0.0.1", app.port)):
        app.process.send_signal(signal.SIGINT)
        # Longer than any request takes, shorter than it would wait for one.
        assert app.process.wait(FINISH_SECONDS / 2) == 0


def test_slow_clients_do_not_hold_up_others(start_sqlite: Starter) -> None:
    app = start_sqlite(SORTIE_THREADS="2")
    slow = [socket.create_connection(("127.0.0.1", app.port)) for _ in range(60)]
    for connection in slow:
        connection.sendall(b"POST /api/apps HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n")
    assert app.get("/readyz").status == 200
    for connection in slow:
        connection.close()


def test_a_database_that_cannot_be_used_is_told_and_taken_up_later(
    start_sqlite: Starter, tmp_path: Path
) -> None:
    path = tmp_path / "later/sortie.db"
    app = start_sqlite({"SORTIE_DB": str(path)}, wait=False)
    reply = app.get("/readyz")
    assert reply.status == 503
    assert "there is no directory" in reply.json["reason"]
    assert app.get("/healthz").status == 200
    assert app.get("/api/apps").error["code"] == "unavailable"
    assert b"sortie_ready 0" in app.get("/metrics").body
    path.parent.mkdir()
    eventually(lambda: app.get("/readyz").status == 200)
    assert app.get("/api/apps").json == []


def test_a_file_that_is_no_database_is_told_and_left_alone(start_sqlite: Starter, tmp_path: Path) -> None:
    path = tmp_path / "broken.db"
    path.write_bytes(b"this is not a database" * 100)
    app = start_sqlite({"SORTIE_DB": str(path)}, wait=False)
    assert "not a database" in app.get("/readyz").json["reason"]
    app.stop()
    assert path.read_bytes() == b"this is not a database" * 100


def test_without_a_key_it_serves_and_warns(start: Starter) -> None:
    app = start(SORTIE_JWT_SECRET="")
    assert app.login()
    assert any("SORTIE_JWT_SECRET" in entry["message"] for entry in app.logs() if entry["level"] == "warning")


@pytest.mark.parametrize("arguments", [("version",), ("--version",)])
def test_the_version(arguments: tuple[str, ...]) -> None:
    assert run_command(*arguments).stdout == f"sortie {VERSION}\n"


def test_the_version_is_the_collections() -> None:
    galaxy = (Path(__file__).parents[2] / "galaxy.yml").read_text()
    assert f"version: {VERSION}\n" in galaxy


def test_it_works_without_write_access_to_anything_but_its_data(start_sqlite: Starter) -> None:
    app = start_sqlite()
    app.login()
    app.get("/")
    directory = Path(app.environment["SORTIE_DB"]).parent
    opened = []
    for entry in Path(f"/proc/{app.process.pid}/fd").iterdir():
        # A connection may end in the meantime.
        with contextlib.suppress(FileNotFoundError):
            opened.append(str(entry.readlink()))
    own = [name for name in opened if name.startswith("/") and not name.startswith(("/dev/", str(directory)))]
    assert own == [str(app.log_path)] * len(own)


def test_a_page_that_the_browser_kept_keeps_its_policy(shared: App) -> None:
    page = shared.get("/")
    again = shared.call("GET", "/", headers={"If-None-Match": page.headers["etag"]})
    assert again.status == 304
    assert again.headers["content-security-policy"] == page.headers["content-security-policy"]
    assert "script-src 'self'" in page.headers["content-security-policy"]


def test_a_head_request_gets_the_headers_alone(shared: App) -> None:
    whole, head = shared.get("/api/apps"), shared.call("HEAD", "/api/apps")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["etag"] == whole.headers["etag"]
    assert head.headers["content-length"] == str(len(whole.body))


def test_an_address_in_other_letters_is_not_found_in_its_own_words(shared: App) -> None:
    reply = shared.get("/api/apps/%C3%A9t%C3%A9")
    assert reply.status == 404
    assert "été" in reply.error["message"]
    assert shared.get("/api/apps/%FF%FE").status == 404
    assert shared.get("/static/x/..%2f..%2fcli.py").status == 404


def test_the_end_waits_for_nobody_else_who_reads_the_database(start_sqlite: Starter) -> None:
    """Litestream reads for as long as it runs."""
    app = start_sqlite()
    reader = sqlite3.connect(app.environment["SORTIE_DB"], isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM users").fetchone()
    app.add_user(app.login(), "writes-into-the-log")
    started = time.monotonic()
    assert app.stop() == 0
    assert time.monotonic() - started < BUSY_SECONDS
    reader.close()
