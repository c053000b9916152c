"""A machine that is reached by SSH joins as a worker. It stands in the nodes' network and is Debian with systemd, as a rented one."""

from __future__ import annotations

import ipaddress
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from ansible_collections.sortie.platform.plugins.module_utils._machine import Machine
from ansible_collections.sortie.platform.plugins.module_utils._node_containers import (
    CLUSTER_LABEL,
    VOLUMES,
    Node,
    Plan,
    run_arguments,
)
from ansible_collections.sortie.platform.tests.cluster.live import Live, eventually

NAME = "ssh-1"
BUSYBOX = "docker.io/library/busybox:1.36"


@dataclass(frozen=True)
class Rented:
    """A machine: its container, its address, and the key that opens it."""

    container: str
    address: str
    key: Path

    @property
    def state(self) -> str:
        command = ["podman", "--runtime", "runc", "exec", self.container, "systemctl", "is-system-running"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def podman(*arguments: str) -> str:
    done = subprocess.run(
        ["podman", "--runtime", "runc", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"podman {' '.join(arguments[:3])}: {done.stderr}"
    return done.stdout


@pytest.fixture
def machine(live: Live, tmp_path: Path) -> Iterator[Rented]:
    """A machine with nothing but an SSH server."""
    cluster, network = (
        live.variables["common_cluster_name"],
        ipaddress.ip_network(live.variables["common_subnet"]),
    )
    rented = Rented(f"{cluster}-{NAME}", str(network[50]), tmp_path / "key")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", rented.key], check=True)
    image = podman("inspect", "--format", "{{.ImageName}}", live.container).strip()
    plan = Plan(cluster, "", Path(), [Node(NAME, rented.address)])
    arguments = run_arguments(plan, plan.nodes[0], Machine.detect())
    podman("run", "--detach", "--label", f"{CLUSTER_LABEL}={cluster}", *arguments, image, "/sbin/init")
    try:
        eventually(lambda: rented.state.strip() in ("running", "degraded"), "systemd has started")
        install = "apt-get update -q && apt-get install -y -q --no-install-recommends openssh-server"
        podman("exec", rented.container, "sh", "-c", install)
        podman("exec", rented.container, "mkdir", "-p", "-m", "0700", "/root/.ssh")
        podman("cp", f"{rented.key}.pub", f"{rented.container}:/root/.ssh/authorized_keys")
        podman(
            "exec",
            rented.container,
            "sh",
            "-c",
            "chown root: /root/.ssh/authorized_keys && systemctl start ssh",
        )
        yield rented
    finally:
        live.kubectl("delete", "node", NAME, "--ignore-not-found", check=False)
        subprocess.run(
            ["podman", "rm", "--force", "--time", "0", rented.container], capture_output=True, check=False
        )
        for volume in VOLUMES:
            subprocess.run(
                ["podman", "volume", "rm", f"{rented.container}-{volume}"], capture_output=True, check=False
            )


def test_a_machine_joins_by_ssh(live: Live, machine: Rented, tmp_path: Path) -> None:
    inventory = tmp_path / "ssh.yml"
    options = f"-o StrictHostKeyChecking=no -o UserKnownHostsFile={tmp_path}/known_hosts"
    variables = {
        "ansible_connection": "ssh",
        "ansible_host": machine.address,
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(machine.key),
        "ansible_ssh_common_args": options,
        "ansible_remote_tmp": "/root/.ansible/tmp",
        # Its kernel is this machine's, which kubeadm cannot look into.
        "kube_cluster_ignored_checks": ["all"],
    }
    inventory.write_text(yaml.safe_dump({"kube_workers": {"hosts": {NAME: variables}}}))
    arguments = ("--inventory", "molecule/cluster/inventory.yml", "--inventory", str(inventory))
    done = live.playbook("cluster", *arguments)
    assert done.returncode == 0, done.stdout
    live.kubectl("wait", "--for=condition=Ready", f"node/{NAME}", "--timeout", "60s")
    overrides = {"spec": {"nodeName": NAME}}
    told = live.kubectl(
        *(
            "run",
            "on-ssh",
            "--image",
            BUSYBOX,
            "--restart",
            "Never",
            "--attach",
            "--rm",
            "--quiet",
            "--overrides",
            json.dumps(overrides),
        ),
        *("--", "busybox", "wget", "-q", "-O", "-", "http://sortie.sortie-demo.svc.cluster.local/healthz"),
    )
    assert json.loads(told.stdout)["status"] == "ok"
    again = live.playbook("cluster", *arguments)
    assert again.returncode == 0, again.stdout
    assert "changed=0" in again.stdout
