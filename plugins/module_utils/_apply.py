# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Applies the objects of many namespaces: those of one in their order, several namespaces at a time."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible_collections.sortie.platform.plugins.module_utils._cluster import (
    KINDS,
    Api,
    ClusterError,
    Manifest,
    apply,
)

# Namespaces at a time. More of them only wait for the API server.
AT_ONCE = 8
# What the server writes whenever it writes anything.
OF_THE_SERVER = {"generation", "managedFields", "resourceVersion"}


def content(manifest: Manifest) -> Manifest:
    """The part of an object by which a change is seen."""
    metadata = {name: value for name, value in manifest["metadata"].items() if name not in OF_THE_SERVER}
    return {name: value for name, value in manifest.items() if name != "status"} | {"metadata": metadata}


def apply_one(api: Api, manifest: Manifest, *, dry_run: bool) -> dict[str, Any]:
    """(changed, and if so diff) or (error) of one object."""
    metadata = manifest["metadata"]
    try:
        before = api.get(KINDS[manifest["kind"]].path(metadata.get("namespace"), metadata["name"]))
        after = apply(api, manifest, dry_run=dry_run)
    except ClusterError as error:
        return {"changed": False, "error": {"msg": str(error), "status": error.status}}
    if before and content(before) == content(after):
        return {"changed": False}
    return {"changed": True, "diff": {"before": content(before) if before else {}, "after": content(after)}}


def apply_all(api: Api, manifests: Sequence[Manifest], *, dry_run: bool = False) -> list[dict[str, Any]]:
    """What `apply_one` tells of each object, in their order. An object that is refused stops no other."""
    groups: dict[str, list[int]] = {}
    for number, manifest in enumerate(manifests):
        metadata = manifest["metadata"]
        groups.setdefault(metadata.get("namespace") or metadata["name"], []).append(number)
    results: list[dict[str, Any]] = [{} for _manifest in manifests]

    def apply_group(numbers: Sequence[int]) -> None:
        for number in numbers:
            results[number] = apply_one(api, manifests[number], dry_run=dry_run)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        # Looked at, so that what nobody expected is raised.
        list(pool.map(apply_group, groups.values()))
    return results
