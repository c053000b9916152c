"""Import and export: all or nothing, honest about what changed, and prune only what an import brought."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.sortie.platform.plugins.module_utils import _catalog, _http

from .server import KEY, App, Starter, run_command


def entry(app_id: str, **fields: Any) -> dict[str, Any]:
    return {"id": app_id, "name": app_id.title(), "url": f"https://{app_id}.example.org"} | fields


@pytest.fixture
def app(start: Starter) -> App:
    return start()


@pytest.fixture
def token(app: App) -> str:
    return app.login()


def load(app: App, token: str, body: Any, query: str = "") -> Any:
    reply = app.call("POST", f"/api/catalog{query}", body, token)
    assert reply.status == 200, reply.body
    return reply.json


def test_an_import_says_what_it_did_and_a_second_one_does_nothing(app: App, token: str) -> None:
    body = {
        "applications": [
            entry("one", category="Tools"),
            entry("two", visibility="approved", category="Desk"),
        ],
        "categories": [{"id": "desk", "name": "Desk", "approved_users": ["zoe", "ann", "ann"]}],
    }
    report = load(app, token, body)
    assert report["changed"] is True
    assert report["created"] == ["one", "two"]
    assert report["categories"]["created"][0] == "desk"
    assert len(report["categories"]["created"]) == 2
    assert load(app, token, body, "?prune=true") == {
        "changed": False,
        "dry_run": False,
        "created": [],
        "updated": [],
        "removed": [],
        "unchanged": 2,
        "categories": {"created": [], "updated": [], "removed": []},
    }
    entries = app.get("/api/audit?action=IMPORT_CATALOG", token).json
    assert entries["total"] == 1


def test_a_dry_run_says_the_same_and_changes_nothing(app: App, token: str) -> None:
    load(app, token, {"applications": [entry("kept"), entry("gone")]})
    body = {"applications": [entry("kept", name="Other"), entry("new", category="New")]}
    before = app.get("/api/catalog", token).body
    trial = load(app, token, body, "?dry_run=true&prune=true")
    assert (trial["created"], trial["updated"], trial["removed"]) == (["new"], ["kept"], ["gone"])
    assert trial["dry_run"] is True
    assert app.get("/api/catalog", token).body == before
    done = load(app, token, body, "?prune=true")
    assert {**trial, "dry_run": False, "categories": None} == {**done, "categories": None}


def test_prune_leaves_what_no_import_brought(app: App, token: str) -> None:
    app.call("POST", "/api/apps", entry("own", category="Own"), token)
    load(app, token, {"applications": [entry("brought", category="Brought")]})
    report = load(app, token, {"applications": []}, "?prune=true")
    assert report["removed"] == ["brought"]
    assert len(report["categories"]["removed"]) == 1
    assert [found["id"] for found in app.get("/api/apps").json] == ["own"]
    assert [found["name"] for found in app.get("/api/categories", token).json] == ["Own"]


def test_fields_that_an_import_does_not_have_stay(app: App, token: str) -> None:
    load(app, token, {"applications": [entry("hidden", visibility="admin_only", description="Kept")]})
    load(app, token, {"applications": [entry("hidden", name="Other")]})
    found = app.get("/api/apps/hidden", token).json
    assert (found["visibility"], found["description"], found["name"]) == ("admin_only", "Kept", "Other")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"applications": [entry("good"), entry("bad", url="javascript:1")]}, "applications[1].url"),
        ({"applications": [entry("good"), entry("good")]}, "applications[1].id"),
        (
            {"applications": [entry("good"), {"name": "No id", "url": "https://example.org"}]},
            "applications[1].id",
        ),
        ({"applications": [entry("good"), {"id": "bad", "name": "No address"}]}, "applications[1].url"),
        (
            {"applications": [entry("good")], "categories": [{"name": "A"}, {"name": "A"}]},
            "categories[1].name",
        ),
        ({"applications": [entry("good")], "extra": 1}, "extra"),
        ({}, "applications"),
        ("text", ""),
    ],
)
def test_one_wrong_entry_stops_all_of_it(app: App, token: str, body: Any, field: str) -> None:
    reply = app.call("POST", "/api/catalog", body, token)
    assert reply.status == 400
    assert reply.error.get("field", "") == field
    assert app.get("/api/apps", token).json == []


def test_an_export_is_an_import(app: App, start: Starter, token: str) -> None:
    body = {
        "applications": [
            entry("one", category="Tools", icon="/x.png"),
            entry("box", launch_type="container", container_image="a/b:1", egress_policy={"mode": "deny"}),
        ],
        "categories": [{"id": "tools", "name": "Tools", "description": "All", "approved_users": ["ann"]}],
    }
    load(app, token, body)
    exported = app.get("/api/catalog", token).json
    other = start()
    other_token = other.login()
    load(other, other_token, exported)
    assert other.get("/api/catalog", other_token).json == exported


def test_a_bare_list_of_applications_seeds_an_empty_catalogue_once(start: Starter, tmp_path: Path) -> None:
    seed = tmp_path / "apps.json"
    fields = {"description": "d", "icon": "https://example.org/i.png", "category": "Dev"}
    seed.write_text(json.dumps([entry("app-1", **fields), entry("app-2", **fields)]))
    database = start.database()
    app = start(database, SORTIE_SEED=str(seed))
    assert [found["id"] for found in app.get("/api/apps").json] == ["app-1", "app-2"]
    assert [found["name"] for found in app.get("/api/categories").json] == ["Dev"]
    token = app.login()
    app.call("DELETE", "/api/apps/app-1", token=token)
    app.stop()
    again = start(database, SORTIE_SEED=str(seed))
    assert [found["id"] for found in again.get("/api/apps").json] == ["app-2"]


def test_a_wrong_seed_is_told_and_nothing_is_served(start: Starter, tmp_path: Path) -> None:
    seed = tmp_path / "apps.json"
    seed.write_text(json.dumps([entry("one"), entry("two", url="nowhere")]))
    result = run_command(SORTIE_SEED=str(seed), **start.database())
    assert result.returncode == 2
    assert "[1].url" in result.stderr


def test_sortie_seed_imports_a_file(start: Starter, tmp_path: Path) -> None:
    database = start.database()
    seed = tmp_path / "apps.json"
    seed.write_text(json.dumps({"applications": [entry("one")]}))
    trial = run_command("seed", "--dry-run", str(seed), **database)
    assert (trial.returncode, trial.stdout) == (0, "would be 1 created, 0 updated, 0 unchanged\n")
    done = run_command("seed", str(seed), **database)
    assert (done.returncode, done.stdout) == (0, "1 created, 0 updated, 0 unchanged\n")
    seed.write_text(json.dumps({"applications": [entry("two", url="nowhere")]}))
    wrong = run_command("seed", str(seed), **database)
    assert wrong.returncode == 2
    assert "applications[0].url" in wrong.stderr


def test_the_platform_imports_with_its_own_token(app: App) -> None:
    wanted = _catalog.Wanted(
        _http.Endpoint("127.0.0.1", app.port, tls=False),
        KEY,
        applications=[entry("one", category="Tools")],
        branding={"tenant_name": "Sortie"},
    )
    trial = _catalog.serve(wanted, dry_run=True)
    assert trial.error == ""
    assert trial.changed[0] == "application one created"
    done = _catalog.serve(wanted)
    assert done.error == ""
    assert [found["id"] for found in done.after["applications"]] == ["one"]
    assert _catalog.serve(wanted).changed == []
