#!/usr/bin/python
# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Moves a tenant's data between SQLite and PostgreSQL."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: tenant_migrate
short_description: Moves a tenant's data between SQLite and PostgreSQL
version_added: 0.1.0
description:
  - With O(state=copied) the new database is tried, the application is stopped, and all rows are copied and compared by
    their hashes. What fails there starts the application on its old database again.
  - A deployment with the new database follows; then O(state=finished) ends the migration, or O(state=undone) brings back
    the Deployment that was there.
  - Whatever kills a run, the next one goes on or back. The source is only read, and stays.
  - The task does not fail; RV(failure) tells why nothing was moved and in what state the tenant is.
author:
  - The Sortie platform maintainers (@sortie-platform)
attributes:
  check_mode:
    description: Can run in check mode and tell what it would do without changing anything.
    support: partial
    details: The new database is tried all the same, in a pod that is removed again.
extends_documentation_fragment: [sortie.platform.cluster]
options:
  state:
    description: Which part of the migration.
    type: str
    choices: [copied, finished, undone]
    default: copied
  tenant:
    description: The tenant's id.
    type: str
    required: true
  namespace:
    description: Manifest of its namespace.
    type: dict
    required: true
  to:
    description: Where its data goes.
    type: str
    choices: [postgresql, sqlite]
    required: true
  dsn:
    description: Address of the PostgreSQL, also where data comes from it.
    type: str
    default: ""
  managed:
    description: Whether an operator runs that PostgreSQL, and its Secret C(sortie-postgresql-app) has the address.
    type: bool
    default: false
  claim:
    description: Manifest of the volume, which is made if it is not there and data goes to SQLite.
    type: dict
  image:
    description: The application's image.
    type: str
    required: true
  pull_secrets:
    description: Names of Secrets with which the image is pulled.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds within which the application has to stop, or to start.
    type: float
    default: 180
  lock_dir:
    description: Directory on the control host in which a run is held against others for the same tenant. Made if it is not there.
    type: path
    required: true
  lock_timeout:
    description: Seconds to wait for another run, for instance for what is left of one that was killed.
    type: float
    default: 600
requirements:
  - kubernetes
"""

EXAMPLES = r"""
- name: Copy the data of acme to its PostgreSQL
  sortie.platform.tenant_migrate:
    kubeconfig: .local/kubeconfig
    tenant: acme
    namespace: "{{ namespace_manifest }}"
    to: postgresql
    dsn: "{{ vaulted_dsn }}"
    image: localhost:5000/sortie:0.1.0
    lock_dir: .local/migrate
  no_log: true
  register: migration
"""

RETURN = r"""
failure:
  description: Why nothing was moved, and in what state the tenant is; empty if all went well.
  returned: always
  type: str
  sample: ""
report:
  description: What was copied, rows and hash by table; empty if there was nothing to move.
  returned: always
  type: dict
  sample:
    from: SQLite
    to: PostgreSQL
    tables: {applications: {rows: 9, sha256: 7f1d...}}
    rows: 23
    seconds: 0.2
undone:
  description: Whether an old Deployment was brought back.
  returned: always
  type: bool
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sortie.platform.plugins.module_utils._cluster import (
    AUTH_ARGUMENTS,
    Cluster,
    ClusterError,
)
from ansible_collections.sortie.platform.plugins.module_utils._lock import held
from ansible_collections.sortie.platform.plugins.module_utils._migrate import (
    MigrateError,
    Move,
    begin,
    finish,
    undo,
)
from ansible_collections.sortie.platform.plugins.module_utils._task_pod import TaskError

ARGUMENTS: dict[str, Any] = {
    **AUTH_ARGUMENTS,
    "state": {"type": "str", "choices": ["copied", "finished", "undone"], "default": "copied"},
    "tenant": {"type": "str", "required": True},
    "namespace": {"type": "dict", "required": True},
    "to": {"type": "str", "choices": ["postgresql", "sqlite"], "required": True},
    "dsn": {"type": "str", "default": "", "no_log": True},
    "managed": {"type": "bool", "default": False},
    "claim": {"type": "dict"},
    "image": {"type": "str", "required": True},
    "pull_secrets": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "timeout": {"type": "float", "default": 180},
    "lock_dir": {"type": "path", "required": True},
    "lock_timeout": {"type": "float", "default": 600},
}
NOT_OF_A_MOVE = ("kubeconfig", "context", "state", "lock_dir", "lock_timeout")


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    move = Move(**{name: value for name, value in given.items() if name not in NOT_OF_A_MOVE})
    report: dict[str, Any] = {}
    undone = False
    try:
        api = Cluster(given["kubeconfig"], given["context"])
        with held(Path(given["lock_dir"]) / f".{move.tenant}.lock", given["lock_timeout"]):
            if given["state"] == "copied":
                report = begin(api, move, dry_run=module.check_mode)
            elif not module.check_mode and given["state"] == "finished":
                finish(api, move)
            elif not module.check_mode:
                undone = undo(api, move)
    except (MigrateError, TaskError, ClusterError, TimeoutError) as error:
        module.exit_json(changed=False, failure=str(error), report={}, undone=False)
    module.exit_json(changed=bool(report) or undone, failure="", report=report, undone=undone)


if __name__ == "__main__":
    main()
