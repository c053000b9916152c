# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Where a cluster's nodes are, as filters. Each is described in a file of its own beside this one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

CONTAINER_CONNECTION = "containers.podman.podman"
FIRST_ADDRESS = 11


def container_nodes(nodes: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [node for node in nodes if hostvars[node].get("ansible_connection") == CONTAINER_CONNECTION]


def node_addresses(
    nodes: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]], subnet: str
) -> dict[str, str]:
    containers = container_nodes(nodes, hostvars)
    network = subnet.rpartition(".")[0]
    return {
        node: f"{network}.{FIRST_ADDRESS + place}"
        if node in containers
        else str(hostvars[node].get("kube_node_address") or hostvars[node].get("ansible_host") or node)
        for place, node in enumerate(nodes)
    }


def pod_subnets(nodes: Sequence[str], network: str) -> dict[str, str]:
    prefix = ".".join(network.split(".")[:2])
    return {node: f"{prefix}.{place}.0/24" for place, node in enumerate(nodes)}


class FilterModule:
    """The filters of this file, by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "container_nodes": container_nodes,
            "node_addresses": node_addresses,
            "pod_subnets": pod_subnets,
        }
