"""What render.yml writes for a tenant whose secrets External Secrets Operator brings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.sortie.platform.plugins.plugin_utils._plan import secret_keys
from ansible_collections.sortie.platform.tests.playbook import rendered_by
from ansible_collections.sortie.platform.tests.unit.plugins.tenants import tenant

STORED = {"secrets": "external", "external_secret_store": "vault"}
TENANTS: dict[str, dict[str, Any]] = {
    "acme": STORED,
    "globex": {
        **STORED,
        "external_secret_store_kind": "SecretStore",
        "external_secret_key": "teams/globex: portal",
        "ingress_host": "globex.example.com",
        "database": "postgresql",
    },
    "initech": {
        **STORED,
        "ingress_host": "initech.example.com",
        "litestream": True,
        "litestream_bucket": "replicas",
    },
}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("external")
    variables = {
        name: {f"sortie_{key}": value for key, value in given.items()} for name, given in TENANTS.items()
    }
    return rendered_by(directory, variables)


@pytest.mark.parametrize("name", TENANTS)
def test_every_key_that_the_pods_read_is_asked_of_the_store(rendered: Path, name: str) -> None:
    manifest = yaml.safe_load((rendered / name / "externalsecret-sortie-secrets.yaml").read_text())
    given = TENANTS[name]
    key = given.get("external_secret_key", name)
    assert manifest["spec"] == {
        "refreshInterval": "1h",
        "secretStoreRef": {
            "name": "vault",
            "kind": given.get("external_secret_store_kind", "ClusterSecretStore"),
        },
        "target": {"name": "sortie-secrets", "creationPolicy": "Owner"},
        "data": [
            {"secretKey": entry, "remoteRef": {"key": key, "property": entry}}
            for entry in secret_keys(tenant(name, **given))
        ],
    }


def test_nobody_is_told_to_bring_what_the_operator_brings(rendered: Path) -> None:
    assert "sortie-secrets" not in (rendered / "acme" / "README.md").read_text()
