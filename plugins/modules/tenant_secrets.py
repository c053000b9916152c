#!/usr/bin/python
# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Makes the tenants' Secrets once, in the cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: tenant_secrets
short_description: Makes the tenants' Secrets once, in the cluster
version_added: 0.1.0
description:
  - Makes what a tenant's pods need before they start - its namespace, Secret C(sortie-secrets), and the
    Secret with its certificate.
  - Generated values are made once and never overwritten. If a given value changes, the tenant's pods are
    restarted, and the application goes on to accept the sessions of the C(jwt-secret) of before. Certificates of the local authority are renewed 30
    days before they end, and when the host name or the authority has changed.
  - Values are neither written to disk nor shown. The result contains the keys that sign service tokens. Run
    it with C(no_log=true).
  - One tenant's mistake stops no other; the result tells each one's.
author:
  - The Sortie platform maintainers (@sortie-platform)
attributes:
  check_mode:
    description: Can run in check mode and tell what it would do without changing anything.
    support: full
extends_documentation_fragment: [sortie.platform.cluster]
options:
  ca_dir:
    description:
      - Directory of the local certificate authority (C(ca.crt), C(ca.key)). It is made once, if it does not
        exist and a tenant needs it.
    type: path
    required: true
  tenants:
    description: The tenants and what their Secrets are to be.
    type: list
    elements: dict
    required: true
    suboptions:
      tenant:
        description: Its id.
        type: str
        required: true
      namespace:
        description: Manifest of its namespace, which is made if it does not exist. Its labels are the
          Secrets' labels as well.
        type: dict
        required: true
      generate:
        description: Keys of Secret C(sortie-secrets) that are generated if they are not there.
        type: list
        elements: str
        choices: [jwt-secret, admin-password]
        default: []
      values:
        description: Keys of that Secret that are given.
        type: dict
        default: {}
      external:
        description:
          - Manifest of the ExternalSecret by which External Secrets Operator brings that Secret, if it is the one that does. It is
            applied if a key of O(tenants[].await_keys) is missing, and waited for.
        type: dict
        default: {}
      await_keys:
        description: Keys of that Secret that the ExternalSecret brings.
        type: list
        elements: str
        default: []
      timeout:
        description: Seconds within which they have to be there.
        type: float
        default: 60
      tls:
        description: Where the certificate comes from; only V(self_signed) and V(provided) are written here.
        type: str
        default: none
      tls_secret:
        description: Name of the Secret with the certificate.
        type: str
        default: sortie-tls
      host:
        description: Host name of the certificate.
        type: str
        default: ""
      certificate:
        description: Certificate chain in PEM form, for V(provided). If empty, the Secret is left alone.
        type: str
        default: ""
      private_key:
        description: Its private key in PEM form.
        type: str
        default: ""
requirements:
  - kubernetes
  - cryptography
"""

EXAMPLES = r"""
- name: Make the Secrets of acme
  sortie.platform.tenant_secrets:
    kubeconfig: .local/kubeconfig
    ca_dir: .local/ca
    tenants:
      - tenant: acme
        namespace: "{{ namespace_manifest }}"
        generate: [jwt-secret, admin-password]
        tls: self_signed
        host: acme.example.com
  no_log: true
"""

RETURN = r"""
tenants:
  description: What changed of each tenant, by its id, in words and without values, and why it failed if it
    did.
  returned: always
  type: dict
  sample:
    acme: {changed: ["Secret sortie-secrets: jwt-secret"], error: "", jwt_secret: "..."}
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
from ansible_collections.sortie.platform.plugins.module_utils._secrets import (
    Wanted,
    ensure,
    signing_key,
)

ARGUMENTS: dict[str, Any] = {
    **AUTH_ARGUMENTS,
    "ca_dir": {"type": "path", "required": True},
    "tenants": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "tenant": {"type": "str", "required": True},
            "namespace": {"type": "dict", "required": True},
            "generate": {
                "type": "list",
                "elements": "str",
                "choices": ["jwt-secret", "admin-password"],
                "default": [],
            },
            "values": {"type": "dict", "default": {}, "no_log": True},
            "external": {"type": "dict", "default": {}},
            "await_keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "timeout": {"type": "float", "default": 60},
            "tls": {"type": "str", "default": "none"},
            "tls_secret": {"type": "str", "default": "sortie-tls", "no_log": False},
            "host": {"type": "str", "default": ""},
            "certificate": {"type": "str", "default": ""},
            "private_key": {"type": "str", "default": "", "no_log": True},
        },
    },
}


def ensure_tenant(cluster: Cluster, wanted: Wanted, authority: Authority, *, dry_run: bool) -> dict[str, Any]:
    result: dict[str, Any] = {"changed": [], "error": ""}
    try:
        result["changed"] = ensure(cluster, wanted, authority, dry_run=dry_run)
        result["jwt_secret"] = signing_key(cluster, wanted)
    except (ClusterError, OSError, ValueError) as error:
        result["error"] = f"its Secrets could not be made: {error}"
    return result


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    arguments = module.params
    authority = Authority(Path(arguments["ca_dir"]))
    needs_authority = any(tenant["tls"] == "self_signed" for tenant in arguments["tenants"])
    try:
        cluster = Cluster(arguments["kubeconfig"], arguments["context"])
        if needs_authority and not authority.exists and not module.check_mode:
            authority.create()
    except (ClusterError, OSError) as error:
        module.fail_json(msg=str(error))
    results = {}
    for tenant in arguments["tenants"]:
        wanted = Wanted(**{name: value for name, value in tenant.items() if name != "tenant"})
        results[tenant["tenant"]] = ensure_tenant(cluster, wanted, authority, dry_run=module.check_mode)
    module.exit_json(changed=any(result["changed"] for result in results.values()), tenants=results)


if __name__ == "__main__":
    main()
