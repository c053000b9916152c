# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Says what the removal of a tenant takes away, and what it leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.sortie.platform.plugins.plugin_utils._plan import (
    Manifest,
    Tenant,
    kubectl,
    unreachable,
)
from ansible_collections.sortie.platform.plugins.plugin_utils._steps import describe


def tenant_removal(tenant: Tenant, info: Mapping[str, Any], remove_data: bool) -> dict[str, Any]:
    """What is to be removed of a tenant.

    - `refused`: why it must not be touched; empty if it may
    - `objects`: what is removed, Deployment first so that nothing writes any more
    - `kept`: what stays, in words
    """
    if info["error"]:
        return {"refused": unreachable(tenant, info), "objects": [], "kept": []}
    found = info["tenants"][tenant["tenant"]]
    owner, namespace = found["namespace_owner"], tenant["namespace"]
    if found["namespace_exists"] and owner != tenant["tenant"]:
        whose = f"belongs to tenant {owner}" if owner else "was not made by this collection"
        return {"refused": f"namespace {namespace} {whose}", "objects": [], "kept": []}
    objects = sorted(found["objects"], key=lambda entry: entry["kind"] != "Deployment")
    space: Manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    spaces = [space] if found["namespace_exists"] else []
    data = found["data"]
    if not remove_data:
        return {"refused": "", "objects": objects, "kept": _names([*data, *spaces])}
    if boolean(tenant["adopt_namespace"]):
        return {"refused": "", "objects": [*objects, *data], "kept": _names(spaces)}
    return {"refused": "", "objects": [*objects, *data, *spaces], "kept": []}


def _names(manifests: Sequence[Manifest]) -> list[str]:
    return [describe(manifest) for manifest in manifests]


def removal_summary(removal: Mapping[str, Any], tenant: Tenant, check_mode: bool = False) -> str:
    """What became of the tenant, and how its data is reached."""
    objects: Sequence[Manifest] = removal["objects"]
    verb = "Would be removed" if check_mode else "Removed"
    lines = [f"{verb}: " + (", ".join(_names(objects)) or "nothing, it was not there")]
    if removal["kept"]:
        lines += [
            "Kept: " + ", ".join(removal["kept"]),
            f"Bring the tenant back: deploy.yml --limit {tenant['tenant']}",
            f"Look at what is kept: {kubectl(tenant)} get persistentvolumeclaims,secrets",
        ]
    return "\n".join(lines) + "\n"
