"""A command in a pod ends with what it said, or with why it could not; its pod never stays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ansible_collections.sortie.platform.plugins.module_utils._cluster import KINDS, Manifest
from ansible_collections.sortie.platform.plugins.module_utils._task_pod import Task, TaskError, run
from ansible_collections.sortie.platform.tests.unit.plugins.fakes import FakeApi

TASK = Task(
    "sortie-acme", "check", "sortie:1", ["sortie", "version"], {"DSN": ("secret", "key")}, claim="sortie-data"
)


class Pods(FakeApi):
    """A cluster whose pods go through the given statuses, one at each look."""

    def __init__(self, *statuses: dict[str, Any]) -> None:
        super().__init__()
        self.statuses = list(statuses)
        self.made: list[Manifest] = []

    def send(
        self,
        method: str,
        path: str,
        body: Manifest,
        content_type: str,
        query: Mapping[str, str] | None = None,
    ) -> Manifest:
        if body["kind"] == "Pod":
            self.made.append(body)
        return super().send(method, path, body, content_type, query)

    def get(
        self, path: str, query: Mapping[str, str] | None = None, *, metadata_only: bool = False
    ) -> Manifest | None:
        found = super().get(path, query, metadata_only=metadata_only)
        if found is not None and found["kind"] == "Pod":
            status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
            return {**found, "status": status}
        return found

    def delete(self, path: str, query: Mapping[str, str] | None = None) -> None:
        self.objects.pop(path, None)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def ended(api: Pods, task: Task = TASK) -> Any:
    clock = Clock()
    return run(api, task, clock=clock, sleep=clock.sleep)


def test_it_ends_with_what_it_wrote() -> None:
    api = Pods({"phase": "Pending"}, {"phase": "Running"}, {"phase": "Succeeded"})
    api.logs[f"{TASK.path}/log"] = "said"
    outcome = ended(api)
    assert (outcome.well, outcome.output) == (True, "said")
    assert TASK.path not in api.objects


def test_a_failure_is_told_with_what_it_wrote() -> None:
    api = Pods({"phase": "Failed"})
    api.logs[f"{TASK.path}/log"] = "no"
    assert not ended(api).well


def test_the_pod_is_no_pod_of_the_tenants_service() -> None:
    api = Pods({"phase": "Succeeded"})
    api.logs[f"{TASK.path}/log"] = ""
    ended(api)
    (pod,) = api.made
    assert pod["metadata"]["labels"]["app"] == "sortie-task"
    spec = pod["spec"]
    assert spec["containers"][0]["env"] == [
        {"name": "DSN", "valueFrom": {"secretKeyRef": {"name": "secret", "key": "key"}}}
    ]
    assert {"name": "data", "mountPath": "/data"} in spec["containers"][0]["volumeMounts"]


def test_an_image_that_does_not_come_is_told_and_the_pod_goes() -> None:
    waiting = {"waiting": {"reason": "ErrImagePull", "message": "not found"}}
    status = {
        "phase": "Pending",
        "containerStatuses": [{"name": "sortie", "image": "sortie:1", "state": waiting}],
    }
    api = Pods(status)
    with pytest.raises(TaskError, match="cannot have its image"):
        ended(api)
    assert TASK.path not in api.objects


def test_one_that_does_not_end_is_given_up() -> None:
    api = Pods({"phase": "Running"})
    with pytest.raises(TaskError, match="has not ended within 120 s"):
        ended(api)
    assert TASK.path not in api.objects


def test_what_an_earlier_run_left_is_removed_first() -> None:
    api = Pods({"phase": "Succeeded"})
    api.put(TASK.path, {"kind": "Pod", "metadata": {"name": "check"}})
    api.logs[f"{TASK.path}/log"] = ""
    assert ended(api).well
    assert KINDS["Pod"].path("sortie-acme") in {path for method, path in api.requests if method == "POST"}
