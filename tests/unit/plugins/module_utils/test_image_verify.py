"""How the registries of images with signatures are spoken to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.sortie.platform.plugins.module_utils._image_registry import Registry, registry_of
from ansible_collections.sortie.platform.plugins.modules.image_verify import problem_of

AUTH = Path("/auth.json")


@pytest.mark.parametrize(
    ("host", "given", "registry"),
    [
        ("registry.test", {}, Registry("registry.test/team", None, True)),
        ("localhost:5000", {}, Registry("localhost:5000/team", None, False)),
        ("localhost:5000", {"auth_file": ""}, Registry("localhost:5000/team", None, False)),
        ("registry.test", {"auth_file": "/auth.json"}, Registry("registry.test/team", AUTH, True)),
        ("10.0.0.1:5000", {"tls_verify": False}, Registry("10.0.0.1:5000/team", None, False)),
        ("registry.test", {"tls_verify": "false"}, Registry("registry.test/team", None, False)),
        ("registry.test", {"tls_verify": None}, Registry("registry.test/team", None, True)),
    ],
)
def test_a_registry_is_spoken_to_as_it_is_said(host: str, given: dict[str, Any], registry: Registry) -> None:
    assert registry_of(host, "team", {host: given, "other.test": {"tls_verify": False}}) == registry


def test_an_image_or_a_key_that_cannot_be_used_is_told_without_asking_a_registry() -> None:
    assert "cannot be read" in problem_of("registry.test/sortie:1", "/no/such/key.pub", {})
