"""A move is told with what was moved and what is kept."""

from __future__ import annotations

from ansible_collections.sortie.platform.plugins.plugin_utils._migration import migrate_summary
from ansible_collections.sortie.platform.tests.unit.plugins.tenants import tenant

REPORT = {
    "from": "SQLite",
    "to": "PostgreSQL",
    "tables": {"users": {"rows": 2, "sha256": "0123456789abcdef0123"}},
    "rows": 2,
    "seconds": 0.5,
}
ON_POSTGRESQL = tenant(database="postgresql")


def test_what_was_moved_and_what_is_kept() -> None:
    words = migrate_summary(REPORT, ON_POSTGRESQL)
    assert words.startswith("acme is on postgresql: 2 rows in 0.5 s")
    assert "users  2     0123456789abcdef" in words
    assert "Kept: volume sortie-data" in words


def test_nothing_to_move() -> None:
    assert migrate_summary({}, ON_POSTGRESQL) == "acme is on postgresql already; nothing had to be moved.\n"


def test_in_check_mode_nothing_was_moved() -> None:
    words = migrate_summary({"from": "sqlite", "to": "postgresql"}, ON_POSTGRESQL, check_mode=True)
    assert words.startswith("acme would be moved from sqlite to postgresql")
