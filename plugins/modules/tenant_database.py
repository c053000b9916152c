#!/usr/bin/python
# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Tries the PostgreSQL of tenants from inside their cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: tenant_database
short_description: Tries the PostgreSQL of tenants from inside their cluster
version_added: 0.1.0
description:
  - Runs C(sortie database check) in a pod of each tenant's namespace, so that the server is reached as the application
    will reach it, and tells what is wrong with it in words - an address or password that is not right, TLS that is
    refused, a server that is too old or takes no writes, missing rights, a database of somebody else's.
  - Is done before the tenant is changed, and only where the address has changed or the tenant does not run. Pod, Secret
    and a namespace that had to be made for it are removed.
  - Nothing is tried in check mode. The task does not fail; the result tells each tenant's outcome.
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
      image:
        description: The application's image.
        type: str
        required: true
      pull_secrets:
        description: Names of Secrets with which the image is pulled.
        type: list
        elements: str
        default: []
      dsn:
        description: Address of the database; empty if Secret C(sortie-secrets) has it already.
        type: str
        default: ""
      unsettled:
        description: Whether to try it even though the address has not changed.
        type: bool
        default: false
      timeout:
        description: Seconds within which the pod has to tell.
        type: float
        default: 120
requirements:
  - kubernetes
"""

EXAMPLES = r"""
- name: Try the database of acme
  sortie.platform.tenant_database:
    kubeconfig: .local/kubeconfig
    tenants:
      - tenant: acme
        namespace: "{{ namespace_manifest }}"
        image: localhost:5000/sortie:0.1.0
        dsn: "{{ vaulted_dsn }}"
  no_log: true
  register: databases
"""

RETURN = r"""
failures:
  description: What is wrong with a tenant's database, by tenant; empty if all will do.
  returned: always
  type: dict
  sample:
    acme: "its PostgreSQL will not do: the server refuses the user or the password"
servers:
  description: Version of each server that was tried.
  returned: always
  type: dict
  sample: {acme: "15.14"}
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sortie.platform.plugins.module_utils._cluster import (
    AUTH_ARGUMENTS,
    Cluster,
    ClusterError,
)
from ansible_collections.sortie.platform.plugins.module_utils._database import Wanted, check

AT_A_TIME = 4
ARGUMENTS: dict[str, Any] = {
    **AUTH_ARGUMENTS,
    "tenants": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "tenant": {"type": "str", "required": True},
            "namespace": {"type": "dict", "required": True},
            "image": {"type": "str", "required": True},
            "pull_secrets": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "dsn": {"type": "str", "default": "", "no_log": True},
            "unsettled": {"type": "bool", "default": False},
            "timeout": {"type": "float", "default": 120},
        },
    },
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params

    def one(tenant: dict[str, Any]) -> dict[str, Any]:
        wanted = Wanted(**{name: value for name, value in tenant.items() if name != "tenant"})
        try:
            return check(Cluster(given["kubeconfig"], given["context"]), wanted)
        except ClusterError as error:
            return {"problem": f"it could not be tried: {error}"}

    if module.check_mode:
        module.exit_json(changed=False, failures={}, servers={})
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        found = dict(
            zip(
                (tenant["tenant"] for tenant in given["tenants"]),
                pool.map(one, given["tenants"]),
                strict=True,
            )
        )
    module.exit_json(
        changed=False,
        failures={
            name: f"its PostgreSQL will not do: {report['problem']}"
            for name, report in found.items()
            if report.get("problem")
        },
        servers={name: report["server"] for name, report in found.items() if report.get("server")},
    )


if __name__ == "__main__":
    main()
