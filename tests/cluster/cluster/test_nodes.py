"""Three nodes: pods reach each other, a drained node's pod moves, and killed nodes come back with everything in them."""

from __future__ import annotations

import json
import subprocess

import pytest

from ansible_collections.sortie.platform.plugins.module_utils._http import HttpError
from ansible_collections.sortie.platform.tests.cluster.live import Live, eventually

CONTROL_PLANE, WORKER, SECOND_WORKER = NODES = ("control-plane-1", "worker-1", "worker-2")
BUSYBOX = "docker.io/library/busybox:1.36"
INVENTORY = ("--inventory", "molecule/cluster/inventory.yml")
NAMESPACE = "test-nodes"


def server(name: str, node: str | None) -> dict[str, object]:
    """A Deployment that answers its own name on port 8080."""
    script = f"while true; do printf 'HTTP/1.0 200 OK\\r\\n\\r\\n{name}' | busybox nc -l -p 8080; done"
    pod: dict[str, object] = {
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "server", "image": BUSYBOX, "command": ["sh", "-c", script]}],
    }
    if node:
        pod["nodeSelector"] = {"kubernetes.io/hostname": node}
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def service(name: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]},
    }


@pytest.fixture(scope="module", autouse=True)
def servers(live: Live) -> object:
    live.kubectl("create", "namespace", NAMESPACE)
    placed = {"here": CONTROL_PLANE, "there": WORKER, "beyond": SECOND_WORKER}
    objects = [server(name, node) for name, node in placed.items()] + [server("anywhere", None)]
    objects += [service(name) for name in placed]
    for entry in objects:
        live.kubectl("apply", "--filename", "-", given=json.dumps(entry))
    for name in (*placed, "anywhere"):
        live.kubectl("rollout", "status", f"deployment/{name}", "--namespace", NAMESPACE, "--timeout", "120s")
    yield
    live.kubectl("delete", "namespace", NAMESPACE)


def pod(live: Live, name: str) -> dict[str, dict[str, str]]:
    running = [
        entry
        for entry in live.objects("pods", "--namespace", NAMESPACE, "--selector", f"app={name}")["items"]
        if "deletionTimestamp" not in entry["metadata"]
    ]
    found: dict[str, dict[str, str]] = running[0]
    return found


def asks(live: Live, asker: str, address: str) -> str:
    command = (
        "exec",
        "--namespace",
        NAMESPACE,
        f"deployment/{asker}",
        "--",
        "busybox",
        "wget",
        "-q",
        "-O",
        "-",
    )
    return live.kubectl(*command, f"http://{address}", check=False).stdout


@pytest.mark.parametrize(
    ("asker", "asked"),
    [("here", "there"), ("there", "here"), ("there", "beyond"), ("beyond", "here")],
)
def test_pods_reach_each_other_across_nodes(live: Live, asker: str, asked: str) -> None:
    to = pod(live, asked)
    assert pod(live, asker)["spec"]["nodeName"] != to["spec"]["nodeName"]
    eventually(lambda: asks(live, asker, f"{to['status']['podIP']}:8080") == asked, "by address")
    eventually(lambda: asks(live, asker, f"{asked}.{NAMESPACE}.svc.cluster.local") == asked, "by name")


def test_the_pod_of_a_drained_node_moves(live: Live) -> None:
    node = pod(live, "anywhere")["spec"]["nodeName"]
    live.kubectl(
        *("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout", "120s"),
        *("--pod-selector", "app=anywhere"),
    )
    try:
        live.kubectl(
            "rollout", "status", "deployment/anywhere", "--namespace", NAMESPACE, "--timeout", "120s"
        )
        assert pod(live, "anywhere")["spec"]["nodeName"] in set(NODES) - {node}
    finally:
        live.kubectl("uncordon", node)


def test_the_worker_has_its_images_from_the_clusters_registry(live: Live) -> None:
    """Nothing was imported there, so whatever runs there has been pulled."""
    container = f"{live.variables['common_cluster_name']}-{WORKER}"
    images = subprocess.run(
        [
            "podman",
            "--runtime",
            "runc",
            "exec",
            container,
            "ctr",
            "--namespace",
            "k8s.io",
            "images",
            "ls",
            "-q",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert BUSYBOX in images
    assert "registry.k8s.io/kube-proxy" in images


def test_a_worker_that_did_not_get_ready_is_joined_again(live: Live) -> None:
    """As after an interruption: what kubeadm has made is there, but was never completed."""
    container = f"{live.variables['common_cluster_name']}-{WORKER}"
    subprocess.run(
        [
            "podman",
            "--runtime",
            "runc",
            "exec",
            container,
            "sh",
            "-c",
            "rm /etc/kubernetes/sortie-complete && systemctl stop kubelet",
        ],
        check=True,
    )
    answer = live.playbook("cluster", *INVENTORY, "--extra-vars", "kube_cluster_force=true")
    assert answer.returncode == 0, answer.stdout
    live.kubectl("wait", "--for=condition=Ready", f"node/{WORKER}", "--timeout", "60s")
    again = live.playbook("cluster", *INVENTORY)
    assert again.returncode == 0
    assert "changed=0" in again.stdout


def catalogue(live: Live) -> object:
    """What the demo tenant serves; None while it does not."""
    try:
        answer = live.get("demo", "/api/apps")
        return answer.json() if answer.status == 200 else None
    except HttpError:
        return None


@pytest.mark.parametrize("by", ["podman start", "the playbook"])
def test_killed_nodes_come_back_with_everything_in_them(live: Live, by: str) -> None:
    containers = [f"{live.variables['common_cluster_name']}-{node}" for node in NODES]
    eventually(lambda: catalogue(live) is not None, "the tenant serves", 240)
    before = catalogue(live)
    subprocess.run(["podman", "kill", *containers], check=True, capture_output=True)
    if by == "podman start":
        subprocess.run(["podman", "--runtime", "runc", "start", *containers], check=True, capture_output=True)
    else:
        result = live.playbook("deploy", *INVENTORY)
        assert result.returncode == 0, result.stdout
    eventually(lambda: catalogue(live) == before, "the tenant serves what it served before", 300)
    name = f"there.{NAMESPACE}.svc.cluster.local"
    eventually(lambda: asks(live, "here", name) == "there", "pods reach each other", 240)
