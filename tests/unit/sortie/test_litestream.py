"""What render.yml writes for tenants whose database is streamed away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.sortie.platform.tests.playbook import rendered_by

TENANTS: dict[str, dict[str, Any]] = {
    "acme": {
        "sortie_litestream": True,
        "sortie_litestream_bucket": "replicas",
        "sortie_litestream_endpoint": "https://s3.example.com:9000",
        "sortie_litestream_access_key_id": "hush-id",
        "sortie_litestream_secret_access_key": "hush-hush",
        "sortie_litestream_sync_interval": "2s",
        "sortie_read_replicas": 3,
    },
    "globex": {
        "sortie_ingress_host": "globex.example.com",
        "sortie_litestream": True,
        "sortie_litestream_storage_class": "other-disks",
    },
    "initech": {"sortie_ingress_host": "initech.example.com"},
}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("litestream")
    return rendered_by(directory, TENANTS)


def manifest(rendered: Path, tenant: str, name: str) -> Any:
    return yaml.safe_load((rendered / tenant / f"{name}.yaml").read_text())


def settings(rendered: Path, tenant: str) -> Any:
    return yaml.safe_load(manifest(rendered, tenant, "configmap-sortie-litestream")["data"]["litestream.yml"])


def pod(rendered: Path, tenant: str) -> Any:
    return manifest(rendered, tenant, "deployment-sortie")["spec"]["template"]["spec"]


def test_several_replicas_do_not_go_at_once(rendered: Path) -> None:
    assert manifest(rendered, "acme", "poddisruptionbudget-sortie-read")["spec"] == {
        "minAvailable": 1,
        "selector": {"matchLabels": {"app": "sortie-read"}},
    }
    assert not (rendered / "initech" / "poddisruptionbudget-sortie-read.yaml").exists()


def test_each_tenant_has_a_path_of_its_own(rendered: Path) -> None:
    assert settings(rendered, "acme")["dbs"] == [
        {
            "path": "/data/sortie.db",
            "replica": {
                "type": "s3",
                "bucket": "replicas",
                "path": "acme",
                "region": "us-east-1",
                "endpoint": "https://s3.example.com:9000",
                "force-path-style": True,
                "sync-interval": "2s",
            },
        }
    ]
    replica = settings(rendered, "globex")["dbs"][0]["replica"]
    assert replica == {"type": "file", "path": "/replica/globex", "sync-interval": "1s"}
    claim = manifest(rendered, "globex", "persistentvolumeclaim-sortie-litestream")["spec"]
    assert claim["storageClassName"] == "other-disks"


def test_the_database_is_brought_back_before_anything_runs_and_sent_until_the_application_has_ended(
    rendered: Path,
) -> None:
    for tenant in ("acme", "globex"):
        restore, replicate = pod(rendered, tenant)["initContainers"]
        assert restore["command"][1] == "restore"
        assert {"-if-db-not-exists", "-if-replica-exists"} < set(restore["command"])
        assert "restartPolicy" not in restore
        assert (replicate["command"][1], replicate["restartPolicy"]) == ("replicate", "Always")
        for container in (restore, replicate):
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert {"name": "data", "mountPath": "/data"} in container["volumeMounts"]


def variables(pod_spec: Any) -> dict[str, Any]:
    return {entry["name"]: entry.get("value") for entry in pod_spec["containers"][0]["env"]}


def test_read_replicas_are_found_by_their_own_service_alone(rendered: Path) -> None:
    deployment = manifest(rendered, "acme", "deployment-sortie-read")["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    assert deployment["replicas"] == 3
    assert deployment["selector"]["matchLabels"] == {"app": "sortie-read"}
    assert labels["app"] == "sortie-read"
    assert manifest(rendered, "acme", "service-sortie-read")["spec"]["selector"] == {"app": "sortie-read"}
    assert manifest(rendered, "acme", "service-sortie")["spec"]["selector"] == {"app": "sortie"}
    policy = manifest(rendered, "acme", "networkpolicy-sortie")["spec"]["podSelector"]
    assert policy["matchExpressions"][0]["values"] == ["sortie", "sortie-read", "sortie-task"]


def test_read_replicas_write_nothing_and_know_the_primarys_time(rendered: Path) -> None:
    spec = manifest(rendered, "acme", "deployment-sortie-read")["spec"]["template"]["spec"]
    assert variables(spec)["SORTIE_READ_ONLY"] == "true"
    assert "SORTIE_ADMIN_PASSWORD" not in variables(spec)
    assert {"name": "data", "emptyDir": {}} in spec["volumes"]
    assert spec["containers"][1]["command"][-1] == variables(pod(rendered, "acme")).get(
        "SORTIE_DB", "/data/sortie.db"
    )
    assert variables(pod(rendered, "acme"))["SORTIE_HEARTBEAT"] == "10s"
    assert "SORTIE_HEARTBEAT" not in variables(pod(rendered, "globex"))
    assert not (rendered / "globex" / "deployment-sortie-read.yaml").exists()


def test_no_key_stands_in_a_file(rendered: Path) -> None:
    text = "".join(path.read_text() for path in (rendered / "acme").iterdir())
    assert "hush" not in text
    assert "litestream-access-key-id, litestream-secret-access-key" in text


def test_the_store_may_be_reached_where_policies_are_enforced(rendered: Path) -> None:
    ports = {
        tenant: [
            entry["port"]
            for rule in manifest(rendered, tenant, "networkpolicy-sortie")["spec"]["egress"]
            for entry in rule["ports"]
        ]
        for tenant in ("acme", "globex")
    }
    assert 9000 in ports["acme"]
    assert ports["globex"] == [53, 53]


def test_tenants_without_it_have_nothing_of_it(rendered: Path) -> None:
    assert "litestream" not in "".join(path.read_text() for path in (rendered / "initech").iterdir())
