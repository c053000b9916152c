"""What render.yml writes for those who watch tenants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.sortie.platform.tests.playbook import rendered_by

TENANTS: dict[str, dict[str, Any]] = {
    "acme": {
        "sortie_service_monitor": True,
        "sortie_monitor_labels": {"release": "prometheus", "app": "other"},
    },
    "globex": {
        "sortie_ingress_host": "globex.example.com",
        "sortie_scrape_annotations": True,
        "sortie_litestream": True,
        "sortie_litestream_storage_class": "standard",
        "sortie_read_replicas": 1,
        "sortie_load_balancer": True,
        "sortie_tls": "none",
    },
}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("monitoring")
    return rendered_by(directory, TENANTS)


def manifest(rendered: Path, tenant: str, name: str) -> Any:
    return yaml.safe_load((rendered / tenant / f"{name}.yaml").read_text())


def test_alerts_come_with_the_service_monitor_and_both_carry_the_further_labels(rendered: Path) -> None:
    for name in ("servicemonitor-sortie", "prometheusrule-sortie"):
        labels = manifest(rendered, "acme", name)["metadata"]["labels"]
        # Those of ownership stay what they are.
        assert (labels["release"], labels["app"]) == ("prometheus", "sortie")
        assert not (rendered / "globex" / f"{name}.yaml").exists()


def test_the_services_by_which_each_pod_is_found_once_carry_the_annotations(rendered: Path) -> None:
    wanted = {"prometheus.io/scrape": "true", "prometheus.io/port": "8080", "prometheus.io/path": "/metrics"}
    for name in ("service-sortie", "service-sortie-read"):
        assert manifest(rendered, "globex", name)["metadata"]["annotations"] == wanted
    assert "annotations" not in manifest(rendered, "globex", "service-sortie-lb")["metadata"]
    assert "annotations" not in manifest(rendered, "acme", "service-sortie")["metadata"]


def test_the_pod_sees_the_certificate_and_not_its_key(rendered: Path) -> None:
    def secrets(tenant: str) -> list[Any]:
        spec = manifest(rendered, tenant, "deployment-sortie")["spec"]["template"]["spec"]
        return [volume["secret"] for volume in spec["volumes"] if "secret" in volume]

    (secret,) = secrets("acme")
    assert secret["secretName"] == "sortie-tls"
    assert secret["items"] == [{"key": "tls.crt", "path": "tls.crt"}]
    # The issuer brings it after the pod has started.
    assert secret["optional"] is True
    assert secrets("globex") == []
