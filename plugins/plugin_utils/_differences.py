# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Shows what differs in objects, as text: Ansible does not show the differences of a list."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from ansible_collections.sortie.platform.plugins.plugin_utils._plan import Plan
from ansible_collections.sortie.platform.plugins.plugin_utils._render import to_yaml
from ansible_collections.sortie.platform.plugins.plugin_utils._steps import Steps, describe, object_results

# What the server keeps for itself.
OF_THE_SERVER = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid")


def _shown(manifest: Mapping[str, Any]) -> list[str]:
    """The part of an object that someone may have written, as lines."""
    metadata = {
        name: value for name, value in (manifest.get("metadata") or {}).items() if name not in OF_THE_SERVER
    }
    rest = {name: value for name, value in manifest.items() if name not in ("metadata", "status")}
    shown = ({"metadata": metadata} if metadata else {}) | rest
    return to_yaml(shown).splitlines() if shown else []


def tenant_differences(plan: Plan, steps: Steps) -> str:
    """Before and after of each object that changed."""
    lines: list[str] = []
    for tenant, results in object_results(plan, steps, "apply").items():
        for manifest, result in results:
            if result.get("changed") and (diff := result.get("diff")):
                name = f"{tenant}: {describe(manifest)}"
                before, after = _shown(diff["before"]), _shown(diff["after"])
                lines += difflib.unified_diff(
                    before, after, f"before  {name}", f"after   {name}", lineterm=""
                )
    return "\n".join(lines) + "\n"
