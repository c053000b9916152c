# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Tells what a tenant's move to another database did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.sortie.platform.plugins.plugin_utils._plan import Tenant
from ansible_collections.sortie.platform.plugins.plugin_utils._summary import table, url

OLD = {
    "postgresql": "volume sortie-data, whose sortie.db was only read",
    "sqlite": "the PostgreSQL database, which was only read",
}


def migrate_summary(report: Mapping[str, Any], tenant: Tenant, check_mode: bool = False) -> str:
    """What was moved, and what is left of where it was."""
    name, to = tenant["tenant"], tenant["database"]
    if not report:
        return f"{name} is on {to} already; nothing had to be moved.\n"
    if check_mode:
        return f"{name} would be moved from {report['from']} to {to}; the database there will do.\n"
    rows = [
        {"table": entry, "rows": told["rows"], "sha256": told["sha256"][:16]}
        for entry, told in sorted(report["tables"].items())
    ]
    lines = [
        f"{name} is on {to}: {report['rows']} rows in {report['seconds']} s, each table compared by its hash.",
        "",
        table(rows, ("table", "rows", "sha256")),
        "",
        f"Served at {url(tenant)}. Kept: {OLD[to]}.",
    ]
    return "\n".join(lines) + "\n"
