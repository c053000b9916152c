"""What becomes a fact of a tenant holds no secret, and neighbours are known without their role defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ansible.errors import AnsibleUndefinedVariable

from ansible_collections.sortie.platform.plugins.plugin_utils._description import (
    all_mistakes,
    mistakes_table,
    tenant_description,
    tenant_neighbours,
    tenant_options,
)
from ansible_collections.sortie.platform.tests.unit.plugins.tenants import (
    OPTIONS,
    describe,
    tenant,
    variables,
)

DEFAULTS = {
    "kubeconfig": "/made",
    "context": "",
    "namespace": "sortie-{tenant}",
    "ingress_host": "example.com",
}


def test_options_are_reduced_to_what_tenants_are_checked_by() -> None:
    specs = {
        "sortie_tls": {"type": "str", "choices": ["none"], "default": "none", "description": "Words"},
        "sortie_apps": {"type": "list", "elements": "dict", "options": {"id": {"type": "str"}}},
        "sortie_jwt_secret": {"type": "str", "no_log": True},
    }
    assert tenant_options(specs) == {
        "sortie_tls": {"type": "str", "choices": ["none"]},
        "sortie_apps": {"type": "list", "elements": "dict"},
        "sortie_jwt_secret": {"type": "str", "no_log": True},
    }


def test_secret_variables_are_left_out() -> None:
    described = describe(
        jwt_secret="hush", admin_password="hush", database_dsn="hush", tls_private_key="hush"
    )
    assert "hush" not in str(described)
    assert not {"jwt_secret", "admin_password", "database_dsn", "tls_private_key"} & set(described)


def test_branding_is_what_the_configuration_file_holds() -> None:
    assert describe(branding_tenant_name="Acme")["branding"] == {
        "logo_url": "https://your-cdn.com/logo.png",
        "primary_color": "#398D9B",
        "secondary_color": "#4AB7C3",
        "tenant_name": "Acme",
    }


def test_where_no_cluster_is_needed_none_has_to_be_given() -> None:
    values = list(variables(kubeconfig="").values())
    assert tenant_description(values, "acme", OPTIONS, [], needs_cluster=False)["mistakes"] == []


def test_neighbours_have_their_own_values_or_the_defaults() -> None:
    hosts = {"globex": {"sortie_namespace": "globex"}, "initech": {}}
    assert tenant_neighbours(["globex", "initech"], hosts, DEFAULTS) == [
        {
            "tenant": "globex",
            "kubeconfig": "/made",
            "context": "",
            "namespace": "globex",
            "ingress_host": "example.com",
        },
        {
            "tenant": "initech",
            "kubeconfig": "/made",
            "context": "",
            "namespace": "sortie-initech",
            "ingress_host": "example.com",
        },
    ]


def test_a_neighbour_whose_variables_are_broken_stops_nobody() -> None:
    class Broken(Mapping[str, str]):
        def __getitem__(self, name: str) -> str:
            raise AnsibleUndefinedVariable(name)

        def __iter__(self) -> Iterator[str]:
            return iter(())

        def __len__(self) -> int:
            return 0

    found = tenant_neighbours(["globex"], {"globex": Broken()}, DEFAULTS)
    assert found[0]["namespace"] == "sortie-globex"


def test_mistakes_of_all_tenants_come_in_one_sorted_table() -> None:
    tenants = [tenant("globex", branding_primary_color="blue"), tenant("acme", replicas=2)]
    text = mistakes_table(all_mistakes(tenants, []))
    assert text.startswith("2 mistakes in the inventory. Nothing was changed.")
    assert [line.split()[:2] for line in text.splitlines()[2:]] == [
        ["TENANT", "VARIABLE"],
        ["acme", "sortie_replicas"],
        ["globex", "sortie_branding_primary_color"],
    ]
