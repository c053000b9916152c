#!/usr/bin/python
# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Tells what a machine allows a node of a cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: machine_info
short_description: Tells what a machine allows a node of a cluster
version_added: 0.1.0
description:
  - Tells the version of cgroups, whether limits may be raised, and which of some files are there. Changes nothing.
author:
  - The Sortie platform maintainers (@sortie-platform)
attributes:
  check_mode:
    description: Can run in check mode and tell what it would do without changing anything.
    support: full
options:
  look_for:
    description: Paths to look for.
    type: list
    elements: path
    default: []
"""

EXAMPLES = r"""
- name: See what the machine allows
  sortie.platform.machine_info:
    look_for: [/etc/kubernetes/admin.conf]
"""

RETURN = r"""
cgroup_version:
  description: 1 or 2.
  returned: success
  type: int
may_raise_limits:
  description: Whether the machine has CAP_SYS_RESOURCE, without which no limit can be raised and no OOM score lowered.
  returned: success
  type: bool
open_files:
  description: Hard limit of open files.
  returned: success
  type: int
found:
  description: Those of the paths that are there.
  returned: success
  type: list
  elements: str
"""

from dataclasses import asdict
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sortie.platform.plugins.module_utils._machine import Machine


def main() -> None:
    module = AnsibleModule(
        argument_spec={"look_for": {"type": "list", "elements": "path", "default": []}},
        supports_check_mode=True,
    )
    found = [path for path in module.params["look_for"] if Path(path).exists()]
    module.exit_json(changed=False, found=found, **asdict(Machine.detect()))


if __name__ == "__main__":
    main()
