"""Runs playbooks of this checkout as a user would, without touching the user's own `.local/`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]


def run(
    playbook: str, directory: Path, tenants: Mapping[str, Mapping[str, Any]], *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Runs `playbooks/PLAYBOOK.yml` for tenants given with their variables; `directory` is the run's own."""
    return run_file(ROOT / "playbooks" / f"{playbook}.yml", directory, tenants, *arguments)


def run_file(
    playbook: Path, directory: Path, tenants: Mapping[str, Mapping[str, Any]], *arguments: str
) -> subprocess.CompletedProcess[str]:
    """The same for a playbook that lies elsewhere."""
    inventory = directory / "hosts.yml"
    inventory.write_text(
        yaml.safe_dump({"tenants": {"hosts": {name: dict(one) for name, one in tenants.items()}}})
    )
    command = Path(sys.executable).with_name("ansible-playbook")
    return subprocess.run(
        [command, playbook, "-i", inventory, *arguments],
        cwd=ROOT,
        env={**os.environ, "SORTIE_LOCAL_DIR": str(directory / "local"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def rendered_by(directory: Path, tenants: Mapping[str, Mapping[str, Any]]) -> Path:
    """Where render.yml wrote the tenants' manifests, which it must."""
    result = run("render", directory, tenants, "-e", f"render_dir={directory}/rendered")
    assert result.returncode == 0, result.stdout + result.stderr
    return directory / "rendered"


def cache_dir() -> Path:
    """Where what was built once stays, as role `common` has it."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sortie-platform"
