# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Tells what became of each tenant, in words and as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.sortie.platform.plugins.plugin_utils._plan import Plan, Tenant, kubectl
from ansible_collections.sortie.platform.plugins.plugin_utils._steps import Steps, changes, problems


def url(tenant: Tenant) -> str:
    scheme, usual = ("http", 80) if tenant["tls"] == "none" else ("https", 443)
    port = int(tenant["ingress_port"])
    return f"{scheme}://{tenant['ingress_host']}" + ("" if port == usual else f":{port}")


def password(tenant: Tenant) -> str:
    """The command that prints the tenant's first password."""
    if tenant["secrets"] == "vault":
        return "sortie_admin_password, in the inventory's vault"
    field = "jsonpath='{.data.admin-password}'"
    return f"{kubectl(tenant)} get secret sortie-secrets --output {field} | base64 --decode"


def tenant_outcomes(plan: Plan, steps: Steps, check_mode: bool = False) -> list[dict[str, Any]]:
    """What became of each tenant of a cluster, out of the results of all steps."""
    changed, failed = changes(plan, steps), problems(plan, steps)
    outcomes = []
    for tenant in plan["tenants"]:
        name = tenant["tenant"]
        if name in failed:
            state = "refused" if name in plan["refused"] else "failed"
        elif check_mode:
            number = len(changed[name])
            state = plan["expected"].get(name) or (
                f"{number} changes would be made" if number else "unchanged"
            )
        else:
            state = "serving, changed" if changed[name] else "serving, unchanged"
        outcomes.append(
            {
                "tenant": name,
                "url": url(tenant),
                "state": state,
                "changes": changed[name],
                "problem": failed.get(name, ""),
                "look": f"{kubectl(tenant)} get pods,events",
                "password": "" if check_mode or name in failed else password(tenant),
            }
        )
    return outcomes


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Rows as text, each column as wide as its widest value; without spaces at the ends of lines."""
    cells = [[str(row.get(column, "")) for column in columns] for row in rows]
    head = [column.upper().replace("_", " ") for column in columns]
    widths = [max(len(line[place]) for line in [head, *cells]) for place in range(len(columns))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in [head, *cells]
    )


def tenant_summary(outcomes: Sequence[Mapping[str, Any]], check_mode: bool = False) -> str:
    """The end of a deployment: the table, what changed, where the first passwords are."""
    parts = [table(outcomes, ["tenant", "url", "state"])]
    changed = [f"{outcome['tenant']}: {change}" for outcome in outcomes for change in outcome["changes"]]
    if changed:
        parts.append(
            "\n".join(["Would change:" if check_mode else "Changed:", *(f"  {line}" for line in changed)])
        )
    elif not any(outcome["problem"] for outcome in outcomes):
        parts.append("Nothing has to be changed." if check_mode else "Nothing had to be changed.")
    passwords = [
        f"  {outcome['tenant']}: {outcome['password']}" for outcome in outcomes if outcome["password"]
    ]
    if passwords:
        parts.append("\n".join(["First password of user admin:", *passwords]))
    return "\n\n".join(parts) + "\n"


def tenant_failure(outcome: Mapping[str, Any]) -> str:
    """Why a tenant failed, what state it is in, and what to type next."""
    name, refused = outcome["tenant"], outcome["state"] == "refused"
    if refused:
        state = "nothing of it was changed"
    elif outcome["changes"]:
        state = f"{len(outcome['changes'])} changes were made before that, as listed above"
    else:
        state = "nothing of it was changed in this run"
    look = "" if refused else f"{outcome['look']}   and then   "
    return (
        f"{name} {outcome['state']}: {outcome['problem']}\n"
        f"  State: {state}. Other tenants are not affected.\n"
        f"  Next: {look}the same command again, with --limit {name}"
    )
