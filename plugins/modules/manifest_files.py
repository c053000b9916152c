#!/usr/bin/python
# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Writes tenants' manifests into directories."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: manifest_files
short_description: Writes tenants' manifests into directories
version_added: 0.1.0
description:
  - Keeps a directory for each tenant with the given files.
  - Only files that differ are written. Files of an earlier run that are no longer given are removed; what
    else lies in the directory stays.
author:
  - The Sortie platform maintainers (@sortie-platform)
attributes:
  check_mode:
    description: Can run in check mode and tell what it would do without changing anything.
    support: full
  diff_mode:
    description: Shows each file before and after.
    support: full
options:
  path:
    description: Directory in which each tenant has one of its own.
    type: path
    required: true
  tenants:
    description: Contents of the files by name, by tenant.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Write a tenant's manifests
  sortie.platform.manifest_files:
    path: rendered
    tenants:
      acme:
        namespace-sortie-acme.yaml: |
          apiVersion: v1
          kind: Namespace
          metadata:
            name: sortie-acme
"""

RETURN = r"""
tenants:
  description: Which files were written and removed, by tenant.
  returned: always
  type: dict
  sample:
    acme: {written: [namespace-sortie-acme.yaml], removed: []}
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sortie.platform.plugins.module_utils._files import write

FIRST_LINE = "# Written by sortie.platform.render; the next run overwrites changes."
ARGUMENTS: dict[str, Any] = {
    "path": {"type": "path", "required": True},
    "tenants": {"type": "dict", "required": True},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    root = Path(module.params["path"])
    try:
        written = {
            tenant: write(root / tenant, files, FIRST_LINE, dry_run=module.check_mode)
            for tenant, files in module.params["tenants"].items()
        }
    except OSError as error:
        module.fail_json(
            msg=f"The manifests cannot be written: {error}. Mend that, or set another render_dir."
        )
    module.exit_json(
        changed=any(one.written or one.removed for one in written.values()),
        tenants={tenant: {"written": one.written, "removed": one.removed} for tenant, one in written.items()},
        diff=[
            {
                "before_header": f"{tenant}/{name}",
                "after_header": f"{tenant}/{name}",
                "before": one.before[name],
                "after": one.after[name],
            }
            for tenant, one in written.items()
            for name in one.before
        ],
    )


if __name__ == "__main__":
    main()
