"""Sign-in by an OpenID Connect provider."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from joserfc.jwk import RSAKey
from pysqlite3 import dbapi2 as sqlite3

from .provider import CLIENT, SECRET, Provider
from .server import PASSWORD, App, Reply, Starter, eventually, free_port


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider()
    yield made
    made.close()


@pytest.fixture
def app(start: Starter, provider: Provider) -> App:
    return start(**settings(provider))


def settings(provider: Provider) -> dict[str, str]:
    return {
        "SORTIE_OIDC_ISSUER": provider.issuer,
        "SORTIE_OIDC_CLIENT_ID": CLIENT,
        "SORTIE_OIDC_CLIENT_SECRET": SECRET,
        "SORTIE_OIDC_REDIRECT_URL": "http://sortie.example.org/api/auth/oidc/callback",
    }


class Browser:
    """Follows the redirects and keeps the cookies."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.cookies: dict[str, str] = {}

    def get(self, path: str) -> Reply:
        sent = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        reply = self.app.call("GET", path, headers={"Cookie": sent} if sent else {})
        for cookie in reply.cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return reply

    def begin(self) -> str:
        """The address that the provider sends the browser back to."""
        begun = self.get("/api/auth/oidc/login")
        assert begun.status == 303
        address = urlsplit(begun.headers["location"])
        connection = http.client.HTTPConnection(address.netloc)
        connection.request("GET", f"{address.path}?{address.query}")
        back = connection.getresponse().headers["Location"]
        connection.close()
        return back.removeprefix("http://sortie.example.org")

    def sign_in(self) -> Reply:
        return self.get(self.begin())


def test_a_user_of_the_provider_signs_in_and_is_the_same_one_next_time(app: App) -> None:
    assert app.get("/api/config").json["sso_enabled"] is True
    browser = Browser(app)
    done = browser.sign_in()
    assert (done.status, done.headers["location"]) == (303, "/")
    me = browser.get("/api/auth/me").json
    assert (me["username"], me["name"], me["email"], me["roles"]) == ("jo", "Jo", "jo@example.org", ["user"])
    again = Browser(app)
    again.sign_in()
    assert again.get("/api/auth/me").json["id"] == me["id"]
    assert app.call("POST", "/api/auth/login", {"username": "jo", "password": ""}).status == 401


@pytest.fixture
def independent() -> Iterator[str]:
    """The issuer of a provider that somebody else wrote, in a process of its own, with one user."""
    port = free_port()
    claims = {"sub": "k-1", "preferred_username": "kim", "name": "Kim", "email": "kim@example.org"}
    program = str(Path(sys.executable).with_name("oidc-provider-mock"))
    process = subprocess.Popen(
        [program, "--port", str(port), "--require-nonce", "true", "--user-claims", json.dumps(claims)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    issuer = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None
        with contextlib.suppress(OSError):
            return ask("GET", f"{issuer}/.well-known/openid-configuration").status == 200
        return False

    try:
        eventually(answers)
        yield issuer
    finally:
        process.terminate()
        process.wait()


def ask(method: str, address: str, form: Mapping[str, str] | None = None) -> http.client.HTTPResponse:
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    connection.request(
        method,
        f"{parts.path}?{parts.query}",
        urlencode(form or {}),
        {"Content-Type": "application/x-www-form-urlencoded"},
    )
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


def test_a_provider_that_somebody_else_wrote_is_understood(start: Starter, independent: str) -> None:
    redirect = "http://sortie.example.org/api/auth/oidc/callback"
    app = start(
        SORTIE_OIDC_ISSUER=independent,
        SORTIE_OIDC_CLIENT_ID=CLIENT,
        SORTIE_OIDC_CLIENT_SECRET=SECRET,
        SORTIE_OIDC_REDIRECT_URL=redirect,
    )
    browser = Browser(app)
    address = browser.get("/api/auth/oidc/login").headers["location"]
    assert parse_qs(urlsplit(address).query)["code_challenge_method"] == ["S256"]
    back = ask("POST", address, {"sub": "k-1"}).headers["Location"]
    assert back.startswith(redirect)
    done = browser.get(back.removeprefix("http://sortie.example.org"))
    assert (done.status, done.headers["location"]) == (303, "/")
    me = browser.get("/api/auth/me").json
    assert (me["username"], me["name"], me["email"], me["roles"]) == (
        "kim",
        "Kim",
        "kim@example.org",
        ["user"],
    )


def test_a_name_at_the_provider_is_nobodys_account_here(app: App, provider: Provider) -> None:
    provider.user = {"sub": "s-2", "preferred_username": "admin", "email": "admin@example.org"}
    browser = Browser(app)
    browser.sign_in()
    me = browser.get("/api/auth/me").json
    assert me["username"].startswith("admin-")
    assert me["roles"] == ["user"]
    assert app.login("admin", PASSWORD)


def test_a_subject_of_another_provider_is_somebody_else(start: Starter, provider: Provider) -> None:
    database = start.database()
    first = Browser(start(database, **settings(provider)))
    first.sign_in()
    first.app.stop()
    other = Provider()
    try:
        second = Browser(start(database, **settings(other)))
        second.sign_in()
        ids = [
            row["id"]
            for row in second.app.get("/api/users", second.app.login()).json
            if row["auth_provider"] == "oidc"
        ]
        assert len(ids) == 2
        again = Browser(second.app)
        again.sign_in()
        assert again.get("/api/auth/me").json["id"] == second.get("/api/auth/me").json["id"]
    finally:
        other.close()


def test_a_user_of_before_belongs_to_the_provider_of_the_next_sign_in(
    start_sqlite: Starter, provider: Provider
) -> None:
    database = start_sqlite.database()
    app = start_sqlite(database, **settings(provider))
    browser = Browser(app)
    browser.sign_in()
    before = browser.get("/api/auth/me").json["id"]
    with contextlib.closing(sqlite3.connect(database["SORTIE_DB"])) as connection:
        connection.execute("UPDATE users SET auth_provider_id = 's-1' WHERE id = ?", [before])
        connection.commit()
    for _ in range(2):
        later = Browser(app)
        later.sign_in()
        assert later.get("/api/auth/me").json["id"] == before
    with contextlib.closing(sqlite3.connect(database["SORTIE_DB"])) as connection:
        (kept,) = connection.execute("SELECT auth_provider_id FROM users WHERE id = ?", [before]).fetchone()
    assert kept != "s-1"


def test_a_provider_that_does_not_answer_leaves_threads_for_the_rest(
    start_sqlite: Starter, provider: Provider
) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=20) as silent:
        issuer = f"http://127.0.0.1:{silent.getsockname()[1]}"
        app = start_sqlite(**settings(provider) | {"SORTIE_OIDC_ISSUER": issuer, "SORTIE_THREADS": "4"})
        with ThreadPoolExecutor(8) as pool:
            replies = [pool.submit(app.get, "/api/auth/oidc/login") for _ in range(8)]
            wait(replies, return_when=FIRST_COMPLETED)
            assert app.get("/api/apps").status == 200
            statuses = [reply.result().status for reply in replies if reply.done()]
            assert statuses
            assert set(statuses) == {503}
            # The two that wait are told so at once when the provider hangs up.
            for _ in range(2):
                silent.accept()[0].close()
        assert sorted(reply.result().status for reply in replies) == [502] * 2 + [503] * 6


def test_another_browsers_attempt_is_refused(app: App) -> None:
    address = Browser(app).begin()
    assert app.get(address).error["code"] == "attempt_unknown"
    other = Browser(app)
    other.begin()
    assert other.get(address).error["code"] == "attempt_unknown"


def test_a_code_works_once(app: App) -> None:
    browser = Browser(app)
    address = browser.begin()
    attempt = browser.cookies["sortie_oidc"]
    assert browser.get(address).status == 303
    browser.cookies["sortie_oidc"] = attempt
    assert browser.get(address).status == 502


def test_a_refusal_is_told(app: App) -> None:
    browser = Browser(app)
    state = parse_qs(urlsplit(browser.begin()).query)["state"][0]
    reply = browser.get(f"/api/auth/oidc/callback?state={state}&error=access_denied")
    assert reply.status == 403
    assert "access_denied" in reply.error["message"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"nonce": "other"},
        {"aud": "other"},
        {"iss": "http://other"},
        {"exp": int(time.time()) - 3600},
        {"sub": None},
    ],
)
def test_a_wrong_token_is_refused(start_sqlite: Starter, provider: Provider, wrong: dict[str, Any]) -> None:
    app = start_sqlite(**settings(provider))
    provider.wrong = wrong
    browser = Browser(app)
    assert browser.sign_in().status == 502
    assert "sortie_session" not in browser.cookies


def test_a_token_signed_by_another_key_is_refused(start_sqlite: Starter, provider: Provider) -> None:
    app = start_sqlite(**settings(provider))
    provider.signing_key = RSAKey.generate_key(2048, {"kid": "k1"})
    assert Browser(app).sign_in().status == 502


def test_a_provider_that_is_away_is_told_and_the_rest_works(
    start_sqlite: Starter, provider: Provider
) -> None:
    app = start_sqlite(**settings(provider) | {"SORTIE_OIDC_ISSUER": f"http://127.0.0.1:{free_port()}"})
    assert app.get("/api/auth/oidc/login").error["code"] == "identity_provider"
    assert app.login()


def test_without_a_provider_there_is_nothing(shared: App) -> None:
    assert shared.get("/api/auth/oidc/login").status == 404
