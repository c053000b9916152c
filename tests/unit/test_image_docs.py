"""The table of variables in docs/image.md is that of the role."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def test_the_documented_variables_and_defaults_are_the_roles() -> None:
    rows = re.findall(
        r"^\| `(image_\w+)` \| `(.*?)` \| ", (ROOT / "docs" / "image.md").read_text(), re.MULTILINE
    )
    documented = {name: default.replace("\\|", "|") for name, default in rows}
    defaults = yaml.safe_load((ROOT / "roles" / "image" / "defaults" / "main.yml").read_text())
    written = {
        name: value if isinstance(value, str) and value else json.dumps(value)
        for name, value in defaults.items()
    }
    assert documented == written
