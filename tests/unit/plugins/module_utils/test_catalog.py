"""A tenant's catalogue becomes what is given, and a tenant that is not served as it should be is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.sortie.platform.plugins.module_utils._catalog import Outcome, Wanted, serve
from ansible_collections.sortie.platform.plugins.module_utils._health import check
from ansible_collections.sortie.platform.tests.unit.plugins.tenant_server import (
    BRANDING,
    KEY,
    TenantServer,
    endpoint,
    tenant_server,
)

WIKI = {"id": "wiki", "name": "Wiki", "url": "https://wiki.acme.example"}
CHAT = {"id": "chat", "name": "Chat", "url": "https://chat.acme.example"}


@pytest.fixture
def server() -> Iterator[TenantServer]:
    with tenant_server() as running:
        yield running


def bring(
    server: TenantServer, *applications: dict[str, Any], dry_run: bool = False, **wanted: Any
) -> Outcome:
    given = {"signing_key": KEY, "applications": applications, "branding": BRANDING, "timeout": 5.0, **wanted}
    return serve(Wanted(endpoint(server), **given), dry_run=dry_run)


def test_applications_are_brought(server: TenantServer) -> None:
    outcome = bring(server, WIKI, CHAT)
    assert outcome.error == ""
    assert outcome.changed == ["application chat created", "application wiki created"]
    assert list(server.catalogue) == ["wiki", "chat"]


def test_a_second_time_nothing_changes(server: TenantServer) -> None:
    bring(server, WIKI)
    outcome = bring(server, WIKI)
    assert (outcome.changed, outcome.before, outcome.after) == ([], {}, {})


def test_what_is_no_longer_given_is_removed_and_what_differs_updated(server: TenantServer) -> None:
    bring(server, WIKI, CHAT)
    outcome = bring(server, {**WIKI, "name": "Handbook"})
    assert outcome.changed == ["application wiki updated", "application chat removed"]


def test_before_and_after_are_told(server: TenantServer) -> None:
    bring(server, WIKI)
    outcome = bring(server, WIKI, CHAT)
    assert outcome.before == {"applications": [WIKI]}
    assert outcome.after == {"applications": [CHAT, WIKI]}


def test_check_mode_tells_the_same_and_changes_nothing(server: TenantServer) -> None:
    bring(server, WIKI, CHAT)
    wished = {**WIKI, "name": "Handbook"}
    tried = bring(server, wished, dry_run=True)
    assert list(server.catalogue.values()) == [WIKI, CHAT]
    done = bring(server, wished)
    assert (tried.changed, tried.before, tried.after) == (done.changed, done.before, done.after)


def test_an_ingress_that_takes_its_time_is_waited_for(server: TenantServer) -> None:
    server.unready = 2
    assert bring(server, WIKI).error == ""


def test_a_tenant_that_is_never_served_is_told(server: TenantServer) -> None:
    server.unready = 1000
    assert bring(server, WIKI, timeout=0.2).error == "GET /readyz answered 404"


def test_a_page_with_another_branding_is_told(server: TenantServer) -> None:
    server.branding["tenant_name"] = "Globex"
    error = bring(server, WIKI, timeout=0.0).error
    assert error.endswith("shows another branding: tenant_name is 'Globex', not 'Acme'")


def test_in_check_mode_another_branding_is_no_failure(server: TenantServer) -> None:
    server.branding["tenant_name"] = "Globex"
    assert bring(server, WIKI, dry_run=True).error == ""


def test_a_catalogue_that_is_refused_is_told_in_the_applications_words(server: TenantServer) -> None:
    server.refusal = {"code": "invalid", "message": "is not an address", "field": "applications[0].url"}
    error = bring(server, WIKI).error
    assert error.endswith("answered 400: is not an address (field applications[0].url)")
    assert server.catalogue == {}


def test_a_wrong_signing_key_is_told(server: TenantServer) -> None:
    assert bring(server, WIKI, signing_key="another").error.endswith("answered 401: sign in first")


def test_a_tenant_that_answers_well_is_healthy(server: TenantServer) -> None:
    answer = check(endpoint(server), BRANDING)
    assert (answer["healthy"], answer["message"]) == (True, "")


def test_a_tenant_that_does_not_answer_is_not_healthy(server: TenantServer) -> None:
    server.unready = 1
    assert check(endpoint(server), BRANDING)["message"] == "GET /readyz answered 404"


def test_a_tenant_that_is_not_reached_yet_is_waited_for(server: TenantServer) -> None:
    server.unready = 3
    answer = check(endpoint(server), BRANDING, wait=30, sleep=lambda _seconds: None)
    assert (answer["healthy"], server.unready) == (True, 0)
