#!/usr/bin/python
# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Writes a machine's files and links in one go."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: node_files
short_description: Writes a machine's files and links in one go
version_added: 0.1.0
description:
  - Writes those files whose content or mode differs, each by a rename, and tells which. Parent directories are made.
  - For many small files this is one round trip instead of one each.
author:
  - The Sortie platform maintainers (@sortie-platform)
attributes:
  check_mode:
    description: Can run in check mode and tell what it would do without changing anything.
    support: full
  diff_mode:
    description: Will return details on what has changed, but for files with a mode that hides them from others.
    support: full
options:
  files:
    description: The files.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Its path.
        type: path
        required: true
      content:
        description: Its content.
        type: str
        required: true
      mode:
        description: Its mode, in octal digits.
        type: str
        default: "0644"
  links:
    description: Symbolic links, each with its target.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Write the node's settings
  sortie.platform.node_files:
    files:
      - path: /etc/sortie/node
        content: "ready\n"
"""

RETURN = r"""
paths:
  description: The files and links that were written.
  returned: success
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

FILE: dict[str, Any] = {
    "path": {"type": "path", "required": True},
    "content": {"type": "str", "required": True},
    "mode": {"type": "str", "default": "0644"},
}
ARGUMENTS: dict[str, Any] = {
    "files": {"type": "list", "elements": "dict", "default": [], "options": FILE},
    "links": {"type": "dict", "default": {}},
}


def differs(file: dict[str, Any]) -> bool:
    path = Path(file["path"])
    if path.is_symlink() or not path.is_file():
        return True
    return (
        path.stat().st_mode & 0o7777 != int(file["mode"], 8) or path.read_bytes() != file["content"].encode()
    )


def write(file: dict[str, Any]) -> None:
    path = Path(file["path"])
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.touch(mode=0o600)
    partial.write_text(file["content"], encoding="utf-8")
    partial.chmod(int(file["mode"], 8))
    partial.replace(path)


def link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    partial.symlink_to(target)
    partial.replace(path)


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    changed = [file for file in module.params["files"] if differs(file)]
    links = {
        path: target
        for path, target in module.params["links"].items()
        if not (Path(path).is_symlink() and str(Path(path).readlink()) == target)
    }
    diff = []
    for file in changed:
        path = Path(file["path"])
        if int(file["mode"], 8) & 0o077:
            before = path.read_text(errors="replace") if path.is_file() else ""
            diff.append(
                {
                    "before_header": str(path),
                    "after_header": str(path),
                    "before": before,
                    "after": file["content"],
                }
            )
        if not module.check_mode:
            write(file)
    for path, target in links.items():
        if not module.check_mode:
            link(Path(path), target)
    written = [file["path"] for file in changed] + list(links)
    module.exit_json(changed=bool(written), paths=written, diff=diff)


if __name__ == "__main__":
    main()
