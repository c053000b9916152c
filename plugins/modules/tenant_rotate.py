#!/usr/bin/python
# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Makes a tenant's generated secrets anew."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: tenant_rotate
short_description: Makes a tenant's generated secrets anew
version_added: 0.1.0
description:
  - Makes values of Secret C(sortie-secrets) anew and restarts the tenant's pods if they read them.
  - Who is signed in stays so, unless O(keep_previous=false). The application accepts sessions of the C(jwt-secret) of
    before, which is kept as C(jwt-secret-previous) until the next time, and nothing else that it signed.
  - A new C(admin-password) becomes the password of user C(admin), whose sessions end.
  - Values are neither written to disk nor shown, and are not part of the result. Does not wait for the pods.
author:
  - The Sortie platform maintainers (@sortie-platform)
attributes:
  check_mode:
    description: Can run in check mode and tell what it would do without changing anything.
    support: full
extends_documentation_fragment: [sortie.platform.cluster]
options:
  tenant:
    description: The tenant's id.
    type: str
    required: true
  namespace:
    description: Its namespace.
    type: str
    required: true
  keys:
    description: What is made anew.
    type: list
    elements: str
    choices: [jwt-secret, admin-password]
    default: [jwt-secret]
  keep_previous:
    description: Whether sessions of the C(jwt-secret) of before stay good. V(false) is for a key that somebody else has.
    type: bool
    default: true
requirements:
  - kubernetes
  - websocket-client
"""

EXAMPLES = r"""
- name: Sign acme's sessions with a new key
  sortie.platform.tenant_rotate:
    kubeconfig: .local/kubeconfig
    tenant: acme
    namespace: sortie-acme
"""

RETURN = r"""
failure:
  description: Why it failed, the state things are in, and what to do; empty if all went well.
  returned: always
  type: str
  sample: ""
keys:
  description: Keys of the Secret that changed, or would in check mode.
  returned: always
  type: list
  elements: str
  sample: [jwt-secret, jwt-secret-previous]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sortie.platform.plugins.module_utils._backup_arguments import (
    TENANT_ARGUMENTS,
    place_of,
)
from ansible_collections.sortie.platform.plugins.module_utils._cluster import Cluster, ClusterError
from ansible_collections.sortie.platform.plugins.module_utils._rotate import RotateError, rotate

ARGUMENTS: dict[str, Any] = {
    **TENANT_ARGUMENTS,
    "keys": {
        "type": "list",
        "elements": "str",
        "choices": ["jwt-secret", "admin-password"],
        "default": ["jwt-secret"],
        "no_log": False,
    },
    "keep_previous": {"type": "bool", "default": True},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    try:
        api = Cluster(given["kubeconfig"], given["context"])
        keys = rotate(
            api,
            place_of(given),
            given["keys"],
            keep_previous=given["keep_previous"],
            dry_run=module.check_mode,
        )
    except (RotateError, ClusterError) as error:
        module.exit_json(changed=False, failure=str(error), keys=[])
    module.exit_json(changed=True, failure="", keys=keys)


if __name__ == "__main__":
    main()
