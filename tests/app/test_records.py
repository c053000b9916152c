"""The audit log, launches, quotas, and how long records are kept."""

from __future__ import annotations

import csv
import io
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from sortie import janitor, settings
from sortie.limiter import Limiter
from sortie.people import audit
from sortie.problems import Problem
from sortie.storage import schema
from sortie.storage.database import open_database

from .server import App, Starter

APP = {"id": "one", "name": "One", "url": "https://example.org"}


def test_changes_are_in_the_audit_log_newest_first(start: Starter) -> None:
    app = start()
    token = app.login()
    app.call("POST", "/api/apps", APP, token)
    app.call("DELETE", "/api/apps/one", token=token)
    reply = app.get("/api/audit", token).json
    assert [entry["action"] for entry in reply["logs"][:3]] == ["DELETE_APP", "CREATE_APP", "LOGIN"]
    assert reply["logs"][0]["user"] == "admin"
    assert reply["logs"][0]["details"] == "Deleted app: One (one)"
    assert reply["total"] == len(reply["logs"]) == 4
    page = app.get("/api/audit?limit=1&offset=1", token).json
    assert (page["logs"], page["total"]) == (reply["logs"][1:2], 4)
    assert app.get("/api/audit?action=CREATE_APP", token).json["total"] == 1
    assert app.get("/api/audit?user=system", token).json["total"] == 1
    assert app.get("/api/audit?from=2999-01-01T00:00:00Z", token).json["total"] == 0
    assert app.get("/api/audit?to=2999-01-01T00:00:00%2B02:00", token).json["total"] == 4
    assert app.get("/api/audit/filters", token).json["users"] == ["admin", "system"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "offset=-1", "from=soon", "limit=1&limit=2", "from=9999999"]
)
def test_a_wrong_question_is_told(shared: App, admin: str, query: str) -> None:
    assert shared.get(f"/api/audit?{query}", admin).status == 400


def test_the_audit_log_is_for_administrators(shared: App, admin: str) -> None:
    user = shared.add_user(admin, "curious", "app-author")
    for path in (
        "/api/audit",
        "/api/audit/export",
        "/api/audit/filters",
        "/api/analytics/stats",
        "/api/catalog",
    ):
        assert shared.get(path).status == 401
        assert shared.get(path, user).status == 403


def test_the_export_is_no_formula(shared: App, admin: str) -> None:
    hostile = ("=1+1", "x;=1+1", "x\t@SUM(1)", "x;  -1", "\uff1d1+1", "\t=1+1")
    for name in hostile:
        shared.call("POST", "/api/auth/login", {"username": name, "password": "x"})
    reply = shared.get("/api/audit/export?format=csv", admin)
    assert reply.headers["content-disposition"] == "attachment; filename=audit_log.csv"
    rows = list(csv.reader(io.StringIO(reply.body.decode())))
    assert rows[0] == ["ID", "Timestamp", "User", "Action", "Details"]
    shown = {row[2] for row in rows}
    assert shown >= {"'=1+1", "x;'=1+1", "x\t'@SUM(1)", "x;'  -1", "'\uff1d1+1", "'\t=1+1"}
    assert not shown & set(hostile)
    assert len(shared.get("/api/audit/export", admin).json) >= 1


def test_every_launch_counts(start: Starter) -> None:
    app = start()
    token = app.login()
    app.call("POST", "/api/apps", APP, token)
    app.call("POST", "/api/apps", APP | {"id": "two", "name": "Two"}, token)
    box = {"id": "box", "name": "Box", "launch_type": "container", "container_image": "a/b"}
    app.call("POST", "/api/apps", box, token)
    with ThreadPoolExecutor(8) as pool:
        bodies = [{"app_id": "one"}] * 40 + [{"app_id": "two"}] * 10
        statuses = list(pool.map(lambda body: app.call("POST", "/api/analytics/launch", body).status, bodies))
    assert statuses == [201] * 50
    assert app.call("POST", "/api/analytics/launch", {"app_id": "none"}).status == 404
    refused = app.call("POST", "/api/analytics/launch", {"app_id": "box"})
    assert (refused.status, refused.error["code"]) == (422, "launch_type_not_supported")
    app.call("DELETE", "/api/apps/two", token=token)
    assert app.get("/api/analytics/stats", token).json == {
        "total_launches": 50,
        "app_stats": [
            {"app_id": "one", "app_name": "One", "launch_count": 40},
            {"app_id": "two", "app_name": "two", "launch_count": 10},
        ],
    }


def test_quotas_hold_also_for_many_at_once(start: Starter) -> None:
    app = start(SORTIE_MAX_APPS="5")
    token = app.login()
    with ThreadPoolExecutor(8) as pool:
        bodies = [APP | {"id": f"app-{number}"} for number in range(20)]
        replies = list(pool.map(lambda body: app.call("POST", "/api/apps", body, token), bodies))
    assert sorted(reply.status for reply in replies) == [201] * 5 + [409] * 15
    refused = app.call("POST", "/api/catalog", {"applications": [APP]}, token)
    assert refused.error["code"] == "quota_exceeded"
    assert app.get("/api/quotas", token).json["apps"] == 5


def test_old_records_are_removed_and_young_ones_stay(start: Starter) -> None:
    environment = start.database()
    database = open_database(settings.read(environment))
    for days in (0, 10, 40, 400):
        moment = schema.now() - timedelta(days=days)
        row = {"timestamp": moment, "user": "u", "action": "A", "details": str(days)}
        database.append(schema.audit_log, row)
        database.append(schema.analytics, {"timestamp": moment, "app_id": "x"})
    given = settings.read(environment | {"SORTIE_AUDIT_RETENTION": "30d", "SORTIE_LAUNCH_RETENTION": "100d"})
    assert janitor.clean(database, given) == {"sessions": 0, "audit": 2, "launches": 1}
    kept_for_ever = settings.read(environment | {"SORTIE_AUDIT_RETENTION": "0"})
    assert janitor.clean(database, kept_for_ever) == {"sessions": 0}
    with database.read() as connection:
        assert [entry["details"] for entry in audit.entries(connection, audit.Filter())] == ["10", "0"]
        assert connection.execute(select(func.count()).select_from(schema.analytics)).scalar() == 3
    database.close()


def test_a_limiter_refills_with_time() -> None:
    now = [100.0]
    limiter = Limiter(2, 10, clock=lambda: now[0])
    for _ in range(2):
        limiter.require("key")
        limiter.use("key")
    with pytest.raises(Problem) as caught:
        limiter.require("key")
    assert caught.value.headers == (("Retry-After", "5"),)
    limiter.require("other")
    now[0] += 5
    limiter.require("key")
    limiter.use("key")
    limiter.forgive("key")
    limiter.require("key")
