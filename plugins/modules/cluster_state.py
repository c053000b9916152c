#!/usr/bin/python
# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Tells whether a cluster is what the inventory says, and notes it in the cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: cluster_state
short_description: Tells whether a cluster is what the inventory says
version_added: 0.1.0
description:
  - A cluster that the collection has brought up holds a fingerprint of everything that it was made from, in ConfigMap C(kube-system/sortie-platform).
    If the fingerprint is still the same, the nodes are ready and the add-ons run, there is nothing to do, which one call finds out.
author:
  - The Sortie platform maintainers (@sortie-platform)
attributes:
  check_mode:
    description: Can run in check mode and tell what it would do without changing anything.
    support: full
options:
  kubeconfig:
    description: Path of the cluster's kubeconfig.
    type: path
    required: true
  nodes:
    description: Names of the nodes that must be ready.
    type: list
    elements: str
    required: true
  inputs:
    description: Variables that the cluster is made from.
    type: dict
    required: true
  sources:
    description: Directories whose files it is made from.
    type: list
    elements: path
    default: []
  state:
    description: Whether to compare, or to note that the cluster has been brought up from these inputs.
    type: str
    choices: [compared, noted]
    default: compared
"""

EXAMPLES = r"""
- name: See whether there is anything to do
  sortie.platform.cluster_state:
    kubeconfig: .local/kubeconfig
    nodes: [control-plane-1]
    inputs: {version: v1.34.3}
  register: state
"""

RETURN = r"""
current:
  description: Whether the cluster is what the inventory says.
  returned: success
  type: bool
reason:
  description: Why it is not; empty if it is.
  returned: success
  type: str
  sample: there is no kubeconfig .local/kubeconfig
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sortie.platform.plugins.module_utils._cluster import (
    KINDS,
    Api,
    Cluster,
    ClusterError,
    apply,
)
from ansible_collections.sortie.platform.plugins.module_utils._rollout import JUDGES
from ansible_collections.sortie.platform.plugins.module_utils._store import key_of, tree_hashes

NAMESPACE, NAME = "kube-system", "sortie-platform"
# What tenants need to be served. metrics-server is not among them: it is ready when it has measured for a while.
ADDONS = (
    ("Deployment", "kube-system", "coredns"),
    ("Deployment", "registry", "registry"),
    ("Deployment", "local-path-storage", "local-path-provisioner"),
    ("DaemonSet", "traefik", "traefik"),
)

ARGUMENTS: dict[str, Any] = {
    "kubeconfig": {"type": "path", "required": True},
    "nodes": {"type": "list", "elements": "str", "required": True},
    "inputs": {"type": "dict", "required": True},
    "sources": {"type": "list", "elements": "path", "default": []},
    "state": {"type": "str", "choices": ["compared", "noted"], "default": "compared"},
}


def unready_nodes(api: Api, expected: list[str]) -> list[str]:
    """The expected nodes that are not there or not ready."""
    found = (api.get("/api/v1/nodes") or {}).get("items", [])
    ready = {
        node["metadata"]["name"]
        for node in found
        for condition in node["status"].get("conditions", [])
        if condition["type"] == "Ready" and condition["status"] == "True"
    }
    return [name for name in expected if name not in ready]


def difference(api: Api, nodes: list[str], fingerprint: str) -> str:
    """Why the cluster is not what it should be; empty if it is."""
    noted = api.get(KINDS["ConfigMap"].path(NAMESPACE, NAME))
    if noted is None:
        return "it was not completed"
    if noted["data"].get("fingerprint") != fingerprint:
        return "its variables, or the collection, have changed"
    if unready := unready_nodes(api, nodes):
        return f"node {', '.join(unready)} is not ready"
    for kind, namespace, name in ADDONS:
        manifest = api.get(KINDS[kind].path(namespace, name))
        verdict = JUDGES[kind](manifest) if manifest else None
        if verdict is None or not verdict.ready:
            return f"{kind} {namespace}/{name} is not ready"
    return ""


def note(api: Api, fingerprint: str) -> None:
    apply(
        api,
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": NAME, "namespace": NAMESPACE},
            "data": {"fingerprint": fingerprint},
        },
    )


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    hashes = {source: tree_hashes(Path(source)) for source in given["sources"]}
    fingerprint = key_of(
        [given["inputs"], sorted((Path(source).name, files) for source, files in hashes.items())]
    )
    try:
        cluster = Cluster(given["kubeconfig"])
        if given["state"] == "noted":
            if not module.check_mode:
                note(cluster, fingerprint)
            module.exit_json(changed=True, current=True, reason="")
        reason = difference(cluster, given["nodes"], fingerprint)
    except ClusterError as error:
        if given["state"] == "noted":
            module.fail_json(
                msg=f"The cluster is up, but that could not be noted in it: {error}. Run this again."
            )
        reason = str(error)
    module.exit_json(changed=False, current=not reason, reason=reason)


if __name__ == "__main__":
    main()
