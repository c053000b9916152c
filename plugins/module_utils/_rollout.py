# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Tells whether workloads have become what was applied, and if not, why.

A Deployment is there when its controller has seen the newest generation and every pod is of the newest
template and available, with no older pod left: with strategy Recreate an old pod may still answer while the
new one is not even made. A Cluster of PostgreSQL is there when its operator calls it healthy and all of its
instances are ready. A Job is there when it is Complete; a Failed one never will be. What no waiting mends (an image
that cannot be pulled, a container that keeps crashing) is told as soon as it is certain, with the pod's reason
and last log lines.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.sortie.platform.plugins.module_utils._cluster import (
    KINDS,
    Api,
    ClusterError,
    Manifest,
    items,
)

CRASHES_THAT_ARE_ENOUGH = 3
SECONDS_OF_GRACE = 15
LOG_LINES = 10
# What CloudNativePG calls a cluster with which nothing is the matter.
HEALTHY = "Cluster in healthy state"
# Reasons for which a container waits, of which kubelet does not come back by itself in a reasonable time.
HOPELESS = {
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImageInspectError",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
}
PULL_REASONS = {
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImageInspectError",
    "ImagePullBackOff",
    "InvalidImageName",
}


@dataclass
class Workload:
    """Something to wait for, and how that went."""

    tenant: str
    namespace: str
    name: str
    kind: str = "Deployment"
    timeout: float = 180
    ready: bool = False
    failed: bool = False
    message: str = ""
    log: list[str] = field(default_factory=list)
    hopeless_since: float | None = None

    @property
    def done(self) -> bool:
        return self.ready or self.failed

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True)
class Verdict:
    ready: bool = False
    failed: bool = False
    message: str = ""


def condition(manifest: Manifest, kind: str) -> dict[str, Any] | None:
    """The condition of this type if it is true, or explicitly false with a reason."""
    for entry in manifest.get("status", {}).get("conditions") or []:
        if entry["type"] == kind:
            found: dict[str, Any] = entry
            return found
    return None


def judge_deployment(manifest: Manifest) -> Verdict:
    status, wanted = manifest.get("status", {}), manifest["spec"].get("replicas", 1)
    if status.get("observedGeneration", 0) < manifest["metadata"]["generation"]:
        return Verdict(message="its controller has not seen the change yet")
    progressing, refused = condition(manifest, "Progressing"), condition(manifest, "ReplicaFailure")
    if refused and refused["status"] == "True":
        return Verdict(
            failed=True, message=f"its pods are refused: {refused.get('message', refused.get('reason'))}"
        )
    total, updated = status.get("replicas", 0), status.get("updatedReplicas", 0)
    available = status.get("availableReplicas", 0)
    if updated >= wanted and total == updated and available >= wanted:
        return Verdict(ready=True)
    if progressing and progressing.get("reason") == "ProgressDeadlineExceeded":
        return Verdict(failed=True, message="it has made no progress within its own deadline")
    if total > updated:
        return Verdict(message=f"{total - updated} old pods are still there")
    return Verdict(message=f"{available} of {wanted} pods are available")


def judge_daemon_set(manifest: Manifest) -> Verdict:
    status = manifest.get("status", {})
    if status.get("observedGeneration", 0) < manifest["metadata"]["generation"]:
        return Verdict(message="its controller has not seen the change yet")
    wanted, updated = status.get("desiredNumberScheduled", 0), status.get("updatedNumberScheduled", 0)
    available = status.get("numberAvailable", 0)
    if wanted and updated >= wanted and available >= wanted:
        return Verdict(ready=True)
    return Verdict(
        message=f"{available} of {wanted} pods are available, {updated} of them of the newest template"
    )


def judge_cluster(manifest: Manifest) -> Verdict:
    status, wanted = manifest.get("status", {}), manifest["spec"]["instances"]
    ready, phase = status.get("readyInstances", 0), status.get("phase", "")
    if phase == HEALTHY and ready == wanted == status.get("instances", 0):
        return Verdict(ready=True)
    told = f" ({status.get('phaseReason') or phase})" if phase and phase != HEALTHY else ""
    return Verdict(message=f"{ready} of {wanted} instances are ready{told}")


def judge_job(manifest: Manifest) -> Verdict:
    for kind, verdict in (("Complete", Verdict(ready=True)), ("Failed", None)):
        found = condition(manifest, kind)
        if found and found["status"] == "True":
            return verdict or Verdict(
                failed=True, message=f"it failed: {found.get('message', found.get('reason'))}"
            )
    return Verdict(message="it is still running")


JUDGES: dict[str, Callable[[Manifest], Verdict]] = {
    "Cluster": judge_cluster,
    "DaemonSet": judge_daemon_set,
    "Deployment": judge_deployment,
    "Job": judge_job,
}


def newest_pods(pods: Sequence[Manifest]) -> list[Manifest]:
    """The pods of the newest template, or all of them where templates are not told apart (a Job's)."""
    alive = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    if not alive:
        return []
    newest = max(alive, key=lambda pod: pod["metadata"]["creationTimestamp"])
    label = newest["metadata"].get("labels", {}).get("pod-template-hash")
    return [pod for pod in alive if pod["metadata"].get("labels", {}).get("pod-template-hash") == label]


def _containers(pod: Manifest) -> list[dict[str, Any]]:
    status = pod.get("status", {})
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


@dataclass(frozen=True)
class Trouble:
    """What is the matter with a pod."""

    message: str
    hopeless: bool = False
    container: str = ""


def pod_trouble(pod: Manifest) -> Trouble | None:
    name = pod["metadata"]["name"]
    for container in _containers(pod):
        waiting = container.get("state", {}).get("waiting") or {}
        reason, detail = waiting.get("reason", ""), waiting.get("message", "")
        ended = (
            container.get("lastState", {}).get("terminated")
            or container.get("state", {}).get("terminated")
            or {}
        )
        if reason in PULL_REASONS:
            return Trouble(
                f"pod {name} cannot have its image {container['image']}: {reason}: {detail}", hopeless=True
            )
        if reason in HOPELESS:
            return Trouble(f"pod {name} cannot start: {reason}: {detail}", hopeless=True)
        if ended and ended.get("exitCode"):
            restarts = container.get("restartCount", 0)
            message = (
                f"pod {name} ended with exit code {ended['exitCode']}"
                f" ({ended.get('reason', 'Error')}, restarted {restarts} times)"
            )
            enough = restarts >= CRASHES_THAT_ARE_ENOUGH
            return Trouble(message, hopeless=enough, container=container["name"])
    scheduled = condition(pod, "PodScheduled")
    if scheduled and scheduled["status"] == "False":
        return Trouble(f"pod {name} has no node: {scheduled.get('message', scheduled.get('reason'))}")
    for container in _containers(pod):
        if "running" in container.get("state", {}) and not container.get("ready"):
            return Trouble(f"pod {name} runs but is not ready", container=container["name"])
    return None


def _log_tail(api: Api, pod: Manifest, container: str) -> list[str]:
    path = KINDS["Pod"].path(pod["metadata"]["namespace"], pod["metadata"]["name"]) + "/log"
    query = {"container": container, "tailLines": str(LOG_LINES)}
    for previous in ("true", "false"):
        try:
            lines = api.text(path, {**query, "previous": previous}).strip().splitlines()
        except ClusterError:
            continue
        if lines:
            return lines
    return []


def _warning(api: Api, workload: Workload, pod: Manifest) -> str:
    """The last warning about a pod, for a probe that fails or a volume that does not come."""
    query = {"fieldSelector": f"involvedObject.name={pod['metadata']['name']},type=Warning"}
    events = sorted(
        items(api, KINDS["Event"].path(workload.namespace), query),
        key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""),
    )
    return f" ({events[-1]['message'].strip()})" if events else ""


def _pods(api: Api, workload: Workload, manifest: Manifest) -> list[Manifest]:
    own = {"cnpg.io/cluster": workload.name}
    labels = own if workload.kind == "Cluster" else manifest["spec"]["selector"]["matchLabels"]
    selector = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
    return newest_pods(list(items(api, KINDS["Pod"].path(workload.namespace), {"labelSelector": selector})))


def look(api: Api, workload: Workload, elapsed: float) -> None:
    """Brings a workload's verdict up to date; looks at its pods only where that can tell more."""
    manifest = api.get(KINDS[workload.kind].path(workload.namespace, workload.name))
    if manifest is None:
        workload.failed, workload.message = True, "it does not exist"
        return
    verdict = JUDGES[workload.kind](manifest)
    workload.ready, workload.failed, workload.message = verdict.ready, verdict.failed, verdict.message
    out_of_time = elapsed >= workload.timeout
    if verdict.ready or not (verdict.failed or out_of_time or elapsed >= 2):
        return
    pods = _pods(api, workload, manifest)
    troubles = [(pod, trouble) for pod in pods if (trouble := pod_trouble(pod))]
    hopeless = next((entry for entry in troubles if entry[1].hopeless), None)
    workload.hopeless_since = (workload.hopeless_since or elapsed) if hopeless else None
    given_up = workload.hopeless_since is not None and elapsed - workload.hopeless_since >= SECONDS_OF_GRACE
    if not (verdict.failed or out_of_time or given_up):
        return
    workload.failed = True
    if out_of_time:
        workload.message = f"not ready within {workload.timeout:g} s: {verdict.message}"
    if hopeless or troubles:
        pod, trouble = hopeless or troubles[0]
        workload.message += f"; {trouble.message}" if workload.message else trouble.message
        if not trouble.hopeless:
            workload.message += _warning(api, workload, pod)
        workload.log = _log_tail(api, pod, trouble.container) if trouble.container else []


def wait(
    api: Api,
    workloads: Sequence[Workload],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> float:
    """Waits for all workloads at once, each within its own time; returns the seconds it took."""
    started, pause = clock(), 0.1
    while True:
        elapsed = clock() - started
        for workload in workloads:
            if not workload.done:
                look(api, workload, elapsed)
        if all(workload.done for workload in workloads):
            return clock() - started
        sleep(pause)
        pause = min(pause * 1.5, 1.0)
