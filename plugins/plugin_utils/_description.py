# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Says what a tenant is to be, out of its variables, in a form that may become a fact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleError

from ansible_collections.sortie.platform.plugins.plugin_utils._plan import Tenant, plain
from ansible_collections.sortie.platform.plugins.plugin_utils._summary import table
from ansible_collections.sortie.platform.plugins.plugin_utils._validation import (
    PREFIX,
    clashes,
    tenant_mistakes,
)

# Facts of the role itself, which look like variables of a tenant.
OWN_FACTS = {"sortie_outcomes", "sortie_tenant"}
BRANDING = ("logo_url", "primary_color", "secondary_color", "tenant_name")
CHECKED_BY = ("type", "elements", "choices", "no_log")


def tenant_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """What of a role's argument_specs its tenants are checked by: the fewer and the plainer, the faster is every tenant."""
    return {
        str(name): plain({key: option[key] for key in CHECKED_BY if key in option})
        for name, option in options.items()
    }


def tenant_description(
    values: Sequence[Any],
    tenant: str,
    options: Mapping[str, Any],
    names: Iterable[str],
    needs_cluster: bool = True,
) -> dict[str, Any]:
    """A tenant's variables without their prefix and without the secret ones, its branding and its mistakes.

    `values` are in the order of `options`; `names` are all variables of the tenant that start with `sortie_`.
    """
    variables = dict(zip(options, values, strict=True)) | {"tenant": tenant}
    unknown = set(names) - set(options) - OWN_FACTS
    public = {
        name.removeprefix(PREFIX): variables[name]
        for name, option in options.items()
        if not option.get("no_log")
    }
    return {
        **public,
        "tenant": tenant,
        "branding": {name: str(public[f"branding_{name}"]) for name in BRANDING},
        "mistakes": [
            vars(mistake)
            for mistake in tenant_mistakes(variables, options, unknown)
            if needs_cluster or mistake.variable != "sortie_kubeconfig"
        ],
    }


def tenant_neighbours(
    names: Iterable[str],
    variables: Mapping[str, Mapping[str, Any]],
    defaults: Mapping[str, str],
) -> list[dict[str, str]]:
    """Tenants of the inventory that are not in the play, as far as it takes to see whether they clash.

    Role defaults are not among their variables (`hostvars`), so `defaults` says them, with `{tenant}` for the
    name: of everything by which tenants can clash.
    """
    return [
        {"tenant": name}
        | {
            part: _value(variables[name], PREFIX + part, defaults[part].format(tenant=name))
            for part in defaults
        }
        for name in names
    ]


def _value(variables: Mapping[str, Any], name: str, default: str) -> str:
    try:
        return str(variables[name])
    except (KeyError, AnsibleError):
        # Not set; or it cannot be told, which is for the run to say that has this tenant in its limit.
        return default


def all_mistakes(tenants: Sequence[Tenant], neighbours: Sequence[Tenant]) -> list[dict[str, str]]:
    """Every mistake of every tenant, and every clash."""
    found = [mistake for tenant in tenants for mistake in tenant["mistakes"]]
    return found + [vars(clash) for clash in clashes(tenants, neighbours)]


def mistakes_table(mistakes: Sequence[Mapping[str, str]]) -> str:
    """The mistakes as text."""
    rows = sorted(mistakes, key=lambda mistake: (mistake["tenant"], mistake["variable"]))
    count = "1 mistake" if len(rows) == 1 else f"{len(rows)} mistakes"
    return (
        f"{count} in the inventory. Nothing was changed. Mend them, then run the same command again.\n\n"
        + table(rows, ["tenant", "variable", "value", "expected"])
        + "\n"
    )
