# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Runs one command of the application's image in a pod of a tenant's namespace, to its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ansible_collections.sortie.platform.plugins.module_utils._cluster import (
    KINDS,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    Api,
    ClusterError,
    Manifest,
)
from ansible_collections.sortie.platform.plugins.module_utils._rollout import pod_trouble

APP = "sortie-task"
SECONDS_OF_GRACE = 15
_PAUSE_SECONDS = 0.25


class TaskApi(Api, Protocol):
    """What this needs of a cluster."""

    def delete(self, path: str, query: Mapping[str, str] | None = None) -> None: ...


class TaskError(Exception):
    """The command could not be run to its end; its pod is gone."""


@dataclass(frozen=True)
class Task:
    """What is run. `secrets` are environment variables by name: (Secret, key). `claim` is mounted at /data."""

    namespace: str
    name: str
    image: str
    command: Sequence[str]
    secrets: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    pull_secrets: Sequence[str] = ()
    claim: str = ""
    memory: str = "256Mi"
    seconds: float = 120

    @property
    def path(self) -> str:
        return KINDS["Pod"].path(self.namespace, self.name)


@dataclass(frozen=True)
class Ended:
    """How it ended: what it wrote, and whether its exit code was 0."""

    well: bool
    output: str


def run(
    api: TaskApi,
    task: Task,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Ended:
    """Runs it and removes its pod; one that an earlier run left is removed first."""
    _remove(api, task, clock, sleep)
    try:
        api.send("POST", KINDS["Pod"].path(task.namespace), _manifest(task), "application/json")
        return _wait(api, task, clock, sleep)
    finally:
        api.delete(task.path, {"gracePeriodSeconds": "0"})


def _remove(api: TaskApi, task: Task, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
    api.delete(task.path, {"gracePeriodSeconds": "1"})
    deadline = clock() + SECONDS_OF_GRACE * 2
    while api.get(task.path) is not None:
        if clock() > deadline:
            raise TaskError(f"pod {task.namespace}/{task.name} of an earlier run does not end")
        sleep(_PAUSE_SECONDS)


def _wait(api: TaskApi, task: Task, clock: Callable[[], float], sleep: Callable[[float], None]) -> Ended:
    started, hopeless_since = clock(), None
    while True:
        pod, elapsed = api.get(task.path), clock() - started
        if pod is None:
            raise TaskError(f"pod {task.namespace}/{task.name} was removed while it ran")
        phase = pod.get("status", {}).get("phase")
        if phase in ("Succeeded", "Failed"):
            return Ended(phase == "Succeeded", _output(api, task))
        trouble = pod_trouble(pod)
        if trouble and trouble.hopeless:
            hopeless_since = elapsed if hopeless_since is None else hopeless_since
            if elapsed - hopeless_since >= SECONDS_OF_GRACE:
                raise TaskError(trouble.message)
        if elapsed > task.seconds:
            told = f": {trouble.message}" if trouble else ""
            raise TaskError(f"pod {task.namespace}/{task.name} has not ended within {task.seconds:g} s{told}")
        sleep(_PAUSE_SECONDS)


def _output(api: TaskApi, task: Task) -> str:
    try:
        return api.text(f"{task.path}/log")
    except ClusterError as error:
        raise TaskError(f"what pod {task.namespace}/{task.name} said cannot be read: {error}") from error


def _manifest(task: Task) -> Manifest:
    environment: list[dict[str, Any]] = [
        {"name": name, "value": value} for name, value in task.environment.items()
    ]
    environment += [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
        for name, (secret, key) in task.secrets.items()
    ]
    volumes: list[dict[str, Any]] = [{"name": "tmp", "emptyDir": {}}]
    mounts = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 (the container's own) # nosec B108
    if task.claim:
        volumes.append({"name": "data", "persistentVolumeClaim": {"claimName": task.claim}})
        mounts.append({"name": "data", "mountPath": "/data"})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": task.name,
            "namespace": task.namespace,
            # Not label app: sortie, by which the tenant's Service finds its pods; its NetworkPolicy knows this one as well.
            "labels": {"app": APP, "app.kubernetes.io/name": task.name, MANAGED_BY_LABEL: MANAGED_BY},
        },
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            # Whatever becomes of the run that made it, it ends by itself.
            "activeDeadlineSeconds": int(task.seconds) + 60,
            "terminationGracePeriodSeconds": 1,
            "imagePullSecrets": [{"name": name} for name in task.pull_secrets],
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "runAsGroup": 1000,
                "fsGroup": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "sortie",
                    "image": task.image,
                    "command": list(task.command),
                    "env": environment,
                    "resources": {
                        "requests": {"cpu": "50m", "memory": "64Mi"},
                        "limits": {"memory": task.memory},
                    },
                    "securityContext": {
                        "runAsNonRoot": True,
                        "readOnlyRootFilesystem": True,
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": mounts,
                }
            ],
            "volumes": volumes,
        },
    }
