"""Bad input is refused by the playbooks before anything is touched, all mistakes at once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.sortie.platform.tests.playbook import run


def message(output: str) -> str:
    """A playbook's output with every run of white space as one space."""
    return " ".join(output.split())


def tasks(output: str) -> list[str]:
    return re.findall(r"^TASK \[[\w.]+ : (.*?)\]", output, re.MULTILINE)


@pytest.fixture
def tenants() -> dict[str, dict[str, Any]]:
    return {
        "acme": {"sortie_kubeconfig": "/nowhere", "sortie_ingress_host": "acme.example.com"},
        "globex": {"sortie_kubeconfig": "/nowhere", "sortie_ingress_host": "globex.example.com"},
    }


def test_all_mistakes_of_all_tenants_are_told_and_nothing_is_asked(tmp_path: Path, tenants: Any) -> None:
    tenants["acme"] |= {
        "sortie_branding_primary_color": "blue",
        "sortie_replica": 3,
        "sortie_env": {"lower": "x"},
    }
    tenants["globex"] |= {"sortie_replicas": 2, "sortie_storage_size": "many"}
    result = run("tenants", tmp_path, tenants)
    assert result.returncode == 2
    told = message(result.stdout)
    assert "5 mistakes in the inventory. Nothing was changed." in told
    for mistake in (
        "acme sortie_branding_primary_color blue a colour as #RRGGBB",
        "acme sortie_env variables lower names of capital letters",
        "acme sortie_replica a known variable; the nearest is sortie_replicas",
        "globex sortie_replicas 2 1 with sortie_database: sqlite",
        "globex sortie_storage_size many a quantity greater than zero",
    ):
        assert mistake in told
    assert tasks(result.stdout)[-1] == "Refuse mistakes of any tenant"


def test_without_cluster_and_nodes_the_current_context_is_not_used(tmp_path: Path, tenants: Any) -> None:
    del tenants["acme"]["sortie_kubeconfig"]
    told = message(run("tenants", tmp_path, tenants).stdout)
    assert "acme sortie_kubeconfig" in told
    assert "the current context is never used" in told


def test_two_tenants_with_one_host_are_refused(tmp_path: Path, tenants: Any) -> None:
    tenants["globex"]["sortie_ingress_host"] = "acme.example.com"
    told = message(run("tenants", tmp_path, tenants).stdout)
    assert "globex sortie_ingress_host acme.example.com one of its own; tenant acme has this one" in told


def test_a_tenant_in_the_limit_is_compared_with_those_outside(tmp_path: Path, tenants: Any) -> None:
    tenants["acme"]["sortie_namespace"] = "sortie-globex"
    result = run("tenants", tmp_path, tenants, "--limit", "acme")
    assert "acme sortie_namespace sortie-globex one of its own; tenant globex has this one" in message(
        result.stdout
    )


def test_mistakes_of_a_tenant_outside_the_limit_stop_nobody(tmp_path: Path, tenants: Any) -> None:
    tenants["globex"]["sortie_replicas"] = 2
    result = run("render", tmp_path, tenants, "--limit", "acme", "-e", f"render_dir={tmp_path}/rendered")
    assert result.returncode == 0, result.stdout
    assert [path.name for path in (tmp_path / "rendered").iterdir()] == ["acme"]


def test_a_variable_that_cannot_be_templated_stops_the_run_before_anything_is_asked(
    tmp_path: Path, tenants: Any
) -> None:
    tenants["acme"]["sortie_branding_tenant_name"] = "{{ name_of_nobody }}"
    result = run("tenants", tmp_path, tenants)
    assert result.returncode == 2
    assert "'name_of_nobody' is undefined" in message(result.stdout + result.stderr)
    assert tasks(result.stdout)[-1] == "Describe the tenant"


def test_a_kubeconfig_that_does_not_exist_is_told_of_each_tenant(tmp_path: Path, tenants: Any) -> None:
    result = run("tenants", tmp_path, tenants)
    told = message(result.stdout)
    assert result.returncode == 2
    assert (
        "acme refused: there is no kubeconfig /nowhere. Run deploy.yml without --limit to make the cluster"
        in told
    )
    assert "globex refused: there is no kubeconfig /nowhere." in told
    assert "Next: the same command again, with --limit globex" in told


def test_a_cluster_that_does_not_answer_is_told(tmp_path: Path, tenants: Any) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        """
apiVersion: v1
kind: Config
current-context: one
clusters: [{name: one, cluster: {server: "http://127.0.0.1:9"}}]
contexts: [{name: one, context: {cluster: one, user: one}}]
users: [{name: one, user: {}}]
"""
    )
    tenants["acme"]["sortie_kubeconfig"] = str(kubeconfig)
    told = message(run("tenants", tmp_path, tenants, "--limit", "acme").stdout)
    assert (
        f"its cluster (kubeconfig {kubeconfig}) cannot be asked: http://127.0.0.1:9 does not answer" in told
    )
    assert "Connection refused" in told


def test_a_secret_is_never_shown(tmp_path: Path, tenants: Any) -> None:
    tenants["acme"] |= {
        "sortie_secrets": "vault",
        "sortie_jwt_secret": "hush-hush",
        "sortie_admin_password": "hush-hush",
        "sortie_env": {"API_TOKEN": "hush-hush"},
    }
    result = run("tenants", tmp_path, tenants, "-vvv", "--diff")
    assert "acme sortie_jwt_secret (secret) 32 characters or more" in message(result.stdout)
    facts = result.stdout.partition("Refuse mistakes of any tenant")[2]
    assert "hush-hush" not in facts


def test_removal_wants_to_know_which_tenant_is_meant(tmp_path: Path, tenants: Any) -> None:
    for arguments in ((), ("-e", "confirm=initech"), ("-e", "confirm=globex", "--limit", "acme")):
        result = run("remove", tmp_path, tenants, *arguments)
        assert result.returncode == 2
        assert "Nothing was changed. Say which tenant to remove: -e confirm=TENANT, one of acme" in message(
            result.stdout
        )


def test_status_exits_with_an_error_where_a_tenant_is_not_well(tmp_path: Path, tenants: Any) -> None:
    result = run("status", tmp_path, tenants, "--limit", "acme")
    assert result.returncode == 2
    assert "Not every tenant is well. acme: there is no kubeconfig /nowhere" in message(result.stdout)
