"""The pages of docs/ say what the code says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.sortie.platform.tests.guide import GUIDE

ROOT = Path(__file__).resolve().parents[2]
CHAPTER = re.compile(r"^(#{2,3} .+)$", re.MULTILINE)
CODE_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


def chapters(path: Path) -> list[str]:
    return CHAPTER.findall(CODE_BLOCK.sub("", path.read_text()))


def test_the_tables_of_variables_are_up_to_date() -> None:
    command = [sys.executable, "docs/build.py", "--check"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_guide_is_followed_chapter_by_chapter() -> None:
    assert chapters(ROOT / "docs" / "guide.md") == chapters(GUIDE)


@pytest.mark.parametrize("page", ["backup.md", "guide.md", "monitoring.md", "tenants.md"])
def test_links_to_files_lead_somewhere(page: str) -> None:
    path = ROOT / "docs" / page
    missing = [link for link in LINK.findall(path.read_text()) if not (path.parent / link).exists()]
    assert missing == []
