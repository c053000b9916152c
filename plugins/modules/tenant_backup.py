#!/usr/bin/python
# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Makes one verified snapshot of a tenant's database."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: tenant_backup
short_description: Makes one verified snapshot of a tenant's database
version_added: 0.1.0
description:
  - Copies the SQLite database in the tenant's running pod while it serves and writes, and streams it here.
  - The snapshot counts after four proofs - the sha256 made where the bytes were read is that of the bytes that
    arrived, SQLite finds nothing wrong, schema and rows are known, and what the repository gives back has the same
    sha256.
  - Kept by restic, encrypted, with a manifest and the tenant's Secret. Older snapshots are removed only after that.
  - The result is left in ConfigMap C(sortie-status) of the tenant's namespace, key C(backup.json). A failure is left
    there too, with the time of the last good one.
  - The task does not fail; RV(failure) tells why there is no snapshot.
author:
  - The Sortie platform maintainers (@sortie-platform)
attributes:
  check_mode:
    description: Can run in check mode and tell what it would do without changing anything.
    support: full
extends_documentation_fragment: [sortie.platform.cluster]
options:
  tenant:
    description: The tenant's id, under which the repository knows its snapshots.
    type: str
    required: true
  namespace:
    description: Its namespace.
    type: str
    required: true
  repository:
    description: Repository as restic names it - a path, C(s3:...), C(sftp:...), C(rest:...).
    type: str
    required: true
  password_file:
    description:
      - File with the repository's key. Made, with mode 0600, if neither it nor the repository exists.
    type: path
    required: true
  environment:
    description: Environment variables for restic, such as credentials of an S3 store.
    type: dict
    default: {}
  work_dir:
    description: Directory for the copy while it is checked; as large as the database, emptied at the end.
    type: path
    required: true
  cache_dir:
    description: Directory in which restic caches.
    type: path
    required: true
  keep_last:
    description: How many of the last good snapshots stay whatever the clock says; at least 1.
    type: int
    default: 7
  keep_daily:
    description: For how many days the day's newest good one stays.
    type: int
    default: 14
  keep_weekly:
    description: For how many weeks the week's newest good one stays.
    type: int
    default: 8
  keep_monthly:
    description: For how many months the month's newest good one stays.
    type: int
    default: 12
  prune:
    description: Whether snapshots that need not stay are removed; not where the repository is append-only.
    type: bool
    default: true
  new_repository:
    description: Whether to start a new repository where an earlier one is known and gone.
    type: bool
    default: false
  volume_snapshot:
    description:
      - Whether the storage snapshots the tenant's volume before, as a C(VolumeSnapshot). An error where the cluster or the
        storage class cannot.
    type: bool
    default: false
  volume_snapshot_class:
    description: The C(VolumeSnapshotClass); empty for one whose driver made the volume.
    type: str
    default: ""
  volume_snapshots_keep:
    description: How many of those stay; at least 1.
    type: int
    default: 3
  lock_timeout:
    description: Seconds to wait for another run of the same tenant, or for the repository's lock.
    type: float
    default: 600
requirements:
  - kubernetes
  - restic >= 0.14
"""

EXAMPLES = r"""
- name: Make a snapshot of acme
  sortie.platform.tenant_backup:
    kubeconfig: .local/kubeconfig
    tenant: acme
    namespace: sortie-acme
    repository: .local/backups/acme
    password_file: .local/backup-keys/acme
    work_dir: .local/backup-work
    cache_dir: ~/.cache/sortie-platform/restic
  register: backup
  failed_when: backup.failure != ''
"""

RETURN = r"""
failure:
  description: Why there is no snapshot, the state things are in, and what to do; empty if there is one.
  returned: always
  type: str
  sample: ""
backup:
  description: The snapshot, empty after a failure and in check mode.
  returned: always
  type: dict
  sample:
    snapshot: 1f2e3d4c
    sequence: 12
    repository: .local/backups/acme
    repository_id: 5f0c
    bytes: 131072
    sha256: 7f1d029d93a9
    schema: "0001"
    tables: {applications: 9, users: 1}
    rows: 10
    image: localhost:5000/sortie:0.1.0
    volume_snapshot: ""
    kept: 7
    removed: [9a8b7c6d]
    seconds: 3.1
    phases: {repository: 0.9, copy: 0.2, check: 0.01, store: 0.8, verify: 0.7, prune: 0.5}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sortie.platform.plugins.module_utils._backup import back_up
from ansible_collections.sortie.platform.plugins.module_utils._backup_arguments import (
    KEEP_ARGUMENTS,
    REPOSITORY_ARGUMENTS,
    TENANT_ARGUMENTS,
    WORK_ARGUMENTS,
    place_of,
    settings_of,
)
from ansible_collections.sortie.platform.plugins.module_utils._backup_error import BackupError
from ansible_collections.sortie.platform.plugins.module_utils._cluster import Cluster, ClusterError

ARGUMENTS: dict[str, Any] = {
    **TENANT_ARGUMENTS,
    **WORK_ARGUMENTS,
    **REPOSITORY_ARGUMENTS,
    **KEEP_ARGUMENTS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    if module.check_mode:
        module.exit_json(changed=True, failure="", backup={})
    try:
        result = back_up(Cluster(given["kubeconfig"], given["context"]), place_of(given), settings_of(given))
    except (BackupError, ClusterError, ValueError) as error:
        module.exit_json(changed=False, failure=str(error), backup={})
    module.exit_json(changed=True, failure="", backup=result)


if __name__ == "__main__":
    main()
