"""What kube-score says of the manifests, in every mode: what the docs accept with a reason, and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.sortie.platform.plugins.module_utils._go import Program
from ansible_collections.sortie.platform.tests.integration.programs import built
from ansible_collections.sortie.platform.tests.playbook import ROOT, rendered_by

KUBE_SCORE = Program(
    name="kube-score",
    module="github.com/zegl/kube-score",
    version="v1.20.0",
    checksum="h1:J1VqK86SunV4Gg8emPTmwUVxe0rmXnAs5K9ZUbGMKR8=",
    package="./cmd/kube-score",
)
OPTIONAL = ("container-seccomp-profile", "container-ports-check")
# 10 is all well; kube-score calls 1 critical and 5 a warning.
WELL = 10
TENANTS: dict[str, dict[str, Any]] = {
    "plain": {"sortie_load_balancer": True},
    "scaled": {
        "sortie_database": "postgresql",
        "sortie_database_dsn": "postgresql://u:1234@db:6432/sortie",
        "sortie_autoscaling": True,
        "sortie_tls": "cert_manager",
    },
    "streamed": {
        "sortie_litestream": True,
        "sortie_litestream_storage_class": "standard",
        "sortie_litestream_image": "registry.example.com/litestream:1",
        "sortie_read_replicas": 2,
    },
}
ACCEPTED = re.compile(r"<!-- accepted of kube-score -->\n(.*?)<!-- end of accepted -->", re.DOTALL)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("manifests")
    common = {"sortie_kubeconfig": "/not/asked", "sortie_image": "registry.example.com/sortie:1"}
    tenants = {
        name: {**common, "sortie_ingress_host": f"{name}.example.com", **given}
        for name, given in TENANTS.items()
    }
    return rendered_by(directory, tenants)


def findings(files: list[Path]) -> dict[str, list[str]]:
    """What is not well, by the id of the check, with the objects."""
    optional = [argument for name in OPTIONAL for argument in ("--enable-optional-test", name)]
    command = [str(built(KUBE_SCORE)), "score", "--kubernetes-version", "v1.34", "--output-format", "json"]
    answer = subprocess.run(
        [*command, *optional, *map(str, files)], capture_output=True, text=True, check=False
    )
    found: dict[str, list[str]] = {}
    for scored in json.loads(answer.stdout):
        for check in scored["checks"]:
            if not check["skipped"] and check["grade"] < WELL:
                found.setdefault(check["check"]["id"], []).append(scored["object_name"])
    return found


def accepted() -> set[str]:
    """The checks that docs/security.md accepts."""
    table = ACCEPTED.search((ROOT / "docs" / "security.md").read_text())
    assert table, "docs/security.md does not say what is accepted"
    return set(re.findall(r"^\| `([\w-]+)` \|", table[1], re.MULTILINE))


def test_what_is_not_well_is_accepted_with_a_reason_and_what_is_accepted_is_still_there(
    rendered: Path,
) -> None:
    found: dict[str, list[str]] = {}
    for tenant in TENANTS:
        files = [
            path for path in sorted((rendered / tenant).glob("*.yaml")) if path.name != "kustomization.yaml"
        ]
        assert len(files) >= 9
        for check, objects in findings(files).items():
            found.setdefault(check, []).extend(objects)
    assert set(found) == accepted(), found


def test_a_manifest_that_is_not_well_is_found(rendered: Path, tmp_path: Path) -> None:
    weak = (rendered / "plain" / "deployment-sortie.yaml").read_text()
    (tmp_path / "weak.yaml").write_text(
        weak.replace("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false")
    )
    assert "container-security-context-readonlyrootfilesystem" in findings([tmp_path / "weak.yaml"])
