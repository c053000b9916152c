#!/usr/bin/python
# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Reads what a cluster holds of tenants."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: tenant_info
short_description: Reads what a cluster holds of tenants
version_added: 0.1.0
description:
  - Tells of each tenant whether its namespace exists and whose it is, which objects carry the labels of its
    ownership, whether its Deployment is what was applied last, which keys its Secret has, and how long its
    certificate is valid.
  - Needs the same few requests for one tenant and for a hundred. Changes nothing.
  - The result contains the keys that sign service tokens. Run it with C(no_log=true).
author:
  - The Sortie platform maintainers (@sortie-platform)
attributes:
  check_mode:
    description: Can run in check mode and tell what it would do without changing anything.
    support: full
extends_documentation_fragment: [sortie.platform.cluster]
options:
  ca_dir:
    description: Directory of the local certificate authority, by which certificates are judged.
    type: path
  data:
    description: Whether to list what holds the tenants' data as well (PersistentVolumeClaims and Secrets).
    type: bool
    default: false
  records:
    description: Whether to read what the last backup, drill and restore left as well.
    type: bool
    default: false
  tenants:
    description: The tenants to look for.
    type: list
    elements: dict
    required: true
    suboptions:
      tenant:
        description: Its id.
        type: str
        required: true
      namespace:
        description: Its namespace.
        type: str
        required: true
      tls_secret:
        description: Name of the Secret with its certificate.
        type: str
        default: sortie-tls
      host:
        description: The name for which the certificate should be.
        type: str
        default: ""
requirements:
  - kubernetes
  - cryptography
"""

EXAMPLES = r"""
- name: Read what the cluster holds of acme
  sortie.platform.tenant_info:
    kubeconfig: .local/kubeconfig
    tenants:
      - tenant: acme
        namespace: sortie-acme
  no_log: true
  register: info
"""

RETURN = r"""
error:
  description: Why the cluster could not be asked; empty if it could. The task does not fail, so that tenants
    of other clusters go on.
  returned: always
  type: str
  sample: ""
no_kubeconfig:
  description: Whether the reason is that the kubeconfig does not exist.
  returned: always
  type: bool
version:
  description: Version of the cluster.
  returned: when the cluster answers
  type: str
  sample: v1.34.3
kinds:
  description: Which of the kinds that tenants use the cluster knows.
  returned: when the cluster answers
  type: list
  elements: str
policy_plugin:
  description:
    - With O(records), the network plugin that enforces NetworkPolicies; empty if the cluster has none that is known, and null if
      the account may not see that.
  returned: when the cluster answers
  type: str
  sample: Calico
tenants:
  description: What there is of each tenant, by its id.
  returned: when the cluster answers
  type: dict
  sample:
    acme:
      namespace_exists: true
      namespace_labels: {sortie.platform/tenant: acme}
      namespace_owner: acme
      other_namespaces: []
      objects: [{apiVersion: v1, kind: ConfigMap, metadata: {name: sortie-config, namespace: sortie-acme}}]
      deployment: {settled: true, message: "", image: "localhost:5000/sortie@sha256:...", replicas: 1,
        available: 1, database: postgresql, provider: cloudnativepg}
      postgresql: {settled: true, message: "", primary: sortie-postgresql-1}
      load_balancer: pending
      migrates_to: ""
      secret_keys: [admin-password, jwt-secret]
      certificate: {not_after: "2027-12-25T21:00:00+00:00", due: false}
      records: {backup: {ok: true, time: "2026-01-01T03:15:04+00:00", snapshot: 1f2e3d4c}}
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sortie.platform.plugins.module_utils._certificates import Authority
from ansible_collections.sortie.platform.plugins.module_utils._cluster import (
    AUTH_ARGUMENTS,
    Cluster,
    ClusterError,
)
from ansible_collections.sortie.platform.plugins.module_utils._state import Tenant, read

ARGUMENTS: dict[str, Any] = {
    **AUTH_ARGUMENTS,
    "ca_dir": {"type": "path"},
    "data": {"type": "bool", "default": False},
    "records": {"type": "bool", "default": False},
    "tenants": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "tenant": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            "tls_secret": {"type": "str", "default": "sortie-tls", "no_log": False},
            "host": {"type": "str", "default": ""},
        },
    },
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    arguments = module.params
    authority = Authority(Path(arguments["ca_dir"])) if arguments["ca_dir"] else None
    tenants = [Tenant(**tenant) for tenant in arguments["tenants"]]
    try:
        cluster = Cluster(arguments["kubeconfig"], arguments["context"])
        found = read(
            cluster,
            tenants,
            authority=authority,
            with_data=arguments["data"],
            with_records=arguments["records"],
        )
    except ClusterError as error:
        missing = not Path(arguments["kubeconfig"]).exists()
        module.exit_json(changed=False, error=str(error), no_kubeconfig=missing, tenants={})
    module.exit_json(changed=False, error="", no_kubeconfig=False, **found)


if __name__ == "__main__":
    main()
