# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""The decisions and the words of the role `sortie`, as filters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.sortie.platform.plugins.plugin_utils import (
    _description,
    _differences,
    _migration,
    _plan,
    _removal,
    _render,
    _status,
    _steps,
    _summary,
)


class FilterModule:
    """The filters of this file, by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "all_tenant_mistakes": _description.all_mistakes,
            "manifest_objects": _render.manifest_objects,
            "migrate_summary": _migration.migrate_summary,
            "removal_summary": _removal.removal_summary,
            "render_summary": _render.render_summary,
            "signed_images": _plan.signed_images,
            "status_failure": _status.status_failure,
            "status_text": _status.status_text,
            "tenant_catalogs": _steps.tenant_catalogs,
            "tenant_databases": _steps.tenant_databases,
            "tenant_description": _description.tenant_description,
            "tenant_differences": _differences.tenant_differences,
            "tenant_endpoints": _status.tenant_endpoints,
            "tenant_failure": _summary.tenant_failure,
            "tenant_files": _render.tenant_files,
            "tenant_manifests": _steps.tenant_manifests,
            "tenant_mistakes_table": _description.mistakes_table,
            "tenant_neighbours": _description.tenant_neighbours,
            "tenant_options": _description.tenant_options,
            "tenant_orphans": _steps.tenant_orphans,
            "tenant_outcomes": _summary.tenant_outcomes,
            "tenant_postgresql": _steps.tenant_postgresql,
            "tenant_database": _steps.database,
            "tenant_plan": _plan.tenant_plan,
            "tenant_queries": _plan.tenant_queries,
            "tenant_removal": _removal.tenant_removal,
            "tenant_secrets": _steps.tenant_secrets,
            "tenant_statuses": _status.tenant_statuses,
            "tenant_summary": _summary.tenant_summary,
            "tenant_workloads": _steps.tenant_workloads,
            "tenants_by_cluster": _plan.tenants_by_cluster,
        }
