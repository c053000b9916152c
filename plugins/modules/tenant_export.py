#!/usr/bin/python
# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Carries a tenant's database out as a plain file."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: tenant_export
short_description: Carries a tenant's database out as a plain file
version_added: 0.1.0
description:
  - Writes C(sortie-TENANT-TIME.db), a whole and checked copy of the tenant's SQLite database, and its manifest beside it.
  - Of what the tenant holds now, copied while it serves, or of a snapshot.
  - The files are not encrypted. They are for their owner alone.
  - The task does not fail; RV(failure) tells why there is no file.
author:
  - The Sortie platform maintainers (@sortie-platform)
attributes:
  check_mode:
    description: Can run in check mode and tell what it would do without changing anything.
    support: full
options:
  kubeconfig:
    description: Path of the kubeconfig of the tenant's cluster.
    type: path
    required: true
  context:
    description: Context in it; its own current one if left out.
    type: str
  tenant:
    description: The tenant whose database is carried out.
    type: str
    required: true
  namespace:
    description: Its namespace.
    type: str
    required: true
  repository:
    description: Its repository.
    type: str
    required: true
  password_file:
    description: File with the repository's key.
    type: path
    required: true
  environment:
    description: Environment variables for restic.
    type: dict
    default: {}
  snapshot:
    description: The snapshot's id or the beginning of it, or V(latest); empty for what the tenant holds now.
    type: str
    default: ""
  directory:
    description: Where the files go. Made, with mode 0700, if it does not exist.
    type: path
    required: true
  work_dir:
    description: Directory for the database while it is proven; as large as the database, emptied at the end.
    type: path
    required: true
  cache_dir:
    description: Directory in which restic caches.
    type: path
    required: true
  lock_timeout:
    description: Seconds to wait for another drill of the same tenant, or for the repository's lock.
    type: float
    default: 600
requirements:
  - kubernetes
  - restic >= 0.14
"""

EXAMPLES = r"""
- name: Carry acme's database out
  sortie.platform.tenant_export:
    kubeconfig: .local/kubeconfig
    tenant: acme
    namespace: sortie-acme
    repository: .local/backups/acme
    password_file: .local/backup-keys/acme
    directory: .local/exports
    work_dir: .local/backup-work
    cache_dir: ~/.cache/sortie-platform/restic
  register: exported
  failed_when: exported.failure != ''
"""

RETURN = r"""
failure:
  description: Why there is no file, the state things are in, and what to do; empty if there is one.
  returned: always
  type: str
  sample: ""
export:
  description: The files, empty after a failure and in check mode.
  returned: always
  type: dict
  sample:
    file: .local/exports/sortie-acme-20260101T031504Z.db
    manifest: .local/exports/sortie-acme-20260101T031504Z.manifest.json
    snapshot: ""
    time: "2026-01-01T03:15:04+00:00"
    bytes: 131072
    rows: 23
    sha256: 7f1d029d93a9
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sortie.platform.plugins.module_utils._backup_arguments import (
    REPOSITORY_ARGUMENTS,
    TENANT_ARGUMENTS,
    WORK_ARGUMENTS,
    place_of,
    settings_of,
)
from ansible_collections.sortie.platform.plugins.module_utils._backup_error import BackupError
from ansible_collections.sortie.platform.plugins.module_utils._cluster import Cluster, ClusterError
from ansible_collections.sortie.platform.plugins.module_utils._export import export

ARGUMENTS: dict[str, Any] = {
    **TENANT_ARGUMENTS,
    **REPOSITORY_ARGUMENTS,
    **WORK_ARGUMENTS,
    "snapshot": {"type": "str", "default": ""},
    "directory": {"type": "path", "required": True},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    if module.check_mode:
        module.exit_json(changed=True, failure="", export={})
    try:
        api = Cluster(given["kubeconfig"], given["context"])
        result = export(api, place_of(given), settings_of(given), Path(given["directory"]), given["snapshot"])
    except (BackupError, ClusterError) as error:
        module.exit_json(changed=False, failure=str(error), export={})
    module.exit_json(changed=True, failure="", export=result)


if __name__ == "__main__":
    main()
