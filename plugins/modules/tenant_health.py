#!/usr/bin/python
# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Tells whether tenants answer as they should."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: tenant_health
short_description: Tells whether tenants answer as they should
version_added: 0.1.0
description:
  - Asks each tenant through its ingress, as a browser does, whether it is ready, serves its catalogue and
    shows its branding, under a certificate that is valid.
  - Tenants are asked at the same time. Changes nothing, and does not fail.
author:
  - The Sortie platform maintainers (@sortie-platform)
attributes:
  check_mode:
    description: Can run in check mode and tell what it would do without changing anything.
    support: full
options:
  tenants:
    description: The tenants and where they are served.
    type: list
    elements: dict
    required: true
    suboptions:
      tenant:
        description: Its id.
        type: str
        required: true
      host:
        description: Host name under which it is served.
        type: str
        required: true
      port:
        description: Port at which the ingress controller is reached.
        type: int
        default: 443
      address:
        description: Address at which it is reached; empty to ask DNS for the host name.
        type: str
        default: ""
      tls:
        description: Whether it is served by HTTPS.
        type: bool
        default: true
      ca_file:
        description: Certificate authority by which its certificate is verified; empty for those the system
          trusts.
        type: path
        default: ""
      branding:
        description: What its page must show.
        type: dict
        default: {}
  timeout:
    description: Seconds to wait for each answer.
    type: float
    default: 5
  wait:
    description: Seconds for which a tenant is asked again while its ingress does not reach it; 0 asks once.
    type: float
    default: 0
"""

EXAMPLES = r"""
- name: Ask whether acme is well
  sortie.platform.tenant_health:
    tenants:
      - tenant: acme
        host: acme.example.com
  register: health
  failed_when: not health.tenants.acme.healthy
"""

RETURN = r"""
tenants:
  description: What each tenant answered, by its id.
  returned: always
  type: dict
  sample:
    acme: {healthy: true, message: "", milliseconds: 12}
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sortie.platform.plugins.module_utils._health import check
from ansible_collections.sortie.platform.plugins.module_utils._http import Endpoint

TENANTS_AT_A_TIME = 8

ARGUMENTS: dict[str, Any] = {
    "tenants": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "tenant": {"type": "str", "required": True},
            "host": {"type": "str", "required": True},
            "port": {"type": "int", "default": 443},
            "address": {"type": "str", "default": ""},
            "tls": {"type": "bool", "default": True},
            "ca_file": {"type": "path", "default": ""},
            "branding": {"type": "dict", "default": {}},
        },
    },
    "timeout": {"type": "float", "default": 5},
    "wait": {"type": "float", "default": 0},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)

    def ask(tenant: dict[str, Any]) -> dict[str, Any]:
        place = {name: tenant[name] for name in ("host", "port", "address", "tls", "ca_file")}
        return check(
            Endpoint(**place),
            tenant["branding"],
            timeout=module.params["timeout"],
            wait=module.params["wait"],
        )

    tenants = module.params["tenants"]
    with ThreadPoolExecutor(TENANTS_AT_A_TIME) as pool:
        answers = list(pool.map(ask, tenants))
    module.exit_json(
        changed=False,
        tenants={tenant["tenant"]: answer for tenant, answer in zip(tenants, answers, strict=True)},
    )


if __name__ == "__main__":
    main()
