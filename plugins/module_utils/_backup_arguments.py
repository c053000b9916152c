# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""The arguments that the modules of backups have in common, and what the code makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.sortie.platform.plugins.module_utils._backup import Settings
from ansible_collections.sortie.platform.plugins.module_utils._backup_tenant import Place
from ansible_collections.sortie.platform.plugins.module_utils._cluster import AUTH_ARGUMENTS
from ansible_collections.sortie.platform.plugins.module_utils._retention import Keep
from ansible_collections.sortie.platform.plugins.module_utils._volume_snapshot import VolumeSnapshots

TENANT_ARGUMENTS: dict[str, Any] = {
    **AUTH_ARGUMENTS,
    "tenant": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
}
REPOSITORY_ARGUMENTS: dict[str, Any] = {
    "repository": {"type": "str", "required": True},
    "password_file": {"type": "path", "required": True, "no_log": False},
    "environment": {"type": "dict", "default": {}, "no_log": True},
}
WORK_ARGUMENTS: dict[str, Any] = {
    "work_dir": {"type": "path", "required": True},
    "cache_dir": {"type": "path", "required": True},
    "lock_timeout": {"type": "float", "default": 600},
}
KEEP_ARGUMENTS: dict[str, Any] = {
    "keep_last": {"type": "int", "default": 7},
    "keep_daily": {"type": "int", "default": 14},
    "keep_weekly": {"type": "int", "default": 8},
    "keep_monthly": {"type": "int", "default": 12},
    "prune": {"type": "bool", "default": True},
    "new_repository": {"type": "bool", "default": False},
    "volume_snapshot": {"type": "bool", "default": False},
    "volume_snapshot_class": {"type": "str", "default": ""},
    "volume_snapshots_keep": {"type": "int", "default": 3},
}


def place_of(given: Mapping[str, Any]) -> Place:
    """The tenant that a module works on."""
    context = f" --context {given['context']}" if given["context"] else ""
    kubectl = f"kubectl --kubeconfig {given['kubeconfig']}{context} --namespace {given['namespace']}"
    return Place(given["tenant"], given["namespace"], kubectl)


def settings_of(given: Mapping[str, Any], repository: Mapping[str, Any] | None = None) -> Settings:
    """The arguments of a module as the code wants them; ValueError if nothing would be kept.

    `repository` has the arguments of another repository than the module's own.
    """
    named = repository or given
    keep = Keep(
        given.get("keep_last", 1),
        given.get("keep_daily", 0),
        given.get("keep_weekly", 0),
        given.get("keep_monthly", 0),
    )
    return Settings(
        repository=named["repository"],
        password_file=Path(named["password_file"]),
        work=Path(given["work_dir"]),
        cache=Path(given["cache_dir"]),
        keep=keep,
        environment={name: str(value) for name, value in (named["environment"] or {}).items()},
        prune=given.get("prune", False),
        new_repository=given.get("new_repository", False),
        lock_seconds=given["lock_timeout"],
        volume=VolumeSnapshots(given["volume_snapshots_keep"], given["volume_snapshot_class"])
        if given.get("volume_snapshot")
        else None,
    )
