#!/usr/bin/python
# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Brings a snapshot back into a tenant."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: tenant_restore
short_description: Brings a snapshot back into a tenant
version_added: 0.1.0
description:
  - Fetches a snapshot, proves it against its manifest, keeps what the tenant holds now as a safety snapshot, swaps the
    database by renames while the application is stopped, and starts the application again.
  - The application has to answer on the restored data. If it does not, what was there before is put back.
  - Can be killed at any moment and run again; it goes on from where it stopped.
  - The task does not fail; RV(failure) tells why nothing was restored and in what state the tenant is.
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
    description: The tenant that is restored.
    type: str
    required: true
  namespace:
    description: Its namespace.
    type: str
    required: true
  repository:
    description: Its repository, to which the safety snapshot goes.
    type: str
    required: true
  password_file:
    description: File with that repository's key.
    type: path
    required: true
  environment:
    description: Environment variables for restic.
    type: dict
    default: {}
  source:
    description: Where the snapshot comes from, if not from the tenant's own repository.
    type: dict
    suboptions:
      tenant:
        description: The tenant of which it is a snapshot.
        type: str
        required: true
      repository:
        description: The repository.
        type: str
        required: true
      password_file:
        description: File with that repository's key.
        type: path
        required: true
      environment:
        description: Environment variables for restic.
        type: dict
        default: {}
  snapshot:
    description: The snapshot's id or the beginning of it, or V(latest) for the newest good one.
    type: str
    required: true
  force:
    description:
      - Whether to go on without a safety snapshot where none can be made, and with a schema that the application does not
        know.
    type: bool
    default: false
  only_fresh:
    description: Whether a tenant is left alone that was backed up or restored before in its cluster.
    type: bool
    default: false
  secrets:
    description:
      - Whether the tenant's Secret is brought back as well where the present one is younger than the snapshot, as in a
        new cluster. Not done with another tenant's snapshot.
    type: bool
    default: true
  work_dir:
    description: Directory for the database while it is proven; as large as the database, emptied at the end.
    type: path
    required: true
  cache_dir:
    description: Directory in which restic caches.
    type: path
    required: true
  lock_timeout:
    description: Seconds to wait for another run of the same tenant, or for the repository's lock.
    type: float
    default: 600
  timeout:
    description: Seconds within which the application has to stop, or to start.
    type: float
    default: 180
requirements:
  - kubernetes
  - restic >= 0.14
"""

EXAMPLES = r"""
- name: Bring back the newest snapshot of acme
  sortie.platform.tenant_restore:
    kubeconfig: .local/kubeconfig
    tenant: acme
    namespace: sortie-acme
    repository: .local/backups/acme
    password_file: .local/backup-keys/acme
    work_dir: .local/backup-work
    cache_dir: ~/.cache/sortie-platform/restic
    snapshot: latest
  register: restored
  failed_when: restored.failure != ''
"""

RETURN = r"""
failure:
  description: Why nothing was restored, the state things are in, and what to do; empty if all went well.
  returned: always
  type: str
  sample: ""
restore:
  description:
    - Whether it was restored, and what changed or would change. C(plan) has age, schemas, and the rows of each
      table now and in the snapshot.
  returned: always
  type: dict
  sample:
    restored: true
    reason: ""
    plan:
      snapshot: 1f2e3d4c
      source: acme
      target: acme
      time: "2026-01-01T00:00:00+00:00"
      age_seconds: 3600
      schema: {present: "0001", snapshot: "0001"}
      bytes: {present: 131072, snapshot: 131072}
      rows: {applications: {present: 9, snapshot: 12}}
      damage: []
    safety: 9a8b7c6d
    rows: 23
    sha256: 7f1d029d93a9
    away_seconds: 9.1
    seconds: 15.2
    phases: {fetch: 1.1, safety: 4.2, receive: 0.4, swap: 9.1}
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
from ansible_collections.sortie.platform.plugins.module_utils._restore import Request, Source, restore

ARGUMENTS: dict[str, Any] = {
    **TENANT_ARGUMENTS,
    **REPOSITORY_ARGUMENTS,
    **WORK_ARGUMENTS,
    "source": {
        "type": "dict",
        "options": {"tenant": {"type": "str", "required": True}, **REPOSITORY_ARGUMENTS},
    },
    "snapshot": {"type": "str", "required": True},
    "force": {"type": "bool", "default": False},
    "only_fresh": {"type": "bool", "default": False},
    "secrets": {"type": "bool", "default": True, "no_log": False},
    "timeout": {"type": "float", "default": 180},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    settings = settings_of(given)
    named = given["source"] or {"tenant": given["tenant"]}
    source = Source(named["tenant"], settings_of(given, given["source"]))
    request = Request(
        given["snapshot"],
        force=given["force"],
        only_fresh=given["only_fresh"],
        secrets=given["secrets"] and named["tenant"] == given["tenant"],
        timeout=given["timeout"],
    )
    try:
        api = Cluster(given["kubeconfig"], given["context"])
        result = restore(api, place_of(given), settings, source, request, dry_run=module.check_mode)
    except (BackupError, ClusterError) as error:
        module.exit_json(changed=False, failure=str(error), restore={})
    module.exit_json(changed=bool(result["plan"]), failure="", restore=result)


if __name__ == "__main__":
    main()
