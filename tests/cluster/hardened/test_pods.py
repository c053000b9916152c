"""Pods of the collection have the least, and others cannot get more in a tenant's namespace."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from ansible_collections.sortie.platform.tests.cluster.live import Live

NAMESPACE = "sortie"
# What is Kubernetes' own stands in these; all others of a cluster that the collection makes are the collection's.
FOREIGN = {"default", "kube-node-lease", "kube-public", "kube-system"}
# What the cluster's own parts need beyond the restricted standard, by namespace.
NEEDED = {
    "local-path-storage": set(),
    "registry": {"hostNetwork", "hostPath"},
    "traefik": {"hostPort"},
}
COMPLIANT: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "tried", "namespace": NAMESPACE},
    "spec": {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "tried",
                "image": "docker.io/library/busybox:1.36",
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
    },
}
# One thing each that a pod must not have; (path, value).
VIOLATIONS: dict[str, tuple[str, Any]] = {
    "privileged": ("containers.0.securityContext", {"privileged": True}),
    "root": ("securityContext.runAsUser", 0),
    "root by default": ("securityContext.runAsNonRoot", False),
    "privilege escalation": ("containers.0.securityContext.allowPrivilegeEscalation", True),
    "a capability": ("containers.0.securityContext.capabilities.add", ["NET_RAW"]),
    "all capabilities": ("containers.0.securityContext.capabilities", {}),
    "no seccomp": ("securityContext.seccompProfile.type", "Unconfined"),
    "a directory of the node": ("volumes", [{"name": "etc", "hostPath": {"path": "/etc"}}]),
    "the node's network": ("hostNetwork", True),
    "the node's processes": ("hostPID", True),
    "a port of the node": ("containers.0.ports", [{"containerPort": 80, "hostPort": 80}]),
}


def tried(live: Live, path: str = "", value: Any = None) -> str:
    """What the API server says to a pod in the tenant's namespace; empty if it takes it."""
    pod = copy.deepcopy(COMPLIANT)
    *parents, last = path.split(".")
    if path:
        place = pod["spec"]
        for step in parents:
            place = place[int(step)] if step.isdigit() else place[step]
        place[last] = value
    answer = live.kubectl("apply", "--dry-run=server", "--filename", "-", given=json.dumps(pod), check=False)
    return answer.stderr if answer.returncode else ""


@pytest.mark.parametrize("violation", VIOLATIONS)
def test_a_pod_cannot_have_more_than_the_restricted_standard(live: Live, violation: str) -> None:
    assert "violates PodSecurity" in tried(live, *VIOLATIONS[violation])


def test_a_pod_within_the_standard_is_taken(live: Live) -> None:
    assert tried(live) == ""


def excess(pod: dict[str, Any]) -> set[str]:
    """What a pod has beyond the least."""
    spec, found = pod["spec"], set()
    found |= {name for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)}
    if any("hostPath" in volume for volume in spec.get("volumes", [])):
        found.add("hostPath")
    shared = spec.get("securityContext", {})
    for container in spec["containers"] + spec.get("initContainers", []):
        own = {**shared, **container.get("securityContext", {})}
        ports = container.get("ports", [])
        if any(port.get("hostPort") for port in ports) and not spec.get("hostNetwork"):
            found.add("hostPort")
        wanted = {
            "runAsNonRoot": True,
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        found |= {name for name, value in wanted.items() if own.get(name) != value}
        if not own.get("runAsUser"):
            found.add("runAsUser")
        if "memory" not in container["resources"].get("limits", {}):
            found.add("limits.memory")
    return found


def pods(live: Live) -> list[dict[str, Any]]:
    """The pods that run; helpers of the storage, which write to their node as root, are gone when a volume is there."""
    found = live.objects("pods", "--all-namespaces", "--field-selector", "status.phase=Running")["items"]
    return [pod for pod in found if pod["metadata"]["namespace"] not in FOREIGN]


def test_every_pod_of_ours_has_the_least(live: Live) -> None:
    found = {
        f"{pod['metadata']['namespace']}/{pod['metadata']['name']}": excess(pod)
        - NEEDED.get(pod["metadata"]["namespace"], set())
        for pod in pods(live)
    }
    assert any(name.startswith(f"{NAMESPACE}/sortie-") for name in found)
    assert {name: more for name, more in found.items() if more} == {}


def test_what_is_excepted_is_needed(live: Live) -> None:
    """An exception that nothing uses any more has to go."""
    for namespace, needed in NEEDED.items():
        used = [excess(pod) for pod in pods(live) if pod["metadata"]["namespace"] == namespace]
        assert used, namespace
        assert needed <= set.union(*used)


def test_every_namespace_of_ours_is_restricted_but_for_those_that_cannot_be(live: Live) -> None:
    levels = {
        entry["metadata"]["name"]: entry["metadata"]["labels"].get("pod-security.kubernetes.io/enforce")
        for entry in live.objects("namespaces")["items"]
        if entry["metadata"]["name"] not in FOREIGN
    }
    assert levels[NAMESPACE] == "restricted"
    assert {name for name, level in levels.items() if level != "restricted"} == set(NEEDED)
    assert None not in levels.values()


def test_the_application_runs_with_what_its_manifest_says(live: Live) -> None:
    """From inside: who it is, what it may write, what it knows of the cluster."""
    program = """
import os, pathlib
status = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
print(os.getuid(), status["CapEff"].strip(), status["NoNewPrivs"].strip(), status["Seccomp"].strip())
print(pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount").exists())
try:
    pathlib.Path("/app/written").write_text("")
except OSError as error:
    print(error.strerror)
"""
    answer = live.kubectl(
        "exec", "--namespace", NAMESPACE, "deployment/sortie", "--", "python3", "-c", program
    )
    assert answer.stdout.splitlines() == ["1000 0000000000000000 1 2", "False", "Read-only file system"]
