# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Makes machines out of podman containers: each runs systemd, has a fixed address, and keeps its data on volumes.

Everything carries the label `sortie.platform/cluster`, by which it is found and removed.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.sortie.platform.plugins.module_utils._go import GIBIBYTE, check_free_space
from ansible_collections.sortie.platform.plugins.module_utils._machine import Machine, raise_inotify_limits
from ansible_collections.sortie.platform.plugins.module_utils._store import StoreError, key_of

CLUSTER_LABEL = "sortie.platform/cluster"
SPEC_LABEL = "sortie.platform/spec"
LEAST_FREE = 6 * GIBIBYTE
LOOPBACK = "127.0.0.1"

# What outlives a container that is made anew, by name of the volume: file systems on which overlays work, and data.
VOLUMES = {
    "containerd": "/var/lib/containerd",
    "kubelet": "/var/lib/kubelet",
    "etcd": "/var/lib/etcd",
    "kubernetes": "/etc/kubernetes",
    "local-path": "/opt/local-path-provisioner",
    "registry": "/var/lib/registry",
}


class NodeError(Exception):
    """A node container could not be brought up, or taken away."""


@dataclass(frozen=True)
class Node:
    """A node to be: its name in the cluster, its address, and which of its ports are published on 127.0.0.1."""

    name: str
    address: str
    ports: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """The containers of one cluster."""

    cluster: str
    subnet: str
    tree: Path
    nodes: Sequence[Node]

    @property
    def image(self) -> str:
        # The directory is named by the hash of what is in the tree.
        return f"localhost/sortie-node:{self.tree.parent.name.rpartition('-')[2]}"

    def container(self, node: Node) -> str:
        return f"{self.cluster}-{node.name}"

    def volume(self, node: Node, name: str) -> str:
        return f"{self.container(node)}-{name}"


def podman(*arguments: str, check: bool = True, timeout: float = 600) -> subprocess.CompletedProcess[str]:
    try:
        answer = subprocess.run(
            ["podman", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise NodeError("podman is missing. Nothing was changed. Next: apt-get install podman") from None
    if check and answer.returncode:
        raise NodeError(f"podman {arguments[0]} failed: {answer.stderr.strip()}")
    return answer


def run_arguments(plan: Plan, node: Node, machine: Machine) -> list[str]:
    """The arguments of `podman run` (without --label and the like) for a node."""
    arguments = [
        *("--name", plan.container(node), "--hostname", node.name),
        *("--network", plan.cluster, "--ip", node.address),
        *("--privileged", "--cgroupns=private", "--pids-limit=-1"),
        *("--stop-signal", "37", "--stop-timeout", "120", "--env", "container=podman"),
        *("--tmpfs", "/tmp", "--tmpfs", "/run", "--tmpfs", "/run/lock"),  # noqa: S108 (in the container) # nosec B108
    ]
    # On cgroup v1, --systemd=always would bind the host's own systemd hierarchy into every container.
    arguments.append("--systemd=always" if machine.cgroup_version == 2 else "--systemd=false")
    if not machine.may_raise_limits:
        files = machine.open_files
        arguments += ["--ulimit", f"nofile={files}:{files}", "--ulimit", "nproc=32768:32768"]
    for inside, outside in sorted(node.ports.items()):
        arguments += ["--publish", f"{LOOPBACK}:{outside}:{inside}"]
    for name, path in VOLUMES.items():
        arguments += ["--volume", f"{plan.volume(node, name)}:{path}"]
    return arguments


def port_problem(port: int) -> str:
    """Who has a port of 127.0.0.1; empty if nobody."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return str(error)
            return _holder(port)
    return ""


def _holder(port: int) -> str:
    answer = subprocess.run(
        ["ss", "-Hltnp", f"sport = :{port}"], capture_output=True, text=True, check=False
    ).stdout
    return answer.partition('users:(("')[2].partition('"')[0] or "another process"


class Podman:
    """The containers of a cluster on this machine."""

    def __init__(self, plan: Plan, machine: Machine | None = None, *, dry_run: bool = False) -> None:
        self.plan = plan
        self.machine = machine or Machine.detect()
        self.dry_run = dry_run
        self.done: list[str] = []

    def present(self) -> list[str]:
        """Brings all nodes up, and returns what was done."""
        self._check_root()
        found = self._inspect()
        missing = [node for node in self.plan.nodes if self._state(found, node) != "running"]
        if missing:
            self._check_ports(missing, found)
            if not self.dry_run:
                check_free_space(Path("/var/lib/containers"), LEAST_FREE, "the cluster's images and data")
                self._prepare()
        for node in missing:
            self._bring_up(node, self._state(found, node))
        return self.done

    def _check_root(self) -> None:
        if os.geteuid() != 0:
            raise NodeError(
                "node containers are privileged, which needs root, and this runs as another user. Nothing was changed. Next: sudo bin/deploy"
            )

    def _spec(self, node: Node) -> str:
        return key_of([run_arguments(self.plan, node, self.machine), self.plan.image])

    def _inspect(self) -> dict[str, Any]:
        answer = podman(
            "ps", "--all", "--filter", f"label={CLUSTER_LABEL}={self.plan.cluster}", "--format", "json"
        )
        return {container["Names"][0]: container for container in json.loads(answer.stdout or "[]")}

    def _state(self, found: Mapping[str, Any], node: Node) -> str:
        """absent, outdated (made by other settings), stopped, or running."""
        container = found.get(self.plan.container(node))
        if container is None:
            return "absent"
        if container["Labels"].get(SPEC_LABEL) != self._spec(node):
            return "outdated"
        return "running" if container["State"] == "running" else "stopped"

    def _check_ports(self, nodes: Sequence[Node], found: Mapping[str, Any]) -> None:
        taken = []
        for node in nodes:
            container = found.get(self.plan.container(node))
            if container and container["State"] == "running":
                # It holds its own ports until it is made anew.
                continue
            taken += [
                f"port {port} of {LOOPBACK} is taken by {holder}"
                for port in node.ports.values()
                if (holder := port_problem(port))
            ]
        if taken:
            raise NodeError(
                f"{'; '.join(taken)}. Nothing was changed. Stop what has it, or choose other ports with common_api_port, "
                "common_https_port, common_http_port or common_registry_port, then run this again"
            )

    def _prepare(self) -> None:
        plan = self.plan
        try:
            self.done += raise_inotify_limits()
        except OSError as error:
            raise NodeError(
                f"the limits of inotify are too low for a cluster and cannot be raised: {error}. Nothing was changed. "
                "Next: sysctl -w fs.inotify.max_user_instances=1024 fs.inotify.max_user_watches=524288"
            ) from error
        if podman("network", "exists", plan.cluster, check=False).returncode:
            label = f"{CLUSTER_LABEL}={plan.cluster}"
            podman(
                "network", "create", "--disable-dns", "--subnet", plan.subnet, "--label", label, plan.cluster
            )
            self.done.append(f"network {plan.cluster} made")
        if podman("image", "exists", plan.image, check=False).returncode:
            podman("import", "--quiet", str(plan.tree), plan.image)
            self.done.append(f"image {plan.image} made")

    def _bring_up(self, node: Node, state: str) -> None:
        name = self.plan.container(node)
        self.done.append(
            {
                "absent": f"{name} made",
                "outdated": f"{name} made anew, with its data",
                "stopped": f"{name} started",
            }[state]
        )
        if self.dry_run:
            return
        if state == "stopped":
            podman("start", name)
        else:
            if state == "outdated":
                podman("rm", "--force", "--time", "120", name)
            self._create(node)
        self._wait(name)

    def _create(self, node: Node) -> None:
        label = f"{CLUSTER_LABEL}={self.plan.cluster}"
        for name in VOLUMES:
            volume = self.plan.volume(node, name)
            if podman("volume", "exists", volume, check=False).returncode:
                podman("volume", "create", "--label", label, volume)
        podman(
            *(
                "--runtime",
                "runc",
                "run",
                "--detach",
                "--label",
                label,
                "--label",
                f"{SPEC_LABEL}={self._spec(node)}",
            ),
            *run_arguments(self.plan, node, self.machine),
            *(self.plan.image, "/sbin/init"),
        )

    @staticmethod
    def _wait(name: str, seconds: float = 90) -> None:
        """Until systemd has started; one of its services that failed is for the next role to see."""
        deadline = time.monotonic() + seconds
        while True:
            state = podman(
                "--runtime", "runc", "exec", name, "systemctl", "is-system-running", check=False
            ).stdout.strip()
            if state in ("running", "degraded"):
                return
            if time.monotonic() > deadline:
                raise NodeError(
                    f"systemd in container {name} is '{state or 'not there'}' after {seconds:.0f} s. The container is left as it is. "
                    f"Look at it with: podman logs {name}"
                )
            time.sleep(0.2)

    def absent(self) -> list[str]:
        """Removes all containers, volumes and the network of the cluster, and the image if no other cluster uses it."""
        self._check_root()
        of_cluster = ("--filter", f"label={CLUSTER_LABEL}={self.plan.cluster}")
        containers = list(self._inspect())
        volumes = podman("volume", "ls", "--quiet", *of_cluster).stdout.split()
        networks = podman("network", "ls", "--quiet", *of_cluster).stdout.split()
        self.done += [*(f"container {name}" for name in containers), *(f"volume {name}" for name in volumes)]
        self.done += [f"network {name}" for name in networks]
        if self.dry_run:
            return self.done
        if containers:
            podman("rm", "--force", "--time", "0", *containers)
        if volumes:
            podman("volume", "rm", "--force", *volumes)
        for name in networks:
            podman("network", "rm", "--force", name)
        if self.done:
            images = podman(
                "images", "--quiet", "--no-trunc", "--filter", "reference=localhost/sortie-node"
            ).stdout.split()
            for image in images:
                # Refused, rightly, where another cluster's nodes are made of it.
                podman("rmi", image, check=False)
        return self.done


def ensure(podman_nodes: Podman, state: str) -> list[str]:
    """Runs one of the two, and tells every error as NodeError."""
    if shutil.which("podman") is None and state == "absent":
        return []
    try:
        return podman_nodes.present() if state == "present" else podman_nodes.absent()
    except StoreError as error:
        raise NodeError(str(error)) from error
