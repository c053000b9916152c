"""One tenant on the cluster: everything of the guide is there, served and guarded."""

from __future__ import annotations

import base64
import http.client
import json
import re
import subprocess
from pathlib import Path

import yaml

from ansible_collections.sortie.platform.tests.cluster.live import ROOT, Live, eventually
from ansible_collections.sortie.platform.tests.guide import guide_manifests, missing_fields

DEMO = ROOT / "inventories" / "local" / "host_vars" / "demo"
KINDS = "namespaces,configmaps,persistentvolumeclaims,deployments,services,ingresses,poddisruptionbudgets"
# The guide's HorizontalPodAutoscaler and ServiceMonitor need what this tenant and cluster do not have; what is rendered
# of them is compared with the guide by the unit tests.
ELSEWHERE = ("HorizontalPodAutoscaler", "ServiceMonitor")


def inventory() -> dict[str, object]:
    variables: dict[str, object] = {}
    for name in ("branding.yml", "apps.yml"):
        variables |= yaml.safe_load((DEMO / name).read_text())
    return variables


def branding() -> dict[str, str]:
    names = ("logo_url", "primary_color", "secondary_color", "tenant_name")
    return {name: str(inventory()[f"sortie_branding_{name}"]) for name in names}


def test_every_field_of_the_guide_is_in_the_live_objects(live: Live) -> None:
    objects = [
        *live.objects(KINDS.removeprefix("namespaces,"), "--namespace", "sortie")["items"],
        live.objects("namespace", "sortie"),
    ]
    deployment = next(entry for entry in objects if entry["kind"] == "Deployment")
    image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    expected = guide_manifests(host="demo.localhost", image=image, branding=branding(), issuer=False)
    expected = [manifest for manifest in expected if manifest["kind"] not in ELSEWHERE]
    assert len(expected) == 8
    assert missing_fields(expected, objects) == []


def test_the_image_is_deployed_by_digest_with_a_readable_tag_beside_it(live: Live) -> None:
    recorded = json.loads((live.local / "image.json").read_text())
    deployment = live.objects("deployment", "sortie", "--namespace", "sortie")
    tag, _at, digest = deployment["spec"]["template"]["spec"]["containers"][0]["image"].partition("@")
    assert (tag, digest) == (recorded["tag"], recorded["digest"])
    assert tag.startswith(f"{live.registry}/sortie:0.")


def test_the_catalogue_of_the_inventory_is_served(live: Live) -> None:
    served = {app["id"]: app for app in live.get("demo", "/api/apps").json()}
    wanted = inventory()["sortie_apps"]
    assert isinstance(wanted, list)
    assert sorted(served) == sorted(app["id"] for app in wanted)
    for app in wanted:
        assert {key: served[app["id"]][key] for key in app} == app


def test_the_page_has_the_tenants_branding(live: Live) -> None:
    assert "Sortie Demo" in live.get("demo").body.decode()
    assert branding().items() <= live.get("demo", "/api/config").json().items()


def test_plain_http_leads_to_https(live: Live) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", live.variables["common_http_port"], timeout=10)
    connection.request("GET", "/", headers={"Host": "demo.localhost"})
    answer = connection.getresponse()
    assert answer.status in (301, 308)
    assert answer.headers["Location"].startswith("https://demo.localhost")


def test_privileged_pods_are_refused_in_the_namespace(live: Live) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "privileged", "namespace": "sortie"},
        "spec": {"containers": [{"name": "c", "image": "c", "securityContext": {"privileged": True}}]},
    }
    answer = live.kubectl("apply", "--dry-run=server", "--filename", "-", given=json.dumps(pod), check=False)
    assert answer.returncode != 0
    assert "violates PodSecurity" in answer.stderr


def test_the_pod_runs_as_the_guide_wants_and_has_no_shell(live: Live) -> None:
    answer = live.kubectl(
        *("exec", "--namespace", "sortie", "deployment/sortie", "--", "python3", "-c"),
        "import os, pysqlite3, shutil; print(os.getuid(), pysqlite3.sqlite_version, shutil.which('sh'), shutil.which('pip'), shutil.which('cc'))",
    )
    user, sqlite, *tools = answer.stdout.split()
    assert user == "1000"
    assert tuple(int(part) for part in sqlite.split(".")) >= (3, 51, 3)
    assert tools == ["None", "None", "None"]


def test_the_kubeconfig_and_the_credentials_are_for_their_owner_alone(live: Live) -> None:
    for name in ("kubeconfig", "registry/auth.json", "registry/htpasswd", "ca/ca.key"):
        assert (live.local / name).stat().st_mode & 0o077 == 0, name


def test_ports_are_published_on_the_loopback_address_alone(live: Live) -> None:
    listening = subprocess.run(["ss", "-Hltn"], capture_output=True, text=True, check=True).stdout
    for port in (str(live.variables[f"common_{name}_port"]) for name in ("api", "https", "http", "registry")):
        addresses = {
            line.split()[3] for line in listening.splitlines() if line.split()[3].endswith(f":{port}")
        }
        assert addresses == {f"127.0.0.1:{port}"}


def test_the_registry_wants_its_password(live: Live) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", live.variables["common_registry_port"], timeout=10)
    connection.request("GET", "/v2/")
    assert connection.getresponse().status == 401


def test_metrics_of_nodes_and_pods_are_there(live: Live) -> None:
    eventually(lambda: live.kubectl("top", "nodes", check=False).returncode == 0, "kubectl top nodes answers")


def test_an_unchanged_run_changes_nothing_and_shows_no_secret(live: Live) -> None:
    answer = live.playbook("deploy", "--inventory", "molecule/default/inventory.yml", "--diff", "-vvv")
    assert answer.returncode == 0, answer.stdout
    assert "Nothing had to be changed." in answer.stdout
    secret = live.objects("secret", "sortie-secrets", "--namespace", "sortie")["data"]
    password = json.loads((live.local / "registry" / "auth.json").read_text())["auths"][live.registry]["auth"]
    for value in [*secret.values(), base64.b64encode(password.encode()).decode()]:
        assert base64.b64decode(value).decode() not in answer.stdout
        assert value not in answer.stdout


def test_a_load_balancer_that_nothing_serves_is_told_to_be_pending(live: Live) -> None:
    """This tenant has `sortie-lb`, and the cluster has nothing that gives it an address."""
    answer = live.playbook("status", "--inventory", "molecule/default/inventory.yml")
    assert answer.returncode == 0, answer.stdout
    assert "LOAD BALANCER" in answer.stdout
    assert "pending" in answer.stdout
    # Its network plugin is CNI's bridge.
    assert "not enforced" in answer.stdout


def test_an_image_that_cannot_be_pulled_is_told_with_the_pods_reason(live: Live) -> None:
    arguments = ("--inventory", "molecule/default/inventory.yml")
    wrong = f"{live.registry}/sortie:not-there"
    answer = live.playbook("deploy", *arguments, "--extra-vars", f"sortie_image={wrong}")
    assert answer.returncode != 0
    assert f"cannot have its image {wrong}" in answer.stdout
    assert "ErrImagePull" in answer.stdout or "ImagePullBackOff" in answer.stdout
    assert live.playbook("deploy", *arguments).returncode == 0
    assert live.get("demo", "/readyz").json()["status"] == "ok"


def test_a_namespace_of_somebody_else_is_refused(live: Live, tmp_path: Path) -> None:
    newcomer = tmp_path / "newcomer.yml"
    newcomer.write_text(
        yaml.safe_dump(
            {
                "tenants": {
                    "hosts": {
                        "newcomer": {
                            "sortie_namespace": "foreign",
                            "sortie_ingress_host": "newcomer.localhost",
                        }
                    }
                }
            }
        )
    )
    live.kubectl("create", "namespace", "foreign")
    try:
        answer = live.playbook("tenants", "--inventory", str(newcomer), "--limit", "newcomer")
        assert answer.returncode != 0
        told = re.sub(r"\s+", " ", answer.stdout)
        assert (
            "namespace foreign exists and was not made by this collection. Set another sortie_namespace"
            in told
        )
        labels = live.objects("namespace", "foreign")["metadata"]["labels"]
        assert set(labels) == {"kubernetes.io/metadata.name"}
        assert live.kubectl("get", "all,secrets,ingresses,pvc", "--namespace", "foreign").stdout == ""
        assert (
            "newcomer.yml"
            not in live.objects("configmap", "sortie-rules", "--namespace", "monitoring")["data"]
        )
    finally:
        live.kubectl("delete", "namespace", "foreign")


def test_a_tenant_that_lives_elsewhere_is_not_made_a_second_time(live: Live) -> None:
    answer = live.playbook("deploy", "--extra-vars", "sortie_namespace=another", "--limit", "demo")
    assert answer.returncode != 0
    assert "already lives in namespace sortie" in answer.stdout
    assert live.kubectl("get", "namespace", "another", check=False).returncode != 0


def test_a_nearly_full_disk_does_not_cost_images(live: Live) -> None:
    """kubelet's own limits are shares of the disk; at them it deletes images that nothing brings back."""
    kubelet = json.loads(live.kubectl("get", "--raw", "/api/v1/nodes/control-plane-1/proxy/configz").stdout)[
        "kubeletconfig"
    ]
    assert kubelet["imageGCHighThresholdPercent"] == 100
    wanted = {
        "imagefs.available": "1Gi",
        "memory.available": "100Mi",
        "nodefs.available": "1Gi",
        "nodefs.inodesFree": "1%",
    }
    assert wanted.items() <= kubelet["evictionHard"].items()
