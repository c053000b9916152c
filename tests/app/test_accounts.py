"""Users, passwords, sessions and tokens."""

from __future__ import annotations

import time

import pytest

from .server import PASSWORD, App, Reply, Starter, run_command
from .tokens import service_token

CREDENTIALS = {"username": "admin", "password": PASSWORD}


def test_the_first_administrator_can_sign_in(shared: App) -> None:
    reply = shared.call("POST", "/api/auth/login", CREDENTIALS)
    assert reply.status == 200
    assert reply.json["expires_in"] == 900
    assert reply.json["user"]["roles"] == ["admin", "user"]
    me = shared.get("/api/auth/me", reply.json["access_token"])
    assert me.json == reply.json["user"]


@pytest.mark.parametrize("body", [CREDENTIALS | {"password": "wrong"}, CREDENTIALS | {"username": "nobody"}])
def test_wrong_credentials_say_nothing_more(shared: App, admin: str, body: dict[str, str]) -> None:
    reply = shared.call("POST", "/api/auth/login", body)
    assert reply.status == 401
    assert reply.error["message"] == "the user name or the password is wrong"
    failed = shared.get(f"/api/audit?action=LOGIN_FAILED&user={body['username']}", admin)
    assert failed.json["total"] >= 1


def test_a_refresh_token_works_once_and_a_stolen_one_ends_the_session(shared: App) -> None:
    first = shared.call("POST", "/api/auth/login", CREDENTIALS).json
    second = shared.call("POST", "/api/auth/refresh", {"refresh_token": first["refresh_token"]})
    assert second.status == 200
    assert shared.get("/api/auth/me", second.json["access_token"]).status == 200
    stolen = shared.call("POST", "/api/auth/refresh", {"refresh_token": first["refresh_token"]})
    assert stolen.status == 401
    assert shared.get("/api/auth/me", second.json["access_token"]).status == 401
    body = {"refresh_token": second.json["refresh_token"]}
    assert shared.call("POST", "/api/auth/refresh", body).status == 401


def test_signing_out_ends_the_tokens(shared: App) -> None:
    token = shared.login()
    assert shared.call("POST", "/api/auth/logout", token=token).status == 204
    assert shared.get("/api/auth/me", token).status == 401
    assert shared.get("/api/apps", token).status == 401


def test_a_new_password_ends_the_other_sessions(shared: App, admin: str) -> None:
    other = shared.add_user(admin, "changer")
    own = shared.login("changer")
    wrong = {"current_password": "wrong", "new_password": "another password"}
    assert shared.call("POST", "/api/auth/password", wrong, own).status == 403
    short = {"current_password": PASSWORD, "new_password": "short"}
    assert shared.call("POST", "/api/auth/password", short, own).error["field"] == "new_password"
    body = {"current_password": PASSWORD, "new_password": "another password"}
    assert shared.call("POST", "/api/auth/password", body, own).status == 204
    assert shared.get("/api/auth/me", own).status == 200
    assert shared.get("/api/auth/me", other).status == 401
    assert shared.login("changer", "another password")


def test_other_roles_count_at_once(shared: App, admin: str) -> None:
    token = shared.add_user(admin, "riser")
    user_id = shared.get("/api/auth/me", token).json["id"]
    assert shared.get("/api/users", token).status == 403
    shared.call("PATCH", f"/api/users/{user_id}", {"roles": ["admin"]}, admin)
    assert shared.get("/api/users", token).status == 200
    assert shared.call("DELETE", f"/api/users/{user_id}", token=admin).status == 204
    assert shared.get("/api/users", token).status == 401


def test_the_last_administrator_stays(start: Starter) -> None:
    app = start()
    admin = app.login()
    user_id = app.get("/api/auth/me", admin).json["id"]
    assert app.call("DELETE", f"/api/users/{user_id}", token=admin).status == 409
    assert app.call("PATCH", f"/api/users/{user_id}", {"roles": ["user"]}, admin).status == 409


def test_users_are_listed_without_their_hashes(shared: App, admin: str) -> None:
    shared.add_user(admin, "listed")
    users = shared.get("/api/users", admin).json
    (listed,) = [user for user in users if user["username"] == "listed"]
    assert not [name for name in listed if "password" in name]
    assert (
        shared.call("POST", "/api/users", {"username": "listed", "password": PASSWORD}, admin).status == 409
    )
    bad = shared.call("POST", "/api/users", {"username": "a b", "password": PASSWORD}, admin)
    assert bad.error["field"] == "username"


def test_the_platforms_token_is_an_administrator_for_five_minutes(shared: App) -> None:
    issued = int(time.time())
    assert shared.get("/api/users", service_token()).status == 200
    assert shared.get("/api/auth/me", service_token()).json["username"] == "platform"
    refused = [
        service_token(exp=issued + 400),
        service_token(exp=issued - 60, iat=issued - 120),
        service_token(roles=["user"]),
        service_token(iss="other"),
        service_token(typ="access", sid="x"),
        service_token("another key of 32 characters....."),
        "nonsense",
    ]
    for token in refused:
        reply = shared.get("/api/apps", token)
        assert reply.status == 401
        assert reply.headers["www-authenticate"].startswith("Bearer")


def test_the_pages_cookie_needs_the_second_one_for_changes(shared: App) -> None:
    reply = shared.call("POST", "/api/auth/login", CREDENTIALS)
    session, csrf = sorted(reply.cookies, key=lambda cookie: "csrf" in cookie)
    assert "HttpOnly" in session
    assert "SameSite=Lax" in session
    assert "HttpOnly" not in csrf
    cookies = "; ".join(cookie.partition(";")[0] for cookie in reply.cookies)
    value = csrf.partition(";")[0].partition("=")[2]
    assert shared.call("GET", "/api/auth/me", headers={"Cookie": cookies}).status == 200
    app = {"id": "cookie", "name": "Cookie", "url": "https://example.org"}
    forged = shared.call("POST", "/api/apps", app, headers={"Cookie": cookies})
    assert (forged.status, forged.error["code"]) == (403, "csrf")
    own = shared.call("POST", "/api/apps", app, headers={"Cookie": cookies, "X-CSRF-Token": value})
    assert own.status == 201
    # A page's cookie is no token, and a token is no cookie.
    assert shared.get("/api/auth/me", session.partition(";")[0].partition("=")[2]).status == 401


def test_users_can_be_made_on_the_command_line(start: Starter) -> None:
    database = start.database()
    app = start(database)
    made = run_command("user", "create", "ops", "--role", "admin", "--random-password", **database)
    assert made.returncode == 0, made.stderr
    token = app.login("ops", made.stdout.strip())
    assert app.get("/api/users", token).status == 200
    reset = run_command("user", "reset-password", "ops", "--random-password", **database)
    assert app.get("/api/users", token).status == 401
    assert app.login("ops", reset.stdout.strip())
    unknown = run_command("user", "reset-password", "nobody", "--random-password", **database)
    assert unknown.returncode == 2
    assert "nobody" in unknown.stderr


def test_wrong_passwords_are_limited_and_other_users_are_not_locked_out(start: Starter) -> None:
    app = start(SORTIE_LOGIN_ATTEMPTS="3")
    wrong = CREDENTIALS | {"password": "wrong"}
    assert [app.call("POST", "/api/auth/login", wrong).status for _ in range(3)] == [401] * 3
    limited = app.call("POST", "/api/auth/login", CREDENTIALS)
    assert (limited.status, limited.error["code"]) == (429, "too_many_attempts")
    assert int(limited.headers["retry-after"]) > 0
    assert app.call("POST", "/api/auth/login", {"username": "other", "password": "x"}).status == 401


def test_passwords_are_limited_for_a_whole_network_of_ipv6_and_whatever_port(start: Starter) -> None:
    app = start(SORTIE_LOGIN_ATTEMPTS="3", SORTIE_TRUSTED_PROXIES="127.0.0.0/8")
    wrong = CREDENTIALS | {"password": "wrong"}

    def tried(client: str) -> int:
        return app.call("POST", "/api/auth/login", wrong, headers={"X-Forwarded-For": client}).status

    for clients in (
        [f"2001:db8::{number}" for number in range(1, 5)],
        [f"[2001:db8:0:1::{number}]:443" for number in range(1, 5)],
        [f"203.0.113.9:{port}" for port in range(4001, 4005)],
        ["not an address", "nor this", "127.0.0.1", ""],
    ):
        assert [tried(client) for client in clients] == [401, 401, 401, 429], clients
    assert tried("2001:db8:0:2::1") == 401


def test_the_current_password_cannot_be_guessed_by_who_found_a_page_open(start: Starter) -> None:
    app = start(SORTIE_LOGIN_ATTEMPTS="3")
    found, owner = app.login(), app.login()
    body = {"current_password": "wrong", "new_password": "another horse battery"}
    right = body | {"current_password": PASSWORD}
    tries = [app.call("POST", "/api/auth/password", body, found).status for _ in range(4)]
    assert tries == [403, 403, 403, 429]
    assert app.call("POST", "/api/auth/password", right, found).status == 429
    assert app.call("POST", "/api/auth/password", right, owner).status == 204


def test_nobody_registers_a_name_that_a_category_trusts(start: Starter) -> None:
    app = start(SORTIE_ALLOW_REGISTRATION="true")
    category = {"name": "Pay", "approved_users": ["carol"]}
    assert app.call("POST", "/api/categories", category, app.login()).status == 201

    def register(username: str) -> Reply:
        return app.call("POST", "/api/auth/register", {"username": username, "password": PASSWORD})

    named, taken = register("carol"), register("admin")
    assert (named.status, taken.status) == (409, 409)
    assert named.error["message"].replace("'carol'", "") == taken.error["message"].replace("'admin'", "")
    assert register("dave").status == 200


def test_visitors_register_only_where_that_is_allowed(start: Starter) -> None:
    body = {"username": "visitor", "password": PASSWORD}
    assert start().call("POST", "/api/auth/register", body).status == 403
    app = start(SORTIE_ALLOW_REGISTRATION="true", SORTIE_MAX_USERS="2")
    assert app.get("/api/config").json["allow_registration"] is True
    reply = app.call("POST", "/api/auth/register", body)
    assert reply.json["user"]["roles"] == ["user"]
    assert app.call("POST", "/api/auth/register", body | {"roles": ["admin"]}).status == 400
    full = app.call("POST", "/api/auth/register", body | {"username": "third"})
    assert (full.status, full.error["code"]) == (409, "quota_exceeded")
    assert app.get("/api/quotas", app.login()).json == {"max_apps": 0, "apps": 0, "max_users": 2, "users": 2}


def test_preferences_stay_with_the_user(shared: App, admin: str) -> None:
    token = shared.add_user(admin, "tidy")
    assert shared.get("/api/preferences", token).json == {"theme": "system", "favourites": [], "recents": []}
    shared.call("PATCH", "/api/preferences", {"theme": "dark"}, token)
    shared.call("PATCH", "/api/preferences", {"favourites": ["one", "two"]}, token)
    kept = shared.get("/api/preferences", shared.login("tidy")).json
    assert kept == {"theme": "dark", "favourites": ["one", "two"], "recents": []}
    assert shared.get("/api/preferences").status == 401
    assert shared.call("PATCH", "/api/preferences", {"theme": "pink"}, token).error["field"] == "theme"
