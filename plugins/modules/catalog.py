#!/usr/bin/python
# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Brings tenants' catalogues to what the inventory says."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: catalog
short_description: Brings tenants' catalogues to what the inventory says
version_added: 0.1.0
description:
  - Speaks to each tenant's application through its ingress, as a browser does.
  - First proves that the tenant is served - ready, under its certificate, with its own branding - and waits a
    little where an ingress controller has just seen it for the first time. Then imports the catalogue, all of
    it or nothing.
  - Applications that an earlier import brought and that are no longer given are removed; those made by hand
    on the page are left alone.
  - Signs in with a token of two minutes, made from the tenant's signing key; no user or password is involved.
  - Tenants are served at the same time, and one tenant's mistake stops no other. The task does not fail; the
    result tells each one's outcome.
author:
  - The Sortie platform maintainers (@sortie-platform)
attributes:
  check_mode:
    description: Can run in check mode and tell what it would do without changing anything. The application
      itself tells what an import would change.
    support: full
  diff_mode:
    description: Shows the catalogue before and after.
    support: full
options:
  tenants:
    description: The tenants and what they should serve.
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
        description: Certificate authority by which its certificate is verified; empty for those that the
          system trusts.
        type: path
        default: ""
      jwt_secret:
        description: The tenant's key C(jwt-secret), which signs the token.
        type: str
        required: true
      branding:
        description: What its page must show (C(logo_url), C(primary_color), C(secondary_color),
          C(tenant_name)).
        type: dict
        default: {}
      applications:
        description: Its applications, as in the catalogue file.
        type: list
        elements: dict
        default: []
      categories:
        description: Its categories.
        type: list
        elements: dict
        default: []
      prune:
        description: Whether applications of earlier imports that are no longer given are removed.
        type: bool
        default: true
      timeout:
        description: Seconds for which an ingress controller may take up what was just applied.
        type: float
        default: 30
"""

EXAMPLES = r"""
- name: Bring acme's catalogue
  sortie.platform.catalog:
    tenants:
      - tenant: acme
        host: acme.localhost
        port: 8443
        address: 127.0.0.1
        ca_file: .local/ca/ca.crt
        jwt_secret: "{{ acme_jwt_secret }}"
        applications:
          - id: wiki
            name: Wiki
            url: https://wiki.acme.example
  register: catalog
  failed_when: catalog.failures | length > 0
"""

RETURN = r"""
changes:
  description: What changed in each tenant's catalogue, by tenant.
  returned: always
  type: dict
  sample: {acme: ["application wiki created"]}
failures:
  description: Why a tenant is not served as it should be, by tenant; empty if all are.
  returned: always
  type: dict
  sample: {}
urls:
  description: Where each tenant is served.
  returned: always
  type: dict
  sample: {acme: "https://acme.localhost:8443"}
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sortie.platform.plugins.module_utils._catalog import Wanted, serve
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
            "jwt_secret": {"type": "str", "required": True, "no_log": True},
            "branding": {"type": "dict", "default": {}},
            "applications": {"type": "list", "elements": "dict", "default": []},
            "categories": {"type": "list", "elements": "dict", "default": []},
            "prune": {"type": "bool", "default": True},
            "timeout": {"type": "float", "default": 30},
        },
    }
}


def wanted(tenant: dict[str, Any]) -> Wanted:
    endpoint = Endpoint(
        host=tenant["host"],
        port=tenant["port"],
        address=tenant["address"],
        tls=tenant["tls"],
        ca_file=tenant["ca_file"],
    )
    return Wanted(
        endpoint=endpoint,
        signing_key=tenant["jwt_secret"],
        applications=tenant["applications"],
        categories=tenant["categories"],
        branding=tenant["branding"],
        prune=tenant["prune"],
        timeout=tenant["timeout"],
    )


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    tenants = {tenant["tenant"]: wanted(tenant) for tenant in module.params["tenants"]}
    with ThreadPoolExecutor(TENANTS_AT_A_TIME) as pool:
        outcomes = dict(
            zip(
                tenants,
                pool.map(lambda tenant: serve(tenant, dry_run=module.check_mode), tenants.values()),
                strict=True,
            )
        )
    changes = {name: outcome.changed for name, outcome in outcomes.items() if outcome.changed}
    module.exit_json(
        changed=bool(changes),
        changes=changes,
        failures={name: outcome.error for name, outcome in outcomes.items() if outcome.error},
        urls={name: outcome.url for name, outcome in outcomes.items()},
        diff=[
            {
                "before_header": f"catalogue of {name}",
                "after_header": f"catalogue of {name}",
                "before": outcomes[name].before,
                "after": outcomes[name].after,
            }
            for name in changes
        ],
    )


if __name__ == "__main__":
    main()
