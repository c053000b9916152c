"""What render.yml writes has every field of the guide's manifests, with the guide's values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.sortie.platform.tests.guide import (
    Manifest,
    guide_manifests,
    missing,
    missing_fields,
)
from ansible_collections.sortie.platform.tests.playbook import rendered_by

OPTIONAL = {
    "sortie_load_balancer": True,
    "sortie_pod_disruption_budget": True,
    "sortie_service_monitor": True,
}
POSTGRESQL = {
    "sortie_database": "postgresql",
    "sortie_database_dsn": "postgresql://sortie:secret@db.example.com/sortie",
    "sortie_autoscaling": True,
}


def render(directory: Path, tenants: dict[str, dict[str, Any]], tenant: str = "acme") -> list[Manifest]:
    """The manifests that render.yml writes for a tenant."""
    rendered = rendered_by(directory, tenants)
    return [yaml.safe_load(path.read_text()) for path in sorted((rendered / tenant).glob("*-*.yaml"))]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    return render(tmp_path_factory.mktemp("defaults"), {"acme": OPTIONAL})


@pytest.fixture(scope="module")
def rendered_on_postgresql(tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    neighbour = {"sortie_ingress_host": "globex.example.com"}
    return render(tmp_path_factory.mktemp("postgresql"), {"acme": POSTGRESQL, "globex": neighbour})


def test_the_guide_has_the_manifests_that_this_test_is_about() -> None:
    assert [manifest["kind"] for manifest in guide_manifests()] == [
        "Namespace",
        "ConfigMap",
        "PersistentVolumeClaim",
        "Deployment",
        "Service",
        "Ingress",
        "Service",
        "PodDisruptionBudget",
        "HorizontalPodAutoscaler",
        "ServiceMonitor",
    ]


def test_defaults_have_every_field_of_the_guide(rendered: list[Manifest]) -> None:
    expected = [manifest for manifest in guide_manifests() if manifest["kind"] != "HorizontalPodAutoscaler"]
    assert missing_fields(expected, rendered) == []


def test_the_autoscaler_has_every_field_of_the_guide(rendered_on_postgresql: list[Manifest]) -> None:
    expected = [
        manifest
        for manifest in guide_manifests(namespace="sortie-acme")
        if manifest["kind"] == "HorizontalPodAutoscaler"
    ]
    assert missing_fields(expected, rendered_on_postgresql) == []


def test_on_postgresql_no_volume_and_no_number_of_pods_is_set(rendered_on_postgresql: list[Manifest]) -> None:
    kinds = {manifest["kind"]: manifest for manifest in rendered_on_postgresql}
    assert "PersistentVolumeClaim" not in kinds
    assert "replicas" not in kinds["Deployment"]["spec"]
    assert kinds["Deployment"]["spec"]["strategy"]["type"] == "RollingUpdate"


def test_no_secret_value_is_written(rendered_on_postgresql: list[Manifest]) -> None:
    assert "secret@db" not in json.dumps(rendered_on_postgresql)
    assert "Secret" not in {manifest["kind"] for manifest in rendered_on_postgresql}


def test_every_object_carries_the_labels_of_ownership(rendered: list[Manifest]) -> None:
    for manifest in rendered:
        labels = manifest["metadata"]["labels"]
        assert labels["app"] == "sortie"
        assert labels["sortie.platform/tenant"] == "acme"
        assert labels["app.kubernetes.io/managed-by"] == "sortie.platform"


def test_a_field_with_another_value_is_told() -> None:
    expected = {"spec": {"ports": [{"port": 80}], "type": "ClusterIP"}}
    actual = {"spec": {"ports": [{"port": 81}], "type": "ClusterIP"}}
    assert missing(expected, actual, "Service") == ["Service.spec.ports[0].port is 81, not 80"]


def test_a_field_that_is_not_there_is_told() -> None:
    assert missing({"spec": {"a": 1}}, {"spec": {}}, "X") == ["X.spec.a is missing"]
