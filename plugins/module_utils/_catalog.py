# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Brings a tenant's catalogue to what the inventory says, and proves that the tenant is served."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.sortie.platform.plugins.module_utils._http import (
    Client,
    Endpoint,
    HttpError,
    service_token,
)

# While an ingress controller takes up a new object it answers these itself, or closes the connection.
PASSING = {0, 404, 418, 502, 503, 504}


@dataclass(frozen=True)
class Wanted:
    """What a tenant should serve."""

    endpoint: Endpoint
    signing_key: str
    applications: Sequence[Mapping[str, Any]] = ()
    categories: Sequence[Mapping[str, Any]] = ()
    branding: Mapping[str, str] = field(default_factory=dict)
    prune: bool = True
    timeout: float = 30


@dataclass
class Outcome:
    """What became of it."""

    url: str
    changed: list[str] = field(default_factory=list)
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    error: str = ""


def verify(client: Client, branding: Mapping[str, str]) -> None:
    """The three answers that make a tenant served: ready, with its catalogue, under its own branding."""
    client.get("/readyz")
    client.get("/api/apps")
    shown = client.get("/api/config").json()
    wrong = [
        f"{name} is {shown.get(name)!r}, not {value!r}"
        for name, value in branding.items()
        if shown.get(name) != value
    ]
    if wrong:
        raise HttpError(f"{client.endpoint.url} shows another branding: " + "; ".join(wrong), status=503)


def wait_until_served(
    client: Client,
    branding: Mapping[str, str],
    timeout: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Verifies for as long as an ingress controller may need to see what was just changed: `timeout` seconds at most."""
    started, pause = clock(), 0.1
    while True:
        try:
            verify(client, branding)
        except HttpError as error:
            if error.status not in PASSING or clock() - started >= timeout:
                raise
            sleep(pause)
            pause = min(pause * 2, 1.0)
        else:
            return


def catalogue_changes(answer: Mapping[str, Any]) -> list[str]:
    """The import's answer in words: `application wiki created`."""
    changes = [
        f"application {name} {verb}"
        for verb in ("created", "updated", "removed")
        for name in answer.get(verb) or []
    ]
    categories = answer.get("categories") or {}
    return changes + [
        f"category {name} {verb}"
        for verb in ("created", "updated", "removed")
        for name in categories.get(verb) or []
    ]


def _view(catalogue: Mapping[str, Any]) -> dict[str, Any]:
    """A catalogue as a diff shows it: its applications by id."""
    applications = catalogue.get("applications") or []
    return {"applications": sorted(applications, key=lambda application: str(application["id"]))}


def _expected(before: Mapping[str, Any], wanted: Wanted, answer: Mapping[str, Any]) -> dict[str, Any]:
    """The catalogue as it will be, for a diff in check mode."""
    gone = set(answer.get("removed") or [])
    there = {
        application["id"]: application
        for application in before["applications"]
        if application["id"] not in gone
    }
    given = {str(application["id"]): application for application in wanted.applications}
    applications = [there.get(name, {}) | given.get(name, {}) for name in {**there, **given}]
    return {"applications": applications}


def bring(client: Client, wanted: Wanted, outcome: Outcome, *, dry_run: bool) -> None:
    """Imports the catalogue, all of it or nothing, if a dry run says that this changes something."""
    token = service_token(wanted.signing_key)
    body = {"applications": list(wanted.applications), "categories": list(wanted.categories)}
    prune = f"prune={json.dumps(wanted.prune)}"
    answer = client.post(f"/api/catalog?dry_run=true&{prune}", body, token).json()
    if not answer["changed"]:
        return
    outcome.before = _view(client.get("/api/catalog", token).json())
    if dry_run:
        outcome.after = _view(_expected(outcome.before, wanted, answer))
    else:
        answer = client.post(f"/api/catalog?dry_run=false&{prune}", body, token).json()
        outcome.after = _view(client.get("/api/catalog", token).json())
    outcome.changed = catalogue_changes(answer)


def serve(wanted: Wanted, *, dry_run: bool = False) -> Outcome:
    """Verifies a tenant and brings its catalogue; a failure is part of the outcome."""
    outcome = Outcome(wanted.endpoint.url)
    client = Client(wanted.endpoint)
    try:
        if dry_run:
            # Nothing was applied, so the page may rightly show the branding of before.
            client.get("/readyz")
        else:
            wait_until_served(client, wanted.branding, wanted.timeout)
        bring(client, wanted, outcome, dry_run=dry_run)
    except HttpError as error:
        outcome.error = str(error)
    finally:
        client.close()
    return outcome
