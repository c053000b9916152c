"""Secrets are made anew on request, whole or not at all."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import pytest

from ansible_collections.sortie.platform.plugins.module_utils._backup_tenant import Place
from ansible_collections.sortie.platform.plugins.module_utils._rotate import RotateError, rotate
from ansible_collections.sortie.platform.tests.unit.plugins.backups.tenant_cluster import Socket, frames
from ansible_collections.sortie.platform.tests.unit.plugins.fakes import FakeApi, encoded

PLACE = Place("acme", "sortie-acme")
SECRET = "/api/v1/namespaces/sortie-acme/secrets/sortie-secrets"
DEPLOYMENT = "/apis/apps/v1/namespaces/sortie-acme/deployments/sortie"
POD = "/api/v1/namespaces/sortie-acme/pods/sortie-1"


class Tenant(FakeApi):
    """A tenant that runs. `given` is what its `sortie user reset-password` read; `exit_code` is how that ends."""

    def __init__(self) -> None:
        super().__init__()
        self.given, self.exit_code = b"", 0
        self.put(SECRET, {"data": encoded({"jwt-secret": "old-key", "admin-password": "old-password"})})
        self.put(
            DEPLOYMENT,
            {"metadata": {"name": "sortie", "labels": {"sortie.platform/tenant": "acme"}}, "spec": {}},
        )
        metadata = {"name": "sortie-1", "namespace": "sortie-acme", "labels": {"app": "sortie"}}
        ready = {"containerStatuses": [{"name": "sortie", "ready": True}]}
        self.put(
            POD, {"metadata": {**metadata, "creationTimestamp": "2026-01-01T00:00:00Z"}, "status": ready}
        )

    def delete(self, path: str, query: Any = None) -> None:
        raise AssertionError("nothing is removed")

    def open_stream(self, path: str, query: Sequence[tuple[str, str]]) -> Socket:
        assert [value for name, value in query if name == "command"][:4] == [
            "sortie",
            "user",
            "reset-password",
            "admin",
        ]

        def run(given: bytes) -> list[bytes]:
            self.given = given
            return frames(b"", b"sortie: no user admin" if self.exit_code else b"", self.exit_code)

        return Socket([], [], run)

    @property
    def data(self) -> dict[str, str]:
        return {
            name: base64.b64decode(value).decode() for name, value in self.objects[SECRET]["data"].items()
        }

    @property
    def restarted(self) -> bool:
        return "template" in self.objects[DEPLOYMENT]["spec"]


def test_a_new_key_keeps_the_one_of_before_and_restarts_the_pods() -> None:
    api = Tenant()
    assert rotate(api, PLACE, ["jwt-secret"]) == ["jwt-secret", "jwt-secret-previous"]
    assert len(api.data["jwt-secret"]) == 64
    assert api.data["jwt-secret-previous"] == "old-key"
    assert api.data["admin-password"] == "old-password"
    assert api.restarted


def test_a_key_that_somebody_else_has_is_forgotten() -> None:
    api = Tenant()
    rotate(api, PLACE, ["jwt-secret"])
    assert rotate(api, PLACE, ["jwt-secret"], keep_previous=False) == ["jwt-secret", "jwt-secret-previous"]
    assert "jwt-secret-previous" not in api.data


def test_a_new_password_is_the_administrators_before_it_is_in_the_secret() -> None:
    api = Tenant()
    assert rotate(api, PLACE, ["admin-password"]) == ["admin-password"]
    assert api.given == api.data["admin-password"].encode() + b"\n"
    assert api.data["admin-password"] != "old-password"
    assert not api.restarted


def test_a_password_that_cannot_be_set_changes_nothing() -> None:
    api = Tenant()
    api.exit_code = 1
    with pytest.raises(
        RotateError, match=r"no user admin\. Nothing was changed\. Next: .*rotate_keys=jwt-secret"
    ):
        rotate(api, PLACE, ["jwt-secret", "admin-password"])
    assert api.data == {"jwt-secret": "old-key", "admin-password": "old-password"}


def test_check_mode_changes_nothing() -> None:
    api = Tenant()
    assert rotate(api, PLACE, ["jwt-secret"], dry_run=True) == ["jwt-secret", "jwt-secret-previous"]
    assert api.data == {"jwt-secret": "old-key", "admin-password": "old-password"}
    assert not api.restarted


def test_a_tenant_without_secrets_is_told() -> None:
    api = Tenant()
    api.objects.pop(SECRET)
    with pytest.raises(
        RotateError, match=r"has no jwt-secret\. Nothing was changed\. Next: .*deploy\.yml --limit acme"
    ):
        rotate(api, PLACE, ["jwt-secret"])
