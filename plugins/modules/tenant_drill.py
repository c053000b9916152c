#!/usr/bin/python
# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Proves that a tenant's snapshot comes back."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: tenant_drill
short_description: Proves that a tenant's snapshot comes back
version_added: 0.1.0
description:
  - Restores a snapshot into a namespace of its own, starts the tenant's application on it, compares what it serves and
    holds with the snapshot's manifest, measures the recovery time, and removes everything.
  - Nothing of the tenant is touched. What cannot be verified is a failure.
  - The result is left in ConfigMap C(sortie-status) of the tenant's namespace, key C(drill.json), after a failure too.
  - The task does not fail; RV(failure) tells what was not as it should be.
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
    description: The tenant whose snapshot is tried.
    type: str
    required: true
  namespace:
    description: Its namespace.
    type: str
    required: true
  scratch_namespace:
    description:
      - Namespace in which the snapshot is tried. Made and removed, unless it is there already and marked for the
        tenant's drills.
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
    description: The snapshot's id or the beginning of it, or V(latest) for the newest good one.
    type: str
    default: latest
  subset:
    description: Which part of all data in the repository is read as well, such as V(3/7); empty for none.
    type: str
    default: ""
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
  timeout:
    description: Seconds within which the application has to start, and what was made has to go.
    type: float
    default: 180
requirements:
  - kubernetes
  - restic >= 0.14
"""

EXAMPLES = r"""
- name: Prove that the newest snapshot of acme comes back
  sortie.platform.tenant_drill:
    kubeconfig: .local/kubeconfig
    tenant: acme
    namespace: sortie-acme
    scratch_namespace: sortie-acme-drill
    repository: .local/backups/acme
    password_file: .local/backup-keys/acme
    work_dir: .local/backup-work
    cache_dir: ~/.cache/sortie-platform/restic
  register: drill
  failed_when: drill.failure != ''
"""

RETURN = r"""
failure:
  description: What was not as it should be, and what to do; empty if the snapshot comes back.
  returned: always
  type: str
  sample: ""
drill:
  description: What was found, empty after a failure and in check mode.
  returned: always
  type: dict
  sample:
    snapshot: 1f2e3d4c
    snapshot_time: "2026-01-01T00:00:00+00:00"
    snapshot_age_seconds: 3600
    recovery_seconds: 14.2
    bytes: 131072
    rows: 23
    applications: 12
    checks: [integrity_check and foreign_key_check]
    phases: {fetch: 1.1, volume: 3.2, start: 9.0, compare: 0.4, remove: 8.0}
    seconds: 22.0
"""

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
from ansible_collections.sortie.platform.plugins.module_utils._drill import Request, drill

ARGUMENTS: dict[str, Any] = {
    **TENANT_ARGUMENTS,
    **REPOSITORY_ARGUMENTS,
    **WORK_ARGUMENTS,
    "scratch_namespace": {"type": "str", "required": True},
    "snapshot": {"type": "str", "default": "latest"},
    "subset": {"type": "str", "default": ""},
    "timeout": {"type": "float", "default": 180},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    if module.check_mode:
        module.exit_json(changed=False, failure="", drill={})
    request = Request(given["scratch_namespace"], given["snapshot"], given["timeout"], given["subset"])
    try:
        api = Cluster(given["kubeconfig"], given["context"])
        result = drill(api, place_of(given), settings_of(given), request)
    except (BackupError, ClusterError) as error:
        module.exit_json(changed=False, failure=str(error), drill={})
    module.exit_json(changed=False, failure="", drill=result)


if __name__ == "__main__":
    main()
