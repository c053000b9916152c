"""Files of manifests hold no secret value, and say which Secrets they need."""

from __future__ import annotations

import yaml

from ansible_collections.sortie.platform.plugins.plugin_utils._render import (
    needed_secrets,
    render_summary,
    tenant_files,
    to_yaml,
)
from ansible_collections.sortie.platform.tests.unit.plugins.tenants import tenant


def test_each_object_has_a_file_named_by_kind_and_name() -> None:
    assert list(tenant_files([tenant()])["acme"]) == [
        "namespace-sortie-acme.yaml",
        "configmap-sortie-config.yaml",
        "deployment-sortie.yaml",
        "kustomization.yaml",
        "README.md",
    ]


def test_kustomization_lists_the_objects() -> None:
    kustomization = yaml.safe_load(tenant_files([tenant()])["acme"]["kustomization.yaml"])
    assert kustomization["kind"] == "Kustomization"
    assert kustomization["resources"] == [
        "namespace-sortie-acme.yaml",
        "configmap-sortie-config.yaml",
        "deployment-sortie.yaml",
    ]


def test_text_of_several_lines_is_written_as_such() -> None:
    text = to_yaml({"data": {"branding.json": '{\n  "a": 1\n}\n'}, "list": ["x"]})
    assert text == 'data:\n  branding.json: |\n    {\n      "a": 1\n    }\nlist:\n  - x\n'


def test_strings_that_look_like_other_types_stay_strings() -> None:
    value = {"cpu": "1", "flag": "yes", "port": 80, "on": True, "empty": None}
    assert yaml.safe_load(to_yaml(value)) == value


def test_secrets_are_named_with_their_keys() -> None:
    one = tenant(
        database="postgresql",
        secrets="external",
        tls="provided",
        image_pull_secrets=["registry"],
        env={"OIDC_CLIENT_SECRET": {"secret": "oidc", "key": "client"}},
    )
    assert needed_secrets(one) == {
        "sortie-secrets": {"jwt-secret", "admin-password", "database-dsn"},
        "sortie-tls": {"tls.crt", "tls.key"},
        "registry": {".dockerconfigjson"},
        "oidc": {"client"},
    }
    assert "| oidc | client |" in tenant_files([one])["acme"]["README.md"]


def test_the_summary_counts_files() -> None:
    result: dict[str, dict[str, list[str]]] = {
        "acme": {"written": ["a", "b"], "removed": ["c"]},
        "globex": {"written": [], "removed": []},
    }
    assert render_summary(result, "rendered") == (
        "rendered/acme: 2 files written, 1 files removed\nrendered/globex: nothing to change\n"
    )
