"""Waiting ends when what was applied runs, and says why where it does not."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.sortie.platform.plugins.module_utils._rollout import (
    Workload,
    judge_cluster,
    judge_deployment,
    judge_job,
    wait,
)
from ansible_collections.sortie.platform.tests.unit.plugins.fakes import FakeApi

DEPLOYMENT = "/apis/apps/v1/namespaces/sortie-acme/deployments/sortie"
JOB = "/apis/batch/v1/namespaces/sortie-acme/jobs/backup"
PODS = "/api/v1/namespaces/sortie-acme/pods"


def deployment(**status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "sortie", "namespace": "sortie-acme", "generation": 2},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "sortie"}}},
        "status": {"observedGeneration": 2, **status},
    }


RUNNING = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}


def pod(
    name: str = "sortie-1", created: str = "2026-01-01T00:00:00Z", template: str = "a", **status: Any
) -> Any:
    return {
        "metadata": {
            "name": name,
            "namespace": "sortie-acme",
            "creationTimestamp": created,
            "labels": {"app": "sortie", "pod-template-hash": template},
        },
        "status": status,
    }


def container(**state: Any) -> dict[str, Any]:
    return {"name": "sortie", "image": "sortie:1", "ready": False, "restartCount": 0, **state}


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def waited(api: FakeApi, workload: Workload) -> Workload:
    time = Time()
    wait(api, [workload], clock=time.clock, sleep=time.sleep)
    return workload


def acme(**values: Any) -> Workload:
    return Workload(
        **{"tenant": "acme", "namespace": "sortie-acme", "name": "sortie", "timeout": 60, **values}
    )


def test_a_deployment_whose_pods_are_new_and_available_is_ready() -> None:
    assert judge_deployment(deployment(**RUNNING)).ready


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ({**RUNNING, "observedGeneration": 1}, "its controller has not seen the change yet"),
        ({"replicas": 1, "updatedReplicas": 0, "availableReplicas": 1}, "1 old pods are still there"),
        ({"replicas": 2, "updatedReplicas": 1, "availableReplicas": 2}, "1 old pods are still there"),
        ({"replicas": 1, "updatedReplicas": 1}, "0 of 1 pods are available"),
        ({}, "0 of 1 pods are available"),
    ],
)
def test_an_old_pod_that_still_answers_does_not_make_it_ready(status: dict[str, Any], message: str) -> None:
    verdict = judge_deployment(deployment(**status))
    assert (verdict.ready, verdict.failed, verdict.message) == (False, False, message)


def test_pods_that_are_refused_fail_at_once() -> None:
    refused = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
    verdict = judge_deployment(deployment(conditions=[refused]))
    assert (verdict.failed, verdict.message) == (True, "its pods are refused: exceeded quota")


def test_a_failed_job_is_never_ready() -> None:
    failed = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}
    verdict = judge_job({"status": {"conditions": [failed]}})
    assert (verdict.ready, verdict.failed, verdict.message) == (
        False,
        True,
        "it failed: BackoffLimitExceeded",
    )


def test_a_complete_job_is_ready() -> None:
    assert judge_job({"status": {"conditions": [{"type": "Complete", "status": "True"}]}}).ready


def test_a_running_job_is_waited_for_until_its_time_is_over() -> None:
    api = FakeApi()
    api.put(JOB, {"spec": {"selector": {"matchLabels": {"job": "backup"}}}, "status": {}})
    workload = waited(api, acme(name="backup", kind="Job", timeout=5))
    assert workload.message == "not ready within 5 s: it is still running"


def test_a_workload_that_does_not_exist_fails() -> None:
    assert waited(FakeApi(), acme()).message == "it does not exist"


def test_a_ready_deployment_costs_one_request() -> None:
    api = FakeApi()
    api.put(DEPLOYMENT, deployment(**RUNNING))
    assert waited(api, acme()).ready
    assert api.requests == [("GET", DEPLOYMENT)]


def test_an_image_that_cannot_be_pulled_is_told_before_the_time_is_over() -> None:
    api = FakeApi()
    api.put(DEPLOYMENT, deployment())
    waiting = {"waiting": {"reason": "ErrImagePull", "message": "not found"}}
    api.put(f"{PODS}/sortie-1", pod(containerStatuses=[container(state=waiting)]))
    time = Time()
    workload = acme()
    assert wait(api, [workload], clock=time.clock, sleep=time.sleep) < 60
    assert workload.failed
    assert "pod sortie-1 cannot have its image sortie:1: ErrImagePull: not found" in workload.message


def test_a_pull_that_succeeds_on_the_second_try_is_not_given_up() -> None:
    api = FakeApi()
    api.put(DEPLOYMENT, deployment())
    waiting = {"waiting": {"reason": "ErrImagePull", "message": "timeout"}}
    api.put(f"{PODS}/sortie-1", pod(containerStatuses=[container(state=waiting)]))
    time = Time()

    def sleep(seconds: float) -> None:
        time.sleep(seconds)
        if time.now > 8:
            api.put(DEPLOYMENT, deployment(**RUNNING))

    workload = acme()
    wait(api, [workload], clock=time.clock, sleep=sleep)
    assert workload.ready


def test_a_container_that_keeps_crashing_is_told_with_its_log() -> None:
    api = FakeApi()
    api.put(DEPLOYMENT, deployment())
    crashing = container(
        restartCount=3,
        state={"waiting": {"reason": "CrashLoopBackOff"}},
        lastState={"terminated": {"exitCode": 2, "reason": "Error"}},
    )
    api.put(f"{PODS}/sortie-1", pod(containerStatuses=[crashing]))
    api.logs[f"{PODS}/sortie-1/log"] = "SORTIE_PORT is not a port\n"
    workload = waited(api, acme())
    assert "pod sortie-1 ended with exit code 2 (Error, restarted 3 times)" in workload.message
    assert workload.log == ["SORTIE_PORT is not a port"]


def test_a_pod_without_a_node_is_told_when_the_time_is_over() -> None:
    api = FakeApi()
    api.put(DEPLOYMENT, deployment())
    unscheduled = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes: Insufficient memory"}
    api.put(f"{PODS}/sortie-1", pod(conditions=[unscheduled]))
    workload = waited(api, acme())
    assert workload.message.startswith(
        "not ready within 60 s: 0 of 1 pods are available; pod sortie-1 has no node"
    )


def test_the_last_warning_is_told_for_a_pod_that_does_not_become_ready() -> None:
    api = FakeApi()
    api.put(DEPLOYMENT, deployment())
    api.put(f"{PODS}/sortie-1", pod(containerStatuses=[container(state={"running": {}})]))
    for number, text in enumerate(("first", "Readiness probe failed: 503")):
        event = {
            "metadata": {"name": f"e{number}"},
            "involvedObject": {"name": "sortie-1"},
            "lastTimestamp": f"2026-01-01T00:00:0{number}Z",
            "message": text,
        }
        api.put(f"/api/v1/namespaces/sortie-acme/events/e{number}", event)
    message = waited(api, acme()).message
    assert message.endswith("pod sortie-1 runs but is not ready (Readiness probe failed: 503)")


def test_pods_of_an_older_template_are_not_blamed() -> None:
    api = FakeApi()
    api.put(DEPLOYMENT, deployment())
    old = {"waiting": {"reason": "ErrImagePull", "message": "old"}}
    api.put(f"{PODS}/old", pod("old", template="a", containerStatuses=[container(state=old)]))
    api.put(f"{PODS}/new", pod("new", "2026-01-02T00:00:00Z", "b", containerStatuses=[]))
    assert "old" not in waited(api, acme()).message.replace("older", "")


def test_one_that_fails_does_not_end_the_wait_for_another() -> None:
    api = FakeApi()
    api.put(DEPLOYMENT, deployment())
    time = Time()

    def sleep(seconds: float) -> None:
        time.sleep(seconds)
        if time.now > 3:
            api.put(DEPLOYMENT, deployment(**RUNNING))

    gone, there = acme(tenant="globex", name="gone"), acme()
    wait(api, [gone, there], clock=time.clock, sleep=sleep)
    assert (gone.failed, there.ready) == (True, True)


def database(phase: str = "Cluster in healthy state", **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "sortie-postgresql", "namespace": "sortie-acme"},
        "spec": {"instances": 2},
        "status": {"phase": phase, "instances": 2, "readyInstances": 2, **status},
    }


def test_a_database_is_there_when_its_operator_says_so_and_all_instances_are_ready() -> None:
    assert judge_cluster(database()).ready


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        (database(readyInstances=1), "1 of 2 instances are ready"),
        # The operator has not seen yet that there are to be more.
        (database(instances=1, readyInstances=1), "1 of 2 instances are ready"),
        (
            database("Failing over", readyInstances=1, phaseReason="the primary is away"),
            "1 of 2 instances are ready (the primary is away)",
        ),
        (
            database("Setting up primary", instances=0, readyInstances=0),
            "0 of 2 instances are ready (Setting up primary)",
        ),
    ],
)
def test_a_database_that_is_not_there_says_how_far_it_is(manifest: dict[str, Any], told: str) -> None:
    verdict = judge_cluster(manifest)
    assert (verdict.ready, verdict.failed, verdict.message) == (False, False, told)


def test_the_pods_of_a_database_tell_why_it_does_not_come() -> None:
    api = FakeApi()
    api.put(
        "/apis/postgresql.cnpg.io/v1/namespaces/sortie-acme/clusters/sortie-postgresql",
        database("Setting up primary", readyInstances=0),
    )
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}
    instance = pod("sortie-postgresql-1", containerStatuses=[container(state=waiting)])
    instance["metadata"]["labels"] = {"cnpg.io/cluster": "sortie-postgresql"}
    api.put(f"{PODS}/sortie-postgresql-1", instance)
    workload = waited(api, Workload("acme", "sortie-acme", "sortie-postgresql", "Cluster", 120))
    assert workload.failed
    assert "pod sortie-postgresql-1 cannot have its image sortie:1: ImagePullBackOff" in workload.message
