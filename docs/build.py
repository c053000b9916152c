#!/usr/bin/env python3
"""Writes the tables of variables into the pages of docs/, from the roles' argument_specs.

A page says where a role's table stands:

    <!-- variables of sortie -->
    <!-- end of variables -->

The lines between are replaced. The headings in a table come from the comments of the role's defaults/main.yml, and the
variables stand in its order.

    docs/build.py           writes the tables
    docs/build.py --check   exits 1 if a page is not what it would write
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from pathlib import Path
from typing import Any

import yaml

DOCS = Path(__file__).resolve().parent
ROLES = DOCS.parent / "roles"
TABLE = re.compile(r"(<!-- variables of (\w+) -->\n).*?(<!-- end of variables -->)", re.DOTALL)
# Ansible's marks in descriptions: C(code), V(value), O(option), E(environment variable), and O(name#role:option).
MARK = re.compile(r"\b[CVOE]\((?P<code>(?:[^()]|\([^()]*\))*)\)")


def options(role: str) -> dict[str, dict[str, Any]]:
    specs = yaml.safe_load((ROLES / role / "meta" / "argument_specs.yml").read_text())
    return {
        name: option
        for spec in specs["argument_specs"].values()
        for name, option in (spec.get("options") or {}).items()
    }


def sections(role: str) -> list[tuple[str, list[str]]]:
    """(heading, variables) in the order of the defaults; variables before the first comment have no heading."""
    found: list[tuple[str, list[str]]] = [("", [])]
    for line in (ROLES / role / "defaults" / "main.yml").read_text().splitlines():
        if line.startswith("# "):
            found.append((line.removeprefix("# "), []))
        elif match := re.match(r"([a-z_0-9]+):", line):
            found[-1][1].append(match[1])
    return [(heading, names) for heading, names in found if names]


def _code(match: re.Match[str]) -> str:
    code = match["code"].partition("#role:")[0].replace("=", ": ")
    return f"`{code}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _description(option: dict[str, Any]) -> str:
    parts = option["description"]
    text = " ".join([parts] if isinstance(parts, str) else parts)
    choices = (
        " One of " + ", ".join(f"`{choice}`" for choice in option["choices"]) + "."
        if "choices" in option
        else ""
    )
    secret = " Secret: keep it in a vault." if option.get("no_log") and "vault" not in text else ""
    return MARK.sub(_code, text) + choices + secret


def _default(option: dict[str, Any]) -> str:
    value = option.get("default")
    if isinstance(value, str) and "{{" in value:
        return "computed"
    if value in ("", [], {}):
        return ""
    text = value if isinstance(value, str) else yaml.safe_dump(value, default_flow_style=True, width=1000)
    return f"`{text.strip().removesuffix('...').strip()}`"


def table(role: str) -> str:
    """The role's variables as Markdown."""
    described, lines = options(role), []
    for heading, names in sections(role):
        lines += [
            *(["", f"### {heading}"] if heading else []),
            "",
            "| variable | default | meaning |",
            "|---|---|---|",
        ]
        lines += [
            f"| `{name}` | {_cell(_default(described[name]))} | {_cell(_description(described[name]))} |"
            for name in names
        ]
    return "\n".join([*lines, "", ""])


def built(page: str) -> str:
    """A page with its tables."""
    return TABLE.sub(lambda match: match[1] + table(match[2]) + match[3], page)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit 1 if something would change"
    )
    check = parser.parse_args().check
    stale = False
    for path in sorted(DOCS.glob("*.md")):
        before = path.read_text()
        after = built(before)
        if before == after:
            continue
        stale = True
        if check:
            diff = difflib.unified_diff(
                before.splitlines(), after.splitlines(), path.name, "built", lineterm=""
            )
            print("\n".join(diff))
        else:
            path.write_text(after)
            print(f"wrote {path.name}")
    if check and stale:
        print("The pages above are not up to date. Next: docs/build.py", file=sys.stderr)
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
