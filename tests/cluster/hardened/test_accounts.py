"""Accounts may do what they are for and nothing else, as SubjectAccessReviews tell; a deployer's is enough to deploy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ansible_collections.sortie.platform.tests.cluster.live import CLUSTER_VARIABLES, ROOT, Live

NAMESPACE = "sortie"
INVENTORY = ("--inventory", "molecule/hardened/inventory.yml")
APPLICATION, DEPLOYER = (
    f"system:serviceaccount:{NAMESPACE}:{name}" for name in ("sortie", "sortie-deployer")
)
# (verb, resource with its group, name, namespace); an empty namespace is the whole cluster.
Ask = tuple[str, str, str, str]
MAY: list[Ask] = [
    ("create", "deployments.apps", "", NAMESPACE),
    ("patch", "deployments.apps", "sortie", NAMESPACE),
    ("delete", "ingresses.networking.k8s.io", "sortie", NAMESPACE),
    ("patch", "networkpolicies.networking.k8s.io", "sortie", NAMESPACE),
    ("get", "secrets", "sortie-secrets", NAMESPACE),
    ("create", "secrets", "", NAMESPACE),
    ("get", "pods/log", "", NAMESPACE),
    ("get", "namespaces", NAMESPACE, NAMESPACE),
]
MAY_NOT: list[Ask] = [
    ("list", "secrets", "", NAMESPACE),
    ("get", "secrets", "another", NAMESPACE),
    ("delete", "secrets", "sortie-secrets", NAMESPACE),
    ("delete", "persistentvolumeclaims", "sortie-data", NAMESPACE),
    ("create", "pods", "", NAMESPACE),
    ("create", "pods/exec", "", NAMESPACE),
    ("create", "serviceaccounts/token", "", NAMESPACE),
    ("create", "roles.rbac.authorization.k8s.io", "", NAMESPACE),
    ("create", "rolebindings.rbac.authorization.k8s.io", "", NAMESPACE),
    ("escalate", "roles.rbac.authorization.k8s.io", "", NAMESPACE),
    ("patch", "namespaces", NAMESPACE, NAMESPACE),
    ("delete", "namespaces", NAMESPACE, NAMESPACE),
    ("list", "namespaces", "", ""),
    ("create", "namespaces", "", ""),
    ("get", "nodes", "", ""),
    ("get", "secrets", "sortie-secrets", "default"),
    ("create", "deployments.apps", "", "default"),
    ("get", "pods", "", "kube-system"),
    ("create", "clusterrolebindings.rbac.authorization.k8s.io", "", ""),
    ("impersonate", "users", "", ""),
]


def may(live: Live, user: str, ask: Ask) -> bool:
    verb, resource, name, namespace = ask
    kind, _dot, group = resource.partition(".")
    kind, _slash, subresource = kind.partition("/")
    attributes = {
        "verb": verb,
        "group": group,
        "resource": kind,
        "subresource": subresource,
        "name": name,
        "namespace": namespace,
    }
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}", "system:authenticated"]
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "groups": groups, "resourceAttributes": attributes},
    }
    answer = live.kubectl("create", "--filename", "-", "--output", "json", given=json.dumps(review))
    return bool(json.loads(answer.stdout)["status"]["allowed"])


@pytest.fixture(scope="module")
def deployer(live: Live) -> Path:
    """The kubeconfig that playbooks/deployer.yml makes."""
    answer = live.playbook("deployer", *INVENTORY)
    assert answer.returncode == 0, answer.stdout
    path = live.local / "deployers" / "demo.kubeconfig"
    assert path.stat().st_mode & 0o077 == 0
    token = yaml.safe_load(path.read_text())["users"][0]["user"]["token"]
    assert token not in answer.stdout
    return path


def test_the_application_may_do_nothing_at_all(live: Live) -> None:
    allowed = [ask for ask in MAY + MAY_NOT if may(live, APPLICATION, ask)]
    assert allowed == []


@pytest.mark.usefixtures("deployer")
def test_a_deployer_may_do_what_deploying_takes(live: Live) -> None:
    assert [ask for ask in MAY if not may(live, DEPLOYER, ask)] == []


@pytest.mark.usefixtures("deployer")
def test_a_deployer_cannot_do_anything_else(live: Live) -> None:
    assert [ask for ask in MAY_NOT if may(live, DEPLOYER, ask)] == []


def deploy(
    live: Live, kubeconfig: Path, tmp_path: Path, *arguments: str, **given: object
) -> subprocess.CompletedProcess[str]:
    """deploy.yml as a pipeline runs it: no nodes, no administrator's kubeconfig."""
    image = json.loads((live.local / "image.json").read_text())
    host = {
        "sortie_kubeconfig": str(kubeconfig),
        "sortie_namespace": NAMESPACE,
        "sortie_image": f"{image['tag']}@{image['digest']}",
        "sortie_ingress_host": "demo.localhost",
        "sortie_ingress_address": "127.0.0.1",
        "sortie_ingress_port": live.variables["common_https_port"],
        "sortie_tls": "self_signed",
        **given,
    }
    demo = ROOT / "inventories" / "local" / "host_vars" / "demo"
    for name in ("apps.yml", "branding.yml"):
        host = yaml.safe_load((demo / name).read_text()) | host
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(yaml.safe_dump({"tenants": {"hosts": {"demo": host}}}))
    return subprocess.run(
        [
            Path(sys.executable).with_name("ansible-playbook"),
            *(
                "playbooks/deploy.yml",
                "--inventory",
                str(inventory),
                "--extra-vars",
                f"@{CLUSTER_VARIABLES}",
                *arguments,
            ),
        ],
        cwd=ROOT,
        env={**os.environ, "SORTIE_LOCAL_DIR": str(live.local), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_deployers_account_is_enough_to_deploy(live: Live, deployer: Path, tmp_path: Path) -> None:
    anew = deploy(live, deployer, tmp_path, sortie_branding_tenant_name="Deployed by its deployer")
    assert anew.returncode == 0, anew.stdout
    assert "ConfigMap sortie-config" in anew.stdout
    assert live.get("demo", "/api/config").json()["tenant_name"] == "Deployed by its deployer"
    back = deploy(live, deployer, tmp_path)
    assert back.returncode == 0, back.stdout
    again = deploy(live, deployer, tmp_path)
    assert "Nothing had to be changed." in again.stdout, again.stdout


def test_a_deployer_cannot_bring_a_tenant_elsewhere(live: Live, deployer: Path, tmp_path: Path) -> None:
    answer = deploy(live, deployer, tmp_path, sortie_namespace="elsewhere")
    assert answer.returncode != 0
    assert "forbidden" in answer.stdout
    assert live.kubectl("get", "namespace", "elsewhere", check=False).returncode != 0
