#!/usr/bin/python
# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Writes a kubeconfig for a ServiceAccount, with a token that expires."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: account_kubeconfig
short_description: Writes a kubeconfig for a ServiceAccount, with a token that expires
version_added: 0.1.0
description:
  - Asks the cluster for a token of the account and writes it, with the cluster's address and authority, into a file that its owner alone can read.
  - A kubeconfig that is there and good for at least half of the time is left alone.
author:
  - The Sortie platform maintainers (@sortie-platform)
attributes:
  check_mode:
    description: Can run in check mode and tell what it would do without changing anything.
    support: full
options:
  kubeconfig:
    description: Path of the kubeconfig by which the token is asked for.
    type: path
    required: true
  context:
    description: Context in it; its own current one if left out.
    type: str
  namespace:
    description: Namespace of the account.
    type: str
    required: true
  account:
    description: Name of the ServiceAccount.
    type: str
    required: true
  path:
    description: File to write.
    type: path
    required: true
  hours:
    description: How long the token is good.
    type: float
    default: 8
requirements:
  - kubernetes
"""

EXAMPLES = r"""
- name: Write the deployer's kubeconfig
  sortie.platform.account_kubeconfig:
    kubeconfig: .local/kubeconfig
    namespace: sortie-acme
    account: sortie-deployer
    path: .local/deployers/acme.kubeconfig
"""

RETURN = r"""
expires:
  description: When the token ends; empty in check mode if a new one would be asked for.
  returned: success
  type: str
  sample: "2027-01-01T08:00:00+00:00"
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sortie.platform.plugins.module_utils._account import (
    account_kubeconfig,
    cluster_entry,
    expiry,
    good_until,
    request_token,
)
from ansible_collections.sortie.platform.plugins.module_utils._cluster import (
    AUTH_ARGUMENTS,
    Cluster,
    ClusterError,
)

ARGUMENTS: dict[str, Any] = {
    **AUTH_ARGUMENTS,
    "namespace": {"type": "str", "required": True},
    "account": {"type": "str", "required": True},
    "path": {"type": "path", "required": True},
    "hours": {"type": "float", "default": 8},
}


def write(path: Path, content: str) -> None:
    """By a rename, and never readable for others."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    partial.write_text(content)
    partial.rename(path)


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    path, place = Path(given["path"]), (given["namespace"], given["account"])
    try:
        entry = cluster_entry(Path(given["kubeconfig"]), given["context"])
        if ends := good_until(path, entry, *place, given["hours"]):
            module.exit_json(changed=False, expires=ends.isoformat())
        if module.check_mode:
            module.exit_json(changed=True, expires="")
        token = request_token(Cluster(given["kubeconfig"], given["context"]), *place, given["hours"])
        write(path, account_kubeconfig(entry, *place, token))
    except (ClusterError, OSError) as error:
        module.fail_json(
            msg=f"There is no kubeconfig for {place[0]}/{place[1]}: {error}. {path} was not changed."
        )
    ends = expiry(token)
    module.exit_json(changed=True, expires=ends.isoformat() if ends else "")


if __name__ == "__main__":
    main()
