#!/usr/bin/python
# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Lays out what the runner's image is built from."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: runner_source
short_description: Lays out what the runner's image is built from
version_added: 0.1.0
description:
  - Gathers this collection, its build recipe, the programs that run it, and the lock file of the Python packages that it
    needs at run time, in one directory for M(sortie.platform.app_image).
author:
  - The Sortie platform maintainers (@sortie-platform)
attributes:
  check_mode:
    description: Can run in check mode and tell what it would do without changing anything.
    support: full
options:
  collection:
    description: Directory of the collection.
    type: path
    required: true
  recipe:
    description: Directory with the C(Containerfile), C(arrange.py) and C(pyproject.toml).
    type: path
    required: true
  requirements:
    description: Lock file of the control host's Python packages.
    type: path
    required: true
  without:
    description: Packages of it that are of no use in the runner.
    type: list
    elements: str
    default: []
  tree:
    description:
      - Debian tree, as M(sortie.platform.debian_tree) makes it, with C(busybox), C(restic), the locale C(C.utf8) and, in C(status.d),
        dpkg's records of their packages.
    type: path
    required: true
  path:
    description: Where to lay it out.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Lay out the runner
  sortie.platform.runner_source:
    collection: .
    recipe: roles/backup/files/runner
    requirements: requirements/deploy.txt
    tree: /root/.cache/sortie-platform/debian/runner-0123456789abcdef/tree.tar
    path: .local/runner
"""

RETURN = r"""
path:
  description: Where it lies.
  returned: success
  type: str
  sample: .local/runner
"""

import re
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sortie.platform.plugins.module_utils._store import tree_hashes

# What of the collection the playbooks of the runner need.
PARTS = ("galaxy.yml", "meta", "playbooks", "plugins", "roles")
RECIPE = ("Containerfile", "arrange.py", "pyproject.toml")
PROGRAMS = ("bin/busybox", "usr/bin/restic")
# dpkg's records of the packages that these, and the locale, come from.
RECORDS = tuple(f"var/lib/dpkg/status.d/{package}" for package in ("busybox-static", "libc-bin", "restic"))
# Ansible insists on a locale with UTF-8.
LOCALE = "usr/lib/locale/C.utf8/"

ARGUMENTS: dict[str, Any] = {
    "collection": {"type": "path", "required": True},
    "recipe": {"type": "path", "required": True},
    "requirements": {"type": "path", "required": True},
    "without": {"type": "list", "elements": "str", "default": []},
    "tree": {"type": "path", "required": True},
    "path": {"type": "path", "required": True},
}


def locked(text: str, without: Sequence[str]) -> str:
    """A lock file without some of its packages."""
    return "".join(
        block for block in _blocks(text) if re.split(r"[=\s]", block, maxsplit=1)[0] not in without
    )


def _blocks(text: str) -> Iterator[str]:
    """Each requirement with its hashes."""
    yield from re.findall(r"^[A-Za-z0-9].*\n(?:[ \t].*\n)*", text, re.MULTILINE)


def lay_out(given: dict[str, Any], place: Path) -> None:
    """Fill the empty directory `place`."""
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")
    for part in PARTS:
        source, target = Path(given["collection"], part), place / "collection" / part
        if source.is_dir():
            shutil.copytree(source, target, ignore=ignored)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    for name in RECIPE:
        shutil.copyfile(Path(given["recipe"], name), place / name)
    lock = locked(Path(given["requirements"]).read_text(), given["without"])
    (place / "requirements.lock").write_text(lock)
    with tarfile.open(given["tree"]) as tree:
        wanted = {member.name.removeprefix("./"): member for member in tree if member.isfile()}
        chosen = [name for name in wanted if name in PROGRAMS or name.startswith(LOCALE)]
        for name in {*PROGRAMS, *RECORDS, *chosen}:
            target = place / _place_of(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(_content(tree, wanted[name]))


def _place_of(name: str) -> str:
    """Where a file of the tree goes in the sources."""
    if name.startswith(LOCALE):
        return f"locale/{name.removeprefix(LOCALE)}"
    return f"{'bin' if name in PROGRAMS else 'status.d'}/{name.rpartition('/')[2]}"


def _content(tree: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tree.extractfile(member)
    if file is None:
        raise KeyError(member.name)
    with file:
        return file.read()


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    place = Path(given["path"])
    if module.check_mode:
        module.exit_json(changed=not place.is_dir(), path=str(place))
    before = tree_hashes(place) if place.is_dir() else {}
    partial = place.with_name(f".{place.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        lay_out(given, partial)
    except (OSError, KeyError, tarfile.TarError) as error:
        shutil.rmtree(partial)
        module.fail_json(msg=f"The runner's sources are not complete: {error}. Nothing was changed.")
    changed = tree_hashes(partial) != before
    shutil.rmtree(place, ignore_errors=True)
    partial.rename(place)
    module.exit_json(changed=changed, path=str(place))


if __name__ == "__main__":
    main()
