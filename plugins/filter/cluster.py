# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Where a cluster's nodes are, as filters. Each is described in a file of its own beside this one."""

from __future__ import annotations

import ipaddress
import itertools
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


def subnet_mistakes(subnets: Mapping[str, str]) -> list[str]:
    """What is wrong with the networks of a cluster, in words."""
    networks, mistakes = {}, []
    for variable, subnet in subnets.items():
        try:
            networks[variable] = ipaddress.ip_network(subnet)
        except ValueError:
            mistakes.append(f"{variable} is {subnet}; expected is a network such as 10.91.0.0/24")
    for one, other in itertools.combinations(networks, 2):
        if networks[one].overlaps(networks[other]):
            mistakes.append(
                f"{one} is {subnets[one]}, which has addresses of {other}, {subnets[other]}; "
                "expected are networks of their own"
            )
    return mistakes


class FilterModule:
    """The filters of this file, by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "container_nodes": container_nodes,
            "node_addresses": node_addresses,
            "pod_subnets": pod_subnets,
            "subnet_mistakes": subnet_mistakes,
        }
