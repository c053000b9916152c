#!/usr/bin/python
# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Downloads official release binaries, checked against their published hashes."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: release_binaries
short_description: Downloads official release binaries, checked against their published hashes
version_added: 0.1.0
description:
  - Takes each binary from C(URL/VERSION/bin/linux/ARCH/NAME), the layout of Kubernetes' own releases, and its sha256 from the same address with C(.sha256).
  - A download that is cut off is resumed. What does not match its hash is thrown away. What is there is kept in a cache.
author:
  - The Sortie platform maintainers (@sortie-platform)
attributes:
  check_mode:
    description: In check mode it only asks whether the server has the binaries.
    support: full
options:
  cache_dir:
    description: Directory of the cache.
    type: path
    required: true
  url:
    description: Address of the releases.
    type: str
    required: true
  version:
    description: Version, for example V(v1.34.3).
    type: str
    required: true
  names:
    description: The binaries.
    type: list
    elements: str
    required: true
  arch:
    description: Processor architecture.
    type: str
    default: amd64
  probe:
    description: Whether to ask only if the server has them, without downloading. RV(problem) tells the answer.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Download kubeadm
  sortie.platform.release_binaries:
    cache_dir: ~/.cache/sortie-platform
    url: https://dl.k8s.io/release
    version: v1.34.3
    names: [kubeadm]
"""

RETURN = r"""
paths:
  description: Path of each binary, by name.
  returned: when something is downloaded
  type: dict
problem:
  description: Why the server cannot be used; empty if it can.
  returned: when it is only asked
  type: str
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sortie.platform.plugins.module_utils._release import Release, answers, download
from ansible_collections.sortie.platform.plugins.module_utils._store import Store, StoreError

ARGUMENTS: dict[str, Any] = {
    "cache_dir": {"type": "path", "required": True},
    "url": {"type": "str", "required": True},
    "version": {"type": "str", "required": True},
    "names": {"type": "list", "elements": "str", "required": True},
    "arch": {"type": "str", "default": "amd64"},
    "probe": {"type": "bool", "default": False},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    release = Release(given["url"], given["version"], given["arch"])
    if given["probe"] or module.check_mode:
        module.exit_json(changed=False, problem=answers(release, given["names"]))
    store = Store(Path(given["cache_dir"]))
    try:
        entries = {name: download(store, release, name) for name in given["names"]}
    except StoreError as error:
        module.fail_json(msg=f"{error}.")
    module.exit_json(
        changed=any(entry.made for entry in entries.values()),
        paths={name: str(entry.path / name) for name, entry in entries.items()},
    )


if __name__ == "__main__":
    main()
