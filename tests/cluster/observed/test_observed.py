"""The cluster's own Prometheus: it finds the tenants, knows their alerts, and tells when one of them is down."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from ansible_collections.sortie.platform.tests.cluster.live import ROOT, Live, eventually
from ansible_collections.sortie.platform.tests.cluster.observed.definitions import definitions

INVENTORY = ROOT / "molecule" / "observed" / "inventory.yml"
TENANTS = ("demo", "other")
ACCOUNT = "system:serviceaccount:monitoring:prometheus"
# What the dashboard asks for that neither tenant has: no drill was made, and there is no read replica.
NOT_HERE = ("sortie_drill_", "sortie_replica_", 'sortie_read_only{namespace=~".+"}) > 0')


def ask(live: Live, path: str) -> Any:
    """What Prometheus' API says, through the API server."""
    address = f"/api/v1/namespaces/monitoring/services/prometheus:http/proxy/api/v1/{path}"
    answer = json.loads(live.kubectl("get", "--raw", address).stdout)
    assert answer["status"] == "success"
    return answer["data"]


def query(live: Live, expression: str) -> list[dict[str, Any]]:
    result: list[dict[str, Any]] = ask(live, f"query?query={quote(expression)}")["result"]
    return result


@contextmanager
def forwarded(live: Live) -> Iterator[str]:
    """Prometheus' pages as docs/monitoring.md has them reached."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(live.local / "bin" / "kubectl"), "--kubeconfig", str(live.local / "kubeconfig")]
    command += ["--namespace", "monitoring", "port-forward", "service/prometheus", f"{port}:9090"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: listens(port), "the port is forwarded")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def firing(live: Live) -> set[tuple[str, str]]:
    """(alert, tenant) of all that fire. How full this machine's disk is says nothing of the tenants."""
    return {
        (alert["labels"]["alertname"], alert["labels"]["tenant"])
        for alert in ask(live, "alerts")["alerts"]
        if alert["state"] == "firing" and not alert["labels"]["alertname"].startswith("SortieVolume")
    }


def text(driver: webdriver.Chrome) -> str:
    return driver.find_element("tag name", "body").text


def click(driver: webdriver.Chrome, place: str) -> None:
    driver.find_element("xpath", place).click()


def look(live: Live, directory: Path) -> None:
    """The page of alerts as a person sees it. Goes to SORTIE_SCREENSHOTS if that is set."""
    options = Options()
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--window-size=1280,900",
        "--hide-scrollbars",
    ):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={directory}")
    with forwarded(live) as address, webdriver.Chrome(options, Service("/usr/bin/chromedriver")) as driver:
        driver.get(f"{address}/classic/alerts")
        eventually(lambda: "SortieDown (1 active)" in text(driver), "the page shows it")
        # Only what fires, with its labels and what it says.
        for hidden in ("inactiveAlerts", "pendingAlerts"):
            click(driver, f"//label[input/@id='{hidden}']")
        click(driver, "//tr[contains(@class, 'alert-danger') and contains(., 'SortieDown')]")
        click(driver, "//div[contains(@class, 'show-annotations')]")
        eventually(lambda: 'team="web"' in text(driver), "the page shows its labels")
        if place := os.environ.get("SORTIE_SCREENSHOTS"):
            driver.save_screenshot(str(Path(place) / "prometheus-alerts.png"))


@pytest.fixture(scope="module", autouse=True)
def loaded(live: Live) -> None:
    """The kubelet shows new rules within two minutes; the tenants were brought just now."""
    wanted = {f"sortie-{tenant}" for tenant in TENANTS}
    eventually(
        lambda: wanted <= {group["name"] for group in ask(live, "rules")["groups"]},
        "Prometheus knows the tenants' alerts",
        180,
    )


def test_every_pod_of_every_tenant_is_found_and_up(live: Live) -> None:
    def up() -> set[tuple[str, str, str]]:
        return {
            (series["metric"]["tenant"], series["metric"]["namespace"], series["metric"]["pod"])
            for series in query(live, 'up{job="sortie"} == 1')
        }

    pods = live.objects("pods", "--all-namespaces", "--selector", "app.kubernetes.io/name=sortie")["items"]
    wanted = {
        (
            pod["metadata"]["labels"]["sortie.platform/tenant"],
            pod["metadata"]["namespace"],
            pod["metadata"]["name"],
        )
        for pod in pods
    }
    assert {tenant for tenant, _namespace, _pod in wanted} == set(TENANTS)
    eventually(lambda: up() == wanted, "all pods are up")


def test_its_configuration_was_taken_and_none_of_its_rules_fails(live: Live) -> None:
    assert [float(one["value"][1]) for one in query(live, "prometheus_config_last_reload_successful")] == [1]
    rules = [rule for group in ask(live, "rules")["groups"] for rule in group["rules"]]
    assert [rule["name"] for rule in rules if rule["health"] == "err"] == []
    assert {rule["labels"].get("team") for rule in rules if rule["labels"]["tenant"] == "other"} == {"web"}


@pytest.mark.parametrize(
    ("verb", "resource", "may"),
    [
        ("list", "pods", "yes"),
        ("get", "secrets", "no"),
        ("list", "configmaps", "no"),
        ("create", "pods", "no"),
        ("delete", "pods", "no"),
        ("create", "pods/exec", "no"),
        ("get", "nodes/metrics", "no"),
    ],
)
def test_its_account_may_find_pods_and_nothing_else(live: Live, verb: str, resource: str, may: str) -> None:
    answer = live.kubectl(
        "auth", "can-i", verb, resource, "--namespace", "sortie-demo", "--as", ACCOUNT, check=False
    )
    assert answer.stdout.strip() == may


def test_a_backup_is_seen(live: Live) -> None:
    done = live.playbook("backup", "--inventory", str(INVENTORY), "--limit", "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    eventually(
        lambda: bool(query(live, 'sortie_backup_last_ok{tenant="demo"} == 1')),
        "Prometheus sees the backup",
        180,
    )


def test_every_query_of_the_dashboard_is_answered(live: Live) -> None:
    dashboard = json.loads((ROOT / "roles" / "sortie" / "files" / "dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    asked = [one.replace("$__rate_interval", "1m").replace("$namespace", ".+") for one in queries]
    expected = [one for one in asked if not any(part in one for part in NOT_HERE)]
    assert len(expected) == len(asked) - 4
    # Rates need two scrapes.
    eventually(
        lambda: all(query(live, one) for one in expected), "every query of the dashboard has an answer"
    )
    for one in asked:
        query(live, one)


def test_a_tenant_without_pods_fires_its_alert_and_one_that_is_back_ends_it(
    live: Live, tmp_path: Path
) -> None:
    eventually(lambda: not firing(live), "nothing fires of tenants that are well")
    scale = ("scale", "--namespace", "sortie-other", "deployment/sortie", "--replicas")
    live.kubectl(*scale, "0")
    try:
        eventually(
            lambda: firing(live) == {("SortieDown", "other")}, "SortieDown fires of the tenant that is down"
        )
        (alert,) = (
            one for one in ask(live, "alerts")["alerts"] if one["labels"]["alertname"] == "SortieDown"
        )
        assert alert["labels"] == {
            "alertname": "SortieDown",
            "namespace": "sortie-other",
            "severity": "critical",
            "team": "web",
            "tenant": "other",
        }
        assert "playbooks/status.yml -i INVENTORY --limit other" in alert["annotations"]["description"]
        look(live, tmp_path)
    finally:
        live.kubectl(*scale, "1")
    eventually(lambda: not firing(live), "the alert has ended")


@pytest.fixture
def operator(live: Live) -> Iterator[list[Path]]:
    """The definitions of the operator's kinds; in the cluster once a test has applied them."""
    files = definitions()
    yield files
    for file in files:
        live.kubectl("delete", "--ignore-not-found", "--filename", str(file))


def test_the_operators_kinds_are_taken_by_their_real_definitions_and_refused_without_them(
    live: Live, operator: list[Path]
) -> None:
    deploy = ("tenants", "--inventory", str(INVENTORY), "--limit", "demo")
    wanted = (*deploy, "--extra-vars", "sortie_service_monitor=true")
    told = live.playbook(*wanted)
    assert told.returncode != 0
    assert "the cluster knows no ServiceMonitor. Install the Prometheus operator" in told.stdout
    for file in operator:
        live.kubectl("apply", "--server-side", "--filename", str(file))
        live.kubectl("wait", "--for", "condition=Established", "--filename", str(file))
    done = live.playbook(*wanted)
    assert done.returncode == 0, done.stdout + done.stderr
    place = ("--namespace", "sortie-demo", "sortie")
    assert live.objects("servicemonitors", *place)["spec"]["endpoints"] == [
        {"port": "http", "path": "/metrics"}
    ]
    # What the API server did not know it would have left out; and the cluster's own Prometheus has the same.
    kept = live.objects("prometheusrules", *place)["spec"]
    file = live.objects("configmaps", "--namespace", "monitoring", "sortie-rules")["data"]["demo.yml"]
    assert kept == yaml.safe_load(file)
    assert "changed=0" in live.playbook(*wanted).stdout
    assert live.playbook(*deploy).returncode == 0
    assert live.objects("servicemonitors,prometheusrules", "--namespace", "sortie-demo")["items"] == []


def test_a_tenant_that_is_removed_leaves_no_alerts_behind(live: Live) -> None:
    done = live.playbook(
        "remove", "--inventory", str(INVENTORY), "-e", "confirm=other", "-e", "remove_without_backup=true"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(live.objects("configmaps", "--namespace", "monitoring", "sortie-rules")["data"]) == {
        "demo.yml"
    }
