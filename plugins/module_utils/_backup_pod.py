# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Stops and starts a tenant's application, and holds its volume in a pod of its own meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ansible_collections.sortie.platform.plugins.module_utils._backup_error import BackupError
from ansible_collections.sortie.platform.plugins.module_utils._backup_tenant import (
    APPLICATION,
    SELECTOR,
    Place,
    TenantApi,
    require_sqlite,
)
from ansible_collections.sortie.platform.plugins.module_utils._cluster import KINDS, Manifest, items
from ansible_collections.sortie.platform.plugins.module_utils._exec import Container
from ansible_collections.sortie.platform.plugins.module_utils._rollout import Workload, pod_trouble, wait

HELPER = "sortie-volume"
CLAIM = "sortie-data"
# How many replicas there were, kept at the Deployment so that a killed run can be taken up.
REPLICAS = "sortie.platform/replicas-before-restore"
_MERGE = "application/merge-patch+json"
_HOLD_SECONDS = 3600
_PAUSE_SECONDS = 0.3


@dataclass(frozen=True)
class Deployed:
    """A tenant's Deployment, as a restore needs it."""

    image: str
    replicas: int
    manifest: Manifest


class Application:
    """The tenant's Deployment and its volume. `timeout` bounds each wait, in seconds."""

    def __init__(self, api: TenantApi, place: Place, *, timeout: float = 180) -> None:
        self._api, self._place, self._timeout = api, place, timeout
        self._path = KINDS["Deployment"].path(place.namespace, APPLICATION)

    def read(self) -> Deployed:
        """The Deployment; BackupError if the tenant is not deployed, or not on SQLite."""
        manifest = self._api.get(self._path)
        if manifest is None:
            raise BackupError(
                f"{self._place.tenant} is not deployed in namespace {self._place.namespace}",
                state="nothing was changed",
                next_step=f"deploy.yml --limit {self._place.tenant}   and then the restore again",
            )
        require_sqlite(self._place, manifest["spec"]["template"])
        pod = manifest["spec"]["template"]["spec"]
        claims = [
            volume["persistentVolumeClaim"]["claimName"]
            for volume in pod.get("volumes") or []
            if "persistentVolumeClaim" in volume
        ]
        if CLAIM not in claims:
            raise BackupError(
                f"{self._place.tenant} has no volume {CLAIM}, where its SQLite database would be",
                state="nothing was changed",
                next_step=f"deploy.yml --limit {self._place.tenant}   and then the same again",
            )
        image = next(entry["image"] for entry in pod["containers"] if entry["name"] == APPLICATION)
        return Deployed(str(image), int(manifest["spec"].get("replicas", 1)), manifest)

    def stop(self) -> None:
        """No pod of the application is left when this returns."""
        deployed = self.read()
        if deployed.replicas:
            self._patch({REPLICAS: str(deployed.replicas)}, 0)
        self._until(lambda: not self._pods(SELECTOR), "its pods still run")

    def start(self) -> None:
        """The application runs and is ready when this returns; BackupError says why it does not."""
        deployed = self.read()
        before = (deployed.manifest["metadata"].get("annotations") or {}).get(REPLICAS)
        if not deployed.replicas or before:
            self._patch({REPLICAS: None}, int(before or 1))
        workload = Workload(self._place.tenant, self._place.namespace, APPLICATION, timeout=self._timeout)
        wait(self._api, [workload])
        if workload.failed:
            log = "".join(f" | {line}" for line in workload.log[-3:])
            raise BackupError(
                f"{workload}: {workload.message}{log}",
                state="the application does not run",
                next_step=f"{self._place.kubectl} get pods,events",
            )

    def hold(self) -> Container:
        """A pod that has the volume and does nothing; the application must be stopped unless it may run beside."""
        self.release()
        path = KINDS["Pod"].path(self._place.namespace)
        self._api.send("POST", path, self._helper(self.read()), "application/json")
        self._until(self._helper_runs, f"pod {HELPER} does not start")
        return Container(self._place.namespace, HELPER, HELPER)

    def release(self) -> None:
        """The helper pod is gone when this returns."""
        path = KINDS["Pod"].path(self._place.namespace, HELPER)
        self._api.delete(path, {"gracePeriodSeconds": "1"})
        self._until(lambda: self._api.get(path) is None, f"pod {HELPER} does not end")

    def _helper_runs(self) -> bool:
        pod = self._api.get(KINDS["Pod"].path(self._place.namespace, HELPER))
        if pod is None:
            return False
        trouble = pod_trouble(pod)
        if trouble and trouble.hopeless:
            raise BackupError(
                trouble.message,
                state="the volume was not touched by it",
                next_step=f"{self._place.kubectl} describe pod {HELPER}",
            )
        return bool(pod.get("status", {}).get("phase") == "Running")

    def _helper(self, deployed: Deployed) -> Manifest:
        spec = deployed.manifest["spec"]["template"]["spec"]
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": HELPER,
                "namespace": self._place.namespace,
                "labels": {"app.kubernetes.io/name": HELPER},
            },
            "spec": {
                "restartPolicy": "Never",
                "serviceAccountName": spec.get("serviceAccountName", APPLICATION),
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "terminationGracePeriodSeconds": 1,
                # Whatever becomes of the run that made it, it goes by itself.
                "activeDeadlineSeconds": _HOLD_SECONDS,
                "securityContext": spec.get("securityContext") or {},
                "imagePullSecrets": spec.get("imagePullSecrets") or [],
                "nodeSelector": spec.get("nodeSelector") or {},
                "tolerations": spec.get("tolerations") or [],
                "containers": [
                    {
                        "name": HELPER,
                        "image": deployed.image,
                        "command": ["sortie", "volume", "hold", "--seconds", str(_HOLD_SECONDS)],
                        "resources": {
                            "requests": {"cpu": "50m", "memory": "64Mi"},
                            "limits": {"memory": "256Mi"},
                        },
                        "securityContext": {
                            "runAsNonRoot": True,
                            "readOnlyRootFilesystem": True,
                            "allowPrivilegeEscalation": False,
                            "capabilities": {"drop": ["ALL"]},
                        },
                        "volumeMounts": [
                            {"name": "data", "mountPath": "/data"},
                            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 (the container's own) # nosec B108
                        ],
                    }
                ],
                "volumes": [
                    {"name": "data", "persistentVolumeClaim": {"claimName": CLAIM}},
                    {"name": "tmp", "emptyDir": {}},
                ],
            },
        }

    def _patch(self, annotations: dict[str, Any], replicas: int) -> None:
        body = {"metadata": {"annotations": annotations}, "spec": {"replicas": replicas}}
        self._api.send("PATCH", self._path, body, _MERGE)

    def _pods(self, selector: str) -> list[Manifest]:
        return list(items(self._api, KINDS["Pod"].path(self._place.namespace), {"labelSelector": selector}))

    def _until(self, done: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + self._timeout
        while not done():
            if time.monotonic() > deadline:
                raise BackupError(
                    f"{self._place.tenant}: {otherwise} after {self._timeout:g} s",
                    state="run the restore again, and it goes on where it stopped",
                    next_step=f"{self._place.kubectl} get pods,events",
                )
            time.sleep(_PAUSE_SECONDS)
