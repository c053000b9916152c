#!/usr/bin/python
# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Brings the PostgreSQL of tenants that CloudNativePG runs in their cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: tenant_postgresql
short_description: Brings the PostgreSQL of tenants that CloudNativePG runs in their cluster
version_added: 0.1.0
description:
  - Applies the given objects of each tenant on the server's side, its namespace first where there is none, and waits until the
    operator calls their Clusters healthy and every instance is ready.
  - What no waiting mends is told as soon as it is certain, with the pod's reason and its last log lines.
  - One tenant's failure stops no other. The task does not fail; the result tells each tenant's outcome.
author:
  - The Sortie platform maintainers (@sortie-platform)
attributes:
  check_mode:
    description: Can run in check mode and tell what it would do without changing anything.
    support: full
extends_documentation_fragment: [sortie.platform.cluster]
options:
  tenants:
    description: The tenants.
    type: list
    elements: dict
    required: true
    suboptions:
      tenant:
        description: Its id.
        type: str
        required: true
      namespace:
        description: Manifest of its namespace.
        type: dict
        required: true
      objects:
        description: Manifests of its Cluster and of what that needs.
        type: list
        elements: dict
        required: true
      timeout:
        description: Seconds to wait for it.
        type: float
        default: 180
requirements:
  - kubernetes
"""

EXAMPLES = r"""
- name: Bring the database of acme
  sortie.platform.tenant_postgresql:
    kubeconfig: .local/kubeconfig
    tenants:
      - tenant: acme
        namespace: "{{ namespace_manifest }}"
        objects: ["{{ cluster_manifest }}"]
  register: databases
"""

RETURN = r"""
changes:
  description: What was made or changed, by tenant.
  returned: always
  type: dict
  sample: {acme: [Cluster sortie-postgresql]}
failures:
  description: Why a tenant's database is not there, by tenant; empty if all are.
  returned: always
  type: dict
  sample: {}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sortie.platform.plugins.module_utils._cluster import (
    AUTH_ARGUMENTS,
    Cluster,
    ClusterError,
)
from ansible_collections.sortie.platform.plugins.module_utils._postgresql import Wanted, ensure

ARGUMENTS: dict[str, Any] = {
    **AUTH_ARGUMENTS,
    "tenants": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "tenant": {"type": "str", "required": True},
            "namespace": {"type": "dict", "required": True},
            "objects": {"type": "list", "elements": "dict", "required": True},
            "timeout": {"type": "float", "default": 180},
        },
    },
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    tenants = [Wanted(**tenant) for tenant in given["tenants"]]
    try:
        outcomes = ensure(Cluster(given["kubeconfig"], given["context"]), tenants, dry_run=module.check_mode)
    except ClusterError as error:
        module.fail_json(msg=f"The cluster does not tell how the databases are: {error}")
    module.exit_json(
        changed=any(outcome.changes for outcome in outcomes.values()),
        changes={name: outcome.changes for name, outcome in outcomes.items() if outcome.changes},
        failures={name: outcome.problem for name, outcome in outcomes.items() if outcome.problem},
    )


if __name__ == "__main__":
    main()
