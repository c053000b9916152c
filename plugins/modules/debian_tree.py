#!/usr/bin/python
# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Makes a Debian file tree, once for each content."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: debian_tree
short_description: Makes a Debian file tree, once for each content
version_added: 0.1.0
description:
  - Runs C(mmdebstrap) with the package sources that the control host itself uses, and keeps the result in a cache.
author:
  - The Sortie platform maintainers (@sortie-platform)
attributes:
  check_mode:
    description: Can run in check mode and tell what it would do without changing anything.
    support: full
options:
  cache_dir:
    description: Directory of the cache.
    type: path
    required: true
  name:
    description: Name of the tree.
    type: str
    required: true
  suite:
    description: Debian's release.
    type: str
    default: bookworm
  variant:
    description: Variant of C(mmdebstrap). V(extract) only unpacks the packages and what they depend on.
    type: str
    default: minbase
  packages:
    description: Packages in it.
    type: list
    elements: str
    required: true
  hooks:
    description: Shell commands that run when the tree is ready, as C(mmdebstrap)'s C(--customize-hook), or C(--extract-hook) for V(extract).
    type: list
    elements: str
    default: []
  excludes:
    description: Patterns of paths that are left out, as C(dpkg)'s C(path-exclude).
    type: list
    elements: str
    default: []
  arch:
    description: Processor architecture, in Debian's words.
    type: str
    default: amd64
"""

EXAMPLES = r"""
- name: Make the root file system of nodes
  sortie.platform.debian_tree:
    cache_dir: ~/.cache/sortie-platform
    name: node
    packages: [systemd, containerd]
"""

RETURN = r"""
path:
  description: Path of the tree as a tar file. In check mode, the path that it would have.
  returned: success
  type: str
  sample: /root/.cache/sortie-platform/debian/node-0123456789abcdef/tree.tar
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sortie.platform.plugins.module_utils._debian import TREE, Tree, make_tree
from ansible_collections.sortie.platform.plugins.module_utils._store import Store, StoreError

ARGUMENTS: dict[str, Any] = {
    "cache_dir": {"type": "path", "required": True},
    "name": {"type": "str", "required": True},
    "suite": {"type": "str", "default": "bookworm"},
    "variant": {"type": "str", "default": "minbase"},
    "packages": {"type": "list", "elements": "str", "required": True},
    "hooks": {"type": "list", "elements": "str", "default": []},
    "excludes": {"type": "list", "elements": "str", "default": []},
    "arch": {"type": "str", "default": "amd64"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    store = Store(Path(given["cache_dir"]))
    tree = Tree(
        **{name: given[name] for name in ("name", "suite", "variant", "packages", "hooks", "excludes")}
    )
    if module.check_mode:
        key = tree.key(given["arch"])
        made, path = store.find("debian", tree.name, key) is None, store.place("debian", tree.name, key)
    else:
        try:
            entry = make_tree(store, tree, given["arch"])
        except StoreError as error:
            module.fail_json(msg=str(error))
        made, path = entry.made, entry.path
    module.exit_json(changed=made, path=str(path / TREE))


if __name__ == "__main__":
    main()
