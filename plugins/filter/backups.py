# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""The decisions and the words of the roles `backup`, `restore`, `drill` and `export`, as filters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.sortie.platform.plugins.plugin_utils import _backups, _cron


class FilterModule:
    """The filters of this file, by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "backup_mistakes": _backups.backup_mistakes,
            "backup_summary": _backups.backup_summary,
            "drill_summary": _backups.drill_summary,
            "export_summary": _backups.export_summary,
            "is_zone_of": _cron.is_zone_of,
            "on_calendar": _cron.on_calendar,
            "restore_refusal": _backups.restore_refusal,
            "restore_summary": _backups.restore_summary,
            "runner_wanted": _backups.runner_wanted,
        }
