"""A tenant whose secrets External Secrets Operator brings: its objects against the real definitions, and the wait for what they bring.

The operator itself is not here: the test writes the Secret when it sees what the operator would be asked.
"""

from __future__ import annotations

import base64
import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ansible_collections.sortie.platform.tests.cluster.live import Live, eventually

MODULE = "github.com/external-secrets/external-secrets@v0.20.4"
NAMESPACE = "sortie-kept"
VALUES = {"jwt-secret": "kept-elsewhere-0123456789abcdef-0123", "admin-password": "kept-elsewhere-too"}


@pytest.fixture
def definitions(live: Live) -> Iterator[None]:
    """The definitions that the operator's own project publishes."""
    found = subprocess.run(
        ["go", "mod", "download", "-json", MODULE], cwd="/", capture_output=True, text=True, check=True
    )
    file = Path(json.loads(found.stdout)["Dir"], "config/crds/bases/external-secrets.io_externalsecrets.yaml")
    # Too large for the annotation that client-side apply makes.
    live.kubectl("apply", "--server-side", "--filename", str(file))
    yield
    live.kubectl("delete", "--ignore-not-found", "--filename", str(file))


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    path = tmp_path / "kept.yml"
    kept = {
        "sortie_secrets": "external",
        "sortie_external_secret_store": "vault",
        "sortie_namespace": NAMESPACE,
    }
    path.write_text(yaml.safe_dump({"tenants": {"hosts": {"kept": kept}}}))
    return path


def operate(live: Live) -> None:
    """What the operator does when it sees the object."""
    asked = "get", "externalsecret", "sortie-secrets", "--namespace", NAMESPACE
    eventually(lambda: live.kubectl(*asked, check=False).returncode == 0, "the ExternalSecret is there")
    wanted = live.objects(*asked[1:])["spec"]["data"]
    data = {
        entry["secretKey"]: base64.b64encode(VALUES[entry["remoteRef"]["property"]].encode()).decode()
        for entry in wanted
    }
    metadata = {"name": "sortie-secrets", "namespace": NAMESPACE}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}
    live.kubectl("apply", "--filename", "-", given=json.dumps(secret))


def test_a_tenant_waits_for_the_secrets_that_the_operator_brings(
    live: Live, inventory: Path, request: pytest.FixtureRequest
) -> None:
    arguments = ("--inventory", str(inventory), "--limit", "kept")
    refused = live.playbook("tenants", *arguments)
    assert refused.returncode != 0
    assert "the cluster knows no ExternalSecret" in refused.stdout
    assert live.kubectl("get", "namespace", NAMESPACE, check=False).returncode != 0

    request.getfixturevalue("definitions")
    eventually(
        lambda: live.kubectl("get", "externalsecrets", "--all-namespaces", check=False).returncode == 0,
        "the API serves ExternalSecrets",
    )
    operator = threading.Thread(target=operate, args=(live,), daemon=True)
    operator.start()
    deployed = live.playbook("tenants", *arguments)
    assert deployed.returncode == 0, deployed.stdout
    operator.join()
    signed_in = live.ask(
        "kept", "POST", "/api/auth/login", {"username": "admin", "password": VALUES["admin-password"]}
    )
    assert signed_in.status == 200
    assert "changed=0" in live.playbook("tenants", *arguments).stdout
    removed = live.playbook(
        "remove",
        *arguments,
        *(
            "--extra-vars",
            "confirm=kept",
            "--extra-vars",
            "remove_data=true",
            "--extra-vars",
            "remove_without_backup=true",
        ),
    )
    assert removed.returncode == 0, removed.stdout
