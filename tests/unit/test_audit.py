"""What the audit of pinned packages makes of the index's answers."""

from __future__ import annotations

import pytest

from ansible_collections.sortie.platform.tests import audit

GOOD = {"name": "bottle", "version": "0.13.4", "vulns": []}
BAD = {"name": "mako", "version": "1.0", "vulns": [{"id": "CVE-2022-40023", "fix_versions": ["1.2.2"]}]}
UNKNOWN = {"name": "waitress", "skip_reason": "not found"}


def test_a_known_vulnerability_is_told_with_what_mends_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.told("lock", [GOOD, BAD]) == ["lock: mako 1.0: CVE-2022-40023, mended in 1.2.2"]
    assert capsys.readouterr().out == "lock: 2 of 2 packages checked\n"


def test_what_was_not_checked_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.told("lock", [GOOD, UNKNOWN]) == []
    assert capsys.readouterr().out == "lock: 1 of 2 packages checked; the index has no data of waitress\n"
