"""Who may reach whom, in every mode, as cyclonus evaluates the NetworkPolicies: the table in docs/security.md, cell by cell."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.sortie.platform.plugins.module_utils._go import Program
from ansible_collections.sortie.platform.tests.integration.programs import built
from ansible_collections.sortie.platform.tests.playbook import ROOT, run_file

CYCLONUS = Program(
    name="cyclonus",
    module="github.com/mattfenwick/cyclonus",
    version="v0.5.6",
    checksum="h1:8bZ+v2Kcn4H7Z+OhX1l3BQrAHqUdmBwdBBiDIk3Wj7s=",
    package="./cmd/cyclonus",
)
# What a tenant's variables are in each mode; by the headings of the table.
POSTGRESQL = {"sortie_database": "postgresql", "sortie_database_dsn": "postgresql://u:1234@db:6432/sortie"}
MODES: dict[str, dict[str, Any]] = {
    "SQLite": {},
    "PostgreSQL at 6432": POSTGRESQL,
    "CloudNativePG": {"sortie_database": "postgresql", "sortie_postgresql_provider": "cloudnativepg"},
    "OpenID Connect": {"sortie_env": {"SORTIE_OIDC_ISSUER": "https://id.example.com/realms/acme"}},
    "open Service": {"sortie_load_balancer": True},
    "cert-manager": {"sortie_tls": "cert_manager"},
    "backups in S3 at 9000": {
        "backup_repository": "s3:https://store.example.com:9000/acme",
        "backup_schedule": "0 3 * * *",
        "backup_runner_image": "registry.example.com/sortie-runner:1",
    },
    "no policies": {"sortie_network_policy": False},
}


@dataclass(frozen=True)
class Peer:
    """Somebody in the cluster, or outside if there is no namespace."""

    address: str
    namespace: str = ""
    labels: tuple[tuple[str, str], ...] = ()

    def described(self) -> dict[str, Any]:
        inside = {
            "Namespace": self.namespace,
            "NamespaceLabels": {"kubernetes.io/metadata.name": self.namespace},
            "PodLabels": dict(self.labels),
        }
        return {"IP": self.address, "Internal": inside if self.namespace else None}


APPLICATION = (("app", "sortie"), ("app.kubernetes.io/instance", "acme"))
RUNNER = (("app.kubernetes.io/name", "sortie-backup"), ("sortie.platform/backup-of", "acme"))
INSTANCE = (("cnpg.io/cluster", "sortie-postgresql"), ("cnpg.io/podRole", "instance"))
PEERS = {
    "application": Peer("10.244.0.10", "sortie-acme", APPLICATION),
    "another pod of the namespace": Peer("10.244.0.11", "sortie-acme", (("run", "shell"),)),
    "backup runner": Peer("10.244.0.12", "sortie-acme", RUNNER),
    "ACME solver": Peer("10.244.0.13", "sortie-acme", (("acme.cert-manager.io/http01-solver", "true"),)),
    "database instance": Peer("10.244.0.14", "sortie-acme", INSTANCE),
    "PostgreSQL's operator": Peer(
        "10.244.0.15", "cnpg-system", (("app.kubernetes.io/name", "cloudnative-pg"),)
    ),
    "ingress controller": Peer("10.244.0.20", "ingress-nginx", (("app", "ingress-nginx"),)),
    "Prometheus": Peer("10.244.0.21", "monitoring", (("app", "prometheus"),)),
    "another tenant's application": Peer("10.244.0.22", "sortie-globex", APPLICATION),
    "a pod elsewhere": Peer("10.244.0.23", "default", (("run", "shell"),)),
    "DNS": Peer("10.244.0.2", "kube-system", (("k8s-app", "kube-dns"),)),
    "another pod of kube-system": Peer("10.244.0.3", "kube-system", (("k8s-app", "metrics-server"),)),
    "API server": Peer("192.0.2.11"),
    "the outside": Peer("203.0.113.9"),
    "the cloud's metadata": Peer("169.254.169.254"),
}
TABLE = re.compile(r"<!-- who may reach whom -->\n(.*?)<!-- end of who may reach whom -->", re.DOTALL)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def expectations() -> list[tuple[str, str, int, str, dict[str, bool]]]:
    """(from, to, port, protocol, whether in which mode) of each row."""
    found = TABLE.search((ROOT / "docs" / "security.md").read_text())
    assert found, "docs/security.md has no table of who may reach whom"
    heading, _line, *rows = [cells(line) for line in found[1].strip().splitlines()]
    assert heading[3:] == list(MODES)
    table = []
    for source, target, port, *verdicts in rows:
        assert set(verdicts) <= {"yes", "-"}
        number, _slash, protocol = port.partition("/")
        may = {mode: verdict == "yes" for mode, verdict in zip(MODES, verdicts, strict=True)}
        table.append((source, target, int(number), protocol or "TCP", may))
    return table


@pytest.fixture(scope="module")
def cyclonus() -> Path:
    return built(CYCLONUS)


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The file of each mode's policies."""
    directory = tmp_path_factory.mktemp("policies")
    names = {mode: f"mode-{number}" for number, mode in enumerate(MODES)}
    common = {"sortie_kubeconfig": "/not/asked", "sortie_tls": "none", "backup_environment": {}}
    tenants = {
        name: common | {"sortie_ingress_host": f"{name}.example.com"} | MODES[mode]
        for mode, name in names.items()
    }
    playbook = ROOT / "tests" / "integration" / "policies.yml"
    result = run_file(playbook, directory, tenants, "-e", f"policies_dir={directory}")
    assert result.returncode == 0, result.stdout + result.stderr
    for name in names.values():
        # Each mode is a tenant of its own; in the table all are called acme.
        file = directory / f"{name}.json"
        file.write_text(file.read_text().replace(name, "acme"))
    return {mode: directory / f"{name}.json" for mode, name in names.items()}


def verdicts(cyclonus: Path, policies: Path, traffic: list[dict[str, Any]]) -> list[bool]:
    """Whether each of the connections is allowed."""
    asked = policies.with_suffix(".traffic")
    asked.write_text(json.dumps(traffic))
    lone = policies.with_suffix(".yaml")
    lone.write_text(yaml.safe_dump(json.loads(policies.read_text())))
    places = ["--policy-path", str(lone), "--traffic-path", str(asked)]
    command = [str(cyclonus), "analyze", "--mode", "query-traffic", *places]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.findall(r"Is traffic allowed\?\n(.*?)\n\n", output, re.DOTALL)
    assert len(found) == len(traffic)
    return [_combined(answer) for answer in found]


def _combined(answer: str) -> bool:
    """The last row of cyclonus' table: inward and outward together."""
    last = [cells(line) for line in answer.splitlines() if line.startswith("|")][-1]
    assert last[0] == "IS ALLOWED?"
    return {"TRUE": True, "FALSE": False}[last[1]]


@pytest.mark.parametrize("mode", MODES)
def test_the_table_of_the_docs_is_what_the_policies_say(
    cyclonus: Path, policies: dict[str, Path], mode: str
) -> None:
    rows = expectations()
    traffic = [
        {
            "Source": PEERS[source].described(),
            "Destination": PEERS[target].described(),
            "Protocol": protocol,
            "ResolvedPort": port,
            "ResolvedPortName": "",
        }
        for source, target, port, protocol, _may in rows
    ]
    given = verdicts(cyclonus, policies[mode], traffic)
    wrong = [
        f"{source} -> {target}:{port}: the policies say {'yes' if verdict else 'no'}"
        for (source, target, port, _protocol, may), verdict in zip(rows, given, strict=True)
        if may[mode] != verdict
    ]
    assert wrong == []


def test_the_table_speaks_of_everybody() -> None:
    rows = expectations()
    assert {name for row in rows for name in row[:2]} == set(PEERS)
