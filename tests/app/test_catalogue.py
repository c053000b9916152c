"""Applications and categories: read, written, seen by whom they are meant for, imported and exported."""

from __future__ import annotations

import gzip
import http.client
from typing import Any

import pytest

from .server import App, Starter

WIKI = {"id": "wiki", "name": "Wiki", "url": "https://wiki.example.org/", "category": "Knowledge"}


def ids(reply: Any) -> set[str]:
    return {app["id"] for app in reply.json}


def test_anyone_may_list_applications_without_a_token(shared: App) -> None:
    reply = shared.get("/api/apps")
    assert reply.status == 200
    assert isinstance(reply.json, list)


def test_an_application_comes_back_as_it_was_given(shared: App, admin: str) -> None:
    app = WIKI | {
        "id": "whole",
        "description": "Ünïcode ✓",
        "icon": "data:image/png;base64,AAAA",
        "visibility": "approved",
        "launch_type": "container",
        "container_image": "example/wiki:1",
        "container_port": 8080,
        "container_args": ["--a", "b"],
        "resource_limits": {"cpu_limit": "2"},
        "egress_policy": {"mode": "allowlist", "rules": [{"cidr": "10.0.0.0/8", "port": 443}]},
        "os_type": "windows",
        "tenant_id": "other",
    }
    created = shared.call("POST", "/api/apps", app, admin)
    assert created.status == 201
    assert created.headers["location"] == "/api/apps/whole"
    assert created.json == app
    assert shared.get("/api/apps/whole", admin).json == app
    assert app in shared.get("/api/apps", admin).json


def test_writes_are_for_administrators_and_authors(shared: App, admin: str) -> None:
    author, user = shared.add_user(admin, "writer", "app-author"), shared.add_user(admin, "reader")
    app = {"id": "written", "name": "Written", "url": "https://example.org"}
    assert shared.call("POST", "/api/apps", app).status == 401
    assert shared.call("POST", "/api/apps", app, user).status == 403
    assert shared.call("POST", "/api/apps", app, author).status == 201
    assert shared.call("DELETE", "/api/apps/written", token=user).status == 403
    assert shared.call("DELETE", "/api/apps/written", token=author).status == 204
    assert shared.get("/api/apps/written", admin).status == 404


def test_a_second_application_with_the_same_id_is_refused(shared: App, admin: str) -> None:
    assert shared.call("POST", "/api/apps", WIKI | {"id": "twice"}, admin).status == 201
    reply = shared.call("POST", "/api/apps", WIKI | {"id": "twice"}, admin)
    assert reply.status == 409
    assert reply.error["field"] == "id"


def test_an_application_without_an_id_gets_one(shared: App, admin: str) -> None:
    reply = shared.call("POST", "/api/apps", {"name": "Größe & Maß", "url": "https://example.org"}, admin)
    assert reply.json["id"].startswith("groe-ma-") or reply.json["id"].startswith("gro-e-ma-")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"url": "javascript:alert(1)"}, "url"),
        ({"url": "//example.org"}, "url"),
        ({"url": "https://exa mple.org"}, "url"),
        ({"url": ""}, "url"),
        ({"icon": "data:text/html,<script>"}, "icon"),
        ({"icon": "ftp://example.org/x.png"}, "icon"),
        ({"name": ""}, "name"),
        ({"name": 7}, "name"),
        ({"name": "a\u0000b"}, "name"),
        ({"name": "a\ud800b"}, "name"),
        ({"visibility": "secret"}, "visibility"),
        ({"container_port": 70000}, "container_port"),
        ({"container_port": True}, "container_port"),
        ({"container_args": ["a", 1]}, "container_args[1]"),
        ({"id": "a/b"}, "id"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_field_is_named(shared: App, admin: str, change: dict[str, Any], field: str) -> None:
    reply = shared.call("POST", "/api/apps", WIKI | {"id": "wrong"} | change, admin)
    assert reply.status == 400
    assert reply.error["code"] == "invalid"
    assert reply.error["field"] == field
    assert shared.get("/api/apps/wrong", admin).status == 404


def test_put_replaces_and_patch_changes(shared: App, admin: str) -> None:
    shared.call("POST", "/api/apps", WIKI | {"id": "parts", "description": "Old"}, admin)
    patched = shared.call("PATCH", "/api/apps/parts", {"name": "New"}, admin)
    assert (patched.json["name"], patched.json["description"]) == ("New", "Old")
    replaced = shared.call("PUT", "/api/apps/parts", {"name": "Newer", "url": "https://example.org"}, admin)
    assert (replaced.json["name"], replaced.json["description"], replaced.json["category"]) == (
        "Newer",
        "",
        "",
    )
    assert shared.call("PUT", "/api/apps/parts", WIKI, admin).error["field"] == "id"


def test_the_next_read_sees_a_change(shared: App, admin: str) -> None:
    for number in range(20):
        name = f"Name {number}"
        if number == 0:
            shared.call("POST", "/api/apps", WIKI | {"id": "seen", "name": name}, admin)
        else:
            shared.call("PATCH", "/api/apps/seen", {"name": name}, admin)
        assert shared.get("/api/apps/seen").json["name"] == name


def test_an_unchanged_catalogue_is_not_sent_again_and_the_connection_stays(shared: App, admin: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", shared.port, timeout=30)
    connection.request("GET", "/api/apps")
    first = connection.getresponse()
    first.read()
    socket = connection.sock
    for _ in range(3):
        connection.request("GET", "/api/apps", headers={"If-None-Match": first.headers["ETag"]})
        again = connection.getresponse()
        assert (again.status, again.read()) == (304, b"")
        assert connection.sock is socket
    shared.call("POST", "/api/apps", WIKI | {"id": "tagged"}, admin)
    connection.request("GET", "/api/apps", headers={"If-None-Match": first.headers["ETag"]})
    changed = connection.getresponse()
    assert changed.status == 200
    connection.close()


def test_the_compressed_answer_is_the_same(shared: App, admin: str) -> None:
    for number in range(5):
        shared.call("POST", "/api/apps", WIKI | {"id": f"many-{number}", "description": "x" * 300}, admin)
    reply = shared.call("GET", "/api/apps", headers={"Accept-Encoding": "gzip"})
    assert reply.headers["content-encoding"] == "gzip"
    assert gzip.decompress(reply.body) == shared.get("/api/apps").body
    assert "Accept-Encoding" in reply.headers["vary"]


def test_a_category_is_made_with_its_application_and_renamed_in_it(shared: App, admin: str) -> None:
    shared.call("POST", "/api/apps", WIKI | {"id": "moved", "category": "Before"}, admin)
    (category,) = [entry for entry in shared.get("/api/categories").json if entry["name"] == "Before"]
    renamed = shared.call("PATCH", f"/api/categories/{category['id']}", {"name": "After"}, admin)
    assert renamed.json["name"] == "After"
    assert shared.get("/api/apps/moved").json["category"] == "After"
    assert shared.call("DELETE", f"/api/categories/{category['id']}", token=admin).status == 409
    shared.call("DELETE", "/api/apps/moved", token=admin)
    assert shared.call("DELETE", f"/api/categories/{category['id']}", token=admin).status == 204


def test_everybody_sees_what_is_meant_for_them_on_every_way(start: Starter) -> None:
    app = start()
    admin = app.login()
    category = app.call("POST", "/api/categories", {"name": "Inner", "approved_users": ["ann"]}, admin).json
    for visibility in ("public", "approved", "admin_only"):
        entry = {"id": visibility, "name": visibility, "url": "https://example.org", "visibility": visibility}
        app.call("POST", "/api/apps", entry | {"category": "Inner"}, admin)
    ann, ben, author = (
        app.add_user(admin, "ann"),
        app.add_user(admin, "ben"),
        app.add_user(admin, "aut", "app-author"),
    )
    everything = {"public", "approved", "admin_only"}
    expected: list[tuple[str | None, set[str]]] = [
        (None, {"public"}),
        (ben, {"public"}),
        (ann, {"public", "approved"}),
        (author, {"public", "approved"}),
        (admin, everything),
    ]
    for token, seen in expected:
        assert ids(app.get("/api/apps", token)) == seen
        assert {entry["id"] for entry in app.get("/apps.json", token).json["applications"]} == seen
        for name in everything:
            assert app.get(f"/api/apps/{name}", token).status == (200 if name in seen else 404)
            launched = app.call("POST", "/api/analytics/launch", {"app_id": name}, token)
            assert launched.status == (201 if name in seen else 404)
    assert app.call("DELETE", "/api/apps/admin_only", token=author).status == 404
    assert "approved_users" not in app.get("/api/categories", ann).json[0]
    app.call("PATCH", f"/api/categories/{category['id']}", {"approved_users": ["ben"]}, admin)
    assert ids(app.get("/api/apps", ann)) == {"public"}
    assert ids(app.get("/api/apps", ben)) == {"public", "approved"}


def test_a_change_in_one_process_is_seen_by_the_next_read_in_another(start: Starter) -> None:
    database = start.database()
    one, other = start(database), start(database)
    token = one.login()
    for number in range(10):
        assert one.call("POST", "/api/apps", WIKI | {"id": f"app-{number}"}, token).status == 201
        assert f"app-{number}" in ids(other.get("/api/apps"))
    # Tokens of one are good at the other, until they are revoked at either.
    assert other.get("/api/auth/me", token).status == 200
    assert one.call("POST", "/api/auth/logout", token=token).status == 204
    assert other.get("/api/auth/me", token).status == 401
