"""Three tenants on one cluster: each its own, and a change of one touches no other."""

from __future__ import annotations

import base64
import json

import pytest
import yaml

from ansible_collections.sortie.platform.plugins.module_utils._http import Answer
from ansible_collections.sortie.platform.tests.cluster.live import ROOT, Live, eventually

INVENTORIES = ("local", "acme", "globex")
TENANTS = {"demo": "local", "acme": "acme", "globex": "globex"}


def variables(tenant: str) -> dict[str, object]:
    directory = ROOT / "inventories" / TENANTS[tenant] / "host_vars" / tenant
    merged: dict[str, object] = {}
    for path in directory.glob("*.yml"):
        merged |= yaml.safe_load(path.read_text())
    return merged


def versions(live: Live, tenant: str) -> dict[str, str]:
    """Identity and version of everything in a tenant's namespace that is not counted by its status."""
    found = live.objects(
        "configmaps,deployments,ingresses,networkpolicies,secrets,services", "--namespace", f"sortie-{tenant}"
    )
    return {
        f"{entry['kind']}/{entry['metadata']['name']}": f"{entry['metadata']['uid']}/{entry['metadata'].get('generation')}"
        f"/{json.dumps(entry.get('data'), sort_keys=True)}"
        for entry in found["items"]
    }


@pytest.mark.parametrize("tenant", TENANTS)
def test_each_tenant_serves_its_own_apps_and_branding(live: Live, tenant: str) -> None:
    wanted = variables(tenant)
    apps = wanted["sortie_apps"]
    assert isinstance(apps, list)
    served = {app["id"] for app in live.get(tenant, "/api/apps").json()}
    visible = {app["id"] for app in apps if app.get("visibility", "public") == "public"}
    assert served == visible
    assert str(wanted["sortie_branding_tenant_name"]) in live.get(tenant).body.decode()
    assert live.get(tenant, "/api/config").json()["primary_color"] == wanted["sortie_branding_primary_color"]


def test_a_change_of_one_tenants_branding_reaches_its_page_and_no_other(live: Live) -> None:
    before = {tenant: versions(live, tenant) for tenant in TENANTS}
    answer = live.playbook(
        "deploy",
        "--limit",
        "acme",
        "--extra-vars",
        "sortie_branding_tenant_name=Acme-Anew",
        inventories=INVENTORIES,
    )
    assert answer.returncode == 0, answer.stdout
    assert "acme: ConfigMap sortie-config" in answer.stdout
    assert "Acme-Anew" in live.get("acme").body.decode()
    for tenant in ("demo", "globex"):
        assert versions(live, tenant) == before[tenant]
    assert versions(live, "acme") != before["acme"]


def test_what_is_no_longer_wanted_is_removed_and_nothing_else(live: Live) -> None:
    limit = ("--limit", "globex")
    live.kubectl("create", "configmap", "by-hand", "--namespace", "sortie-globex")
    with_option = live.playbook(
        "deploy", *limit, "--extra-vars", "sortie_load_balancer=true", inventories=INVENTORIES
    )
    assert with_option.returncode == 0, with_option.stdout
    assert live.kubectl("get", "service", "sortie-lb", "--namespace", "sortie-globex").returncode == 0
    without = live.playbook("deploy", *limit, inventories=INVENTORIES)
    assert without.returncode == 0, without.stdout
    assert "globex: Service sortie-lb removed" in without.stdout
    assert (
        live.kubectl("get", "service", "sortie-lb", "--namespace", "sortie-globex", check=False).returncode
        != 0
    )
    live.kubectl("delete", "configmap", "by-hand", "--namespace", "sortie-globex")


def test_one_tenants_mistake_stops_no_other(live: Live) -> None:
    """An object that the API refuses is told to its tenant; the others are deployed."""
    inventory = live.local / "mistake.yml"
    inventory.write_text(
        yaml.safe_dump(
            {
                "tenants": {
                    "hosts": {
                        "globex": {
                            "sortie_resources": {
                                "requests": {"cpu": "100m", "memory": "128Mi"},
                                "limits": {"cpu": "500m", "memory": "256Mi"},
                            },
                            "sortie_ingress_annotations": {"not a name": "x"},
                        }
                    }
                }
            }
        )
    )
    arguments = ("--inventory", str(inventory), "--extra-vars", "sortie_branding_secondary_color=#123456")
    answer = live.playbook("deploy", *arguments, inventories=INVENTORIES)
    assert answer.returncode != 0
    assert "Ingress sortie" in answer.stdout
    assert live.get("demo", "/api/config").json()["secondary_color"] == "#123456"
    assert live.playbook("deploy", inventories=INVENTORIES).returncode == 0


def secret(live: Live, tenant: str) -> dict[str, str]:
    found = live.objects("secret", "sortie-secrets", "--namespace", f"sortie-{tenant}")["data"]
    return {key: base64.b64decode(value).decode() for key, value in found.items()}


def test_a_rotation_signs_nobody_out_and_shows_nothing(live: Live) -> None:
    def sign_in(password: str) -> Answer:
        return live.ask("acme", "POST", "/api/auth/login", {"username": "admin", "password": password})

    def rotate(*arguments: str) -> str:
        answer = live.playbook(
            "rotate", "--limit", "acme", "-vvv", "--diff", *arguments, inventories=INVENTORIES
        )
        assert answer.returncode == 0, answer.stdout
        return answer.stdout + answer.stderr

    before = secret(live, "acme")
    token = sign_in(before["admin-password"]).json()["access_token"]
    told = rotate()
    between = secret(live, "acme")
    assert (between["jwt-secret-previous"], between["admin-password"]) == (
        before["jwt-secret"],
        before["admin-password"],
    )
    assert live.ask("acme", "GET", "/api/auth/me", token=token).status == 200

    told += rotate(
        "--extra-vars", "rotate_keys=jwt-secret,admin-password", "--extra-vars", "rotate_keep_previous=false"
    )
    after = secret(live, "acme")
    assert live.ask("acme", "GET", "/api/auth/me", token=token).status == 401
    assert sign_in(before["admin-password"]).status == 401
    assert sign_in(after["admin-password"]).status == 200
    for value in {*before.values(), *between.values(), *after.values()}:
        assert value not in told

    # A deployment finds nothing to do about it.
    deployed = live.playbook("deploy", "--limit", "acme", inventories=INVENTORIES)
    assert "changed=0" in deployed.stdout
    refused = live.playbook(
        "rotate", "--limit", "acme", "--extra-vars", "sortie_secrets=external", inventories=INVENTORIES
    )
    assert refused.returncode != 0
    assert "Nothing was changed." in refused.stdout


def test_a_removed_tenant_comes_back_with_its_data(live: Live) -> None:
    before = live.objects("persistentvolumeclaim", "sortie-data", "--namespace", "sortie-acme")["spec"][
        "volumeName"
    ]
    removed = live.playbook("remove", "--extra-vars", "confirm=acme", inventories=INVENTORIES)
    assert removed.returncode == 0, removed.stdout
    assert live.objects("deployments", "--namespace", "sortie-acme")["items"] == []
    assert live.playbook("deploy", "--limit", "acme", inventories=INVENTORIES).returncode == 0
    claim = live.objects("persistentvolumeclaim", "sortie-data", "--namespace", "sortie-acme")
    assert claim["spec"]["volumeName"] == before
    assert len(live.get("acme", "/api/apps").json()) > 5


def test_status_tells_who_is_not_well(live: Live) -> None:
    well = live.playbook("status", "--extra-vars", "status_format=json", inventories=INVENTORIES)
    assert well.returncode == 0, well.stdout
    live.kubectl("scale", "deployment", "sortie", "--replicas", "0", "--namespace", "sortie-globex")
    try:
        eventually(
            lambda: live.playbook("status", inventories=INVENTORIES).returncode != 0,
            "status.yml fails without globex",
            60,
        )
    finally:
        assert live.playbook("deploy", inventories=INVENTORIES).returncode == 0
