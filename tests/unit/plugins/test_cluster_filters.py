"""Where the nodes of an inventory are."""

from __future__ import annotations

from typing import Any

from ansible_collections.sortie.platform.plugins.filter.cluster import (
    container_nodes,
    node_addresses,
    pod_subnets,
    subnet_mistakes,
)

NODES = ["control-plane-1", "worker-1", "worker-2"]
HOSTVARS: dict[str, dict[str, Any]] = {
    "control-plane-1": {
        "ansible_connection": "containers.podman.podman",
        "ansible_host": "sortie-control-plane-1",
    },
    "worker-1": {"ansible_host": "192.0.2.7"},
    "worker-2": {"ansible_host": "worker.example.com", "kube_node_address": "192.0.2.8"},
}


def test_containers_are_told_from_machines() -> None:
    assert container_nodes(NODES, HOSTVARS) == ["control-plane-1"]


def test_containers_have_addresses_of_the_subnet_and_machines_their_own() -> None:
    assert node_addresses(NODES, HOSTVARS, "10.91.0.0/24") == {
        "control-plane-1": "10.91.0.11",
        "worker-1": "192.0.2.7",
        "worker-2": "192.0.2.8",
    }


def test_each_node_has_its_own_part_of_the_pods_addresses() -> None:
    assert pod_subnets(NODES, "10.244.0.0/16") == {
        "control-plane-1": "10.244.0.0/24",
        "worker-1": "10.244.1.0/24",
        "worker-2": "10.244.2.0/24",
    }


def test_networks_that_share_addresses_are_refused() -> None:
    subnets = {
        "common_subnet": "10.103.0.0/24",
        "common_pod_subnet": "10.244.0.0/16",
        "common_service_subnet": "10.96.0.0/12",
    }
    (mistake,) = subnet_mistakes(subnets)
    assert mistake.startswith(
        "common_subnet is 10.103.0.0/24, which has addresses of common_service_subnet, 10.96.0.0/12"
    )
    assert subnet_mistakes(subnets | {"common_subnet": "10.91.0.0/24"}) == []
    assert "common_subnet is nothing" in subnet_mistakes(subnets | {"common_subnet": "nothing"})[0]
