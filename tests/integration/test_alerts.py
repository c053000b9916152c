"""The alerts as files of rules: what promtool says of them, and when each one fires."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.sortie.platform.plugins.module_utils._debian import TREE, Tree, make_tree
from ansible_collections.sortie.platform.plugins.module_utils._store import Store
from ansible_collections.sortie.platform.tests.playbook import ROOT, cache_dir, run

PROMTOOL = "usr/bin/promtool"
WHEN = Path(__file__).with_name("alerts.yml")
TENANTS: dict[str, dict[str, Any]] = {
    # With everything that an alert can be about.
    "acme": {
        "sortie_namespace": "sortie",
        "sortie_backup_schedule": "15 3 * * *",
        "sortie_alert_drill_days": 1,
        "sortie_alert_labels": {"team": "web"},
        "sortie_litestream": True,
        "sortie_litestream_storage_class": "standard",
        "sortie_read_replicas": 1,
    },
    "globex": {
        "sortie_namespace": "sortie-globex",
        "sortie_ingress_host": "globex.example.com",
        "sortie_database": "postgresql",
        "sortie_database_dsn": "postgresql://u:hush@db/sortie",
        "sortie_tls": "none",
        "sortie_prometheus_rule": True,
    },
}


@pytest.fixture(scope="session")
def promtool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Out of the Debian tree that the image of Prometheus is made of."""
    facts = yaml.safe_load((ROOT / "roles" / "kube_artifacts" / "vars" / "main.yml").read_text())
    arch = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout
    tree = Tree(
        name="prometheus",
        suite="bookworm",
        variant="extract",
        packages=facts["_kube_artifacts_prometheus_packages"],
        excludes=facts["_kube_artifacts_tools_excludes"] + facts["_kube_artifacts_prometheus_excludes"],
    )
    found = make_tree(Store(cache_dir()), tree, arch.strip())
    directory = tmp_path_factory.mktemp("promtool")
    with tarfile.open(found.path / TREE) as archive:
        archive.extract(f"./{PROMTOOL}", directory, filter="data")
    return directory / PROMTOOL


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What monitoring.yml writes."""
    directory = tmp_path_factory.mktemp("monitoring")
    result = run("monitoring", directory, TENANTS, "-e", f"monitoring_dir={directory}/monitoring")
    assert result.returncode == 0, result.stdout + result.stderr
    again = run("monitoring", directory, TENANTS, "-e", f"monitoring_dir={directory}/monitoring")
    assert "changed=0" in again.stdout
    assert "changed=1" not in again.stdout
    return directory / "monitoring"


def judged(promtool: Path, *arguments: str | Path) -> str:
    done = subprocess.run([promtool, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def names(rules: Path) -> list[str]:
    return [rule["alert"] for group in yaml.safe_load(rules.read_text())["groups"] for rule in group["rules"]]


def test_promtool_takes_the_rules_of_every_tenant(promtool: Path, written: Path) -> None:
    for tenant in TENANTS:
        assert "SUCCESS" in judged(promtool, "check", "rules", written / "rules" / f"{tenant}.yml")


def test_each_alert_fires_when_it_should_and_not_before(
    promtool: Path, written: Path, tmp_path: Path
) -> None:
    shutil.copy(written / "rules" / "acme.yml", tmp_path)
    shutil.copy(WHEN, tmp_path)
    assert "SUCCESS" in judged(promtool, "test", "rules", tmp_path / WHEN.name)


def test_no_alert_is_without_such_a_test(written: Path) -> None:
    told = WHEN.read_text()
    assert [name for name in names(written / "rules" / "acme.yml") if name not in told] == []


def test_each_alert_is_told_of_in_the_docs(written: Path) -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text()
    assert [name for name in names(written / "rules" / "acme.yml") if f"| `{name}` |" not in page] == []


def test_a_tenant_has_the_alerts_that_its_variables_are_about(written: Path) -> None:
    assert names(written / "rules" / "globex.yml") == [
        "SortieDown",
        "SortieErrors",
        "SortieSlow",
        "SortieBackupFailed",
        "SortieDrillFailed",
    ]


def test_prometheus_takes_the_configuration_by_which_it_finds_the_tenants(
    promtool: Path, written: Path, tmp_path: Path
) -> None:
    """But for the discovery itself, which Debian's Prometheus is made without."""
    (job,) = yaml.safe_load((written / "scrape.yml").read_text())
    assert job.pop("kubernetes_sd_configs")[0]["role"] == "pod"
    configuration = tmp_path / "prometheus.yml"
    rules = [str(file) for file in (written / "rules").iterdir()]
    configuration.write_text(yaml.safe_dump({"scrape_configs": [job], "rule_files": rules}))
    assert "SUCCESS" in judged(promtool, "check", "config", configuration)


def test_promtool_reads_every_query_of_the_dashboard(promtool: Path, written: Path, tmp_path: Path) -> None:
    dashboard = json.loads((written / "dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    assert len(queries) > 20
    rules = [
        {
            "record": f"query:{number}",
            "expr": query.replace("$__rate_interval", "5m").replace("$namespace", ".+"),
        }
        for number, query in enumerate(queries)
    ]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(queries)} rules found" in judged(promtool, "check", "rules", file)
