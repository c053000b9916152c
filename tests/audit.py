#!/usr/bin/env python3
"""Looks the pinned packages of requirement files up in the package index's data about vulnerabilities.

    tests/audit.py FILE...

Exits 1 if one is known to be vulnerable. Where the index has no such data (a mirror, no network) it says what was not checked,
which is no failure.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

AUDIT = (str(Path(sys.executable).with_name("pip-audit")), "--no-deps", "--disable-pip", "--format", "json")
QUIET = ("--progress-spinner", "off", "--timeout", "20")


def audit(file: str) -> list[dict[str, Any]]:
    """What is known of each package; nothing if the index does not answer."""
    done = subprocess.run(
        [*AUDIT, *QUIET, "--requirement", file], capture_output=True, text=True, check=False
    )
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError:
        print(f"{file}: NOT checked: {' '.join(done.stderr.split())[-300:]}")
        return []
    return found


def told(file: str, packages: list[dict[str, Any]]) -> list[str]:
    """The known vulnerabilities; says how many packages were looked up."""
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if packages:
        print(f"{file}: {len(packages) - len(skipped)} of {len(packages)} packages checked", end="")
        print(f"; the index has no data of {', '.join(skipped)}" if skipped else "")
    return [
        f"{file}: {package['name']} {package['version']}: {known['id']}, mended in {', '.join(known['fix_versions']) or 'nothing yet'}"
        for package in packages
        for known in package.get("vulns", [])
    ]


def main() -> int:
    vulnerable = [line for file in sys.argv[1:] for line in told(file, audit(file))]
    print(*vulnerable, sep="\n", end="\n" if vulnerable else "")
    return int(bool(vulnerable))


if __name__ == "__main__":
    sys.exit(main())
