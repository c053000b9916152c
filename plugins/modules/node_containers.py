#!/usr/bin/python
# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Makes machines for a cluster out of podman containers."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: node_containers
short_description: Makes machines for a cluster out of podman containers
version_added: 0.1.0
description:
  - Each container runs systemd, has a fixed address in a network of the cluster's own, and keeps its data on volumes, so it survives being killed.
  - Ports are published on 127.0.0.1 alone.
  - What the control host allows (cgroup version, raising limits) is detected.
author:
  - The Sortie platform maintainers (@sortie-platform)
attributes:
  check_mode:
    description: Can run in check mode and tell what it would do without changing anything.
    support: full
options:
  cluster:
    description: Name of the cluster, with which the names of its containers, volumes and network begin.
    type: str
    required: true
  state:
    description: Whether they should be there, running, or be gone with all their data.
    type: str
    choices: [present, absent]
    default: present
  subnet:
    description: Addresses of the cluster's network.
    type: str
    default: ""
  tree:
    description: Root file system as a tar file, from M(sortie.platform.debian_tree).
    type: path
    default: ""
  nodes:
    description: The nodes.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the node.
        type: str
        required: true
      address:
        description: Its address in the network.
        type: str
        required: true
  published:
    description: Ports of nodes, by the node's name, each with the port of 127.0.0.1 on which it is published.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Make a node
  sortie.platform.node_containers:
    cluster: sortie
    subnet: 10.91.0.0/24
    tree: /root/.cache/sortie-platform/debian/node-0123456789abcdef/tree.tar
    nodes:
      - name: control-plane-1
        address: 10.91.0.11
    published:
      control-plane-1: {6443: 6443}
"""

RETURN = r"""
actions:
  description: What was done.
  returned: success
  type: list
  elements: str
  sample: [sortie-control-plane-1 made]
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sortie.platform.plugins.module_utils._node_containers import (
    Node,
    NodeError,
    Plan,
    Podman,
    ensure,
)

ARGUMENTS: dict[str, Any] = {
    "cluster": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "subnet": {"type": "str", "default": ""},
    "tree": {"type": "path", "default": ""},
    "nodes": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "address": {"type": "str", "required": True},
        },
    },
    "published": {"type": "dict", "default": {}},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    nodes = [
        Node(
            node["name"],
            node["address"],
            {
                int(inside): int(outside)
                for inside, outside in given["published"].get(node["name"], {}).items()
            },
        )
        for node in given["nodes"]
    ]
    plan = Plan(given["cluster"], given["subnet"], Path(given["tree"]), nodes)
    try:
        actions = ensure(Podman(plan, dry_run=module.check_mode), given["state"])
    except NodeError as error:
        module.fail_json(msg=f"{error}.")
    module.exit_json(changed=bool(actions), actions=actions)


if __name__ == "__main__":
    main()
