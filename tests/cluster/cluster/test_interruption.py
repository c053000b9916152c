"""A run that is cut off at any step is repaired by the next: on a cluster of its own, killed again and again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ansible_collections.sortie.platform.tests.cluster.live import ROOT, Live

VARIABLES = {
    "common_cluster_name": "sortie-cut",
    "common_subnet": "10.94.0.0/24",
    "common_api_port": 36443,
    "common_https_port": 38443,
    "common_http_port": 38080,
    "common_registry_port": 35000,
    "kube_artifacts_source": "build",
}
# A run is killed while it does each of these; the later ones are only reached because the earlier were repaired.
CUTS = (
    "Make the node containers",
    "Copy the programs of the node",
    "Import the images",
    "Make the control plane by kubeadm",
    "Apply the registry, with its credentials",
    "Push the cluster's images into its registry",
)


@pytest.fixture
def cut(tmp_path: Path) -> Iterator[Live]:
    live = Live(Path(tempfile.mkdtemp(prefix="sortie-cut-")), VARIABLES)
    variables = tmp_path / "cluster.yml"
    variables.write_text(yaml.safe_dump(VARIABLES))
    yield Live(live.local, {**VARIABLES, "file": str(variables)})
    done = run(live, variables, "cluster_reset", "--extra-vars", "confirm=sortie-cut")
    assert done.wait() == 0
    for command in (("ps", "--all"), ("volume", "ls"), ("network", "ls")):
        left = subprocess.run(
            ["podman", *command, "--quiet", "--filter", "name=sortie-cut"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert left.stdout == "", command
    assert [path.name for path in live.local.iterdir()] == []
    live.local.rmdir()


def run(live: Live, variables: Path, playbook: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            Path(sys.executable).with_name("ansible-playbook"),
            *(
                f"playbooks/{playbook}.yml",
                "--inventory",
                "inventories/local",
                "--extra-vars",
                f"@{variables}",
                *arguments,
            ),
        ],
        cwd=ROOT,
        env={**os.environ, "SORTIE_LOCAL_DIR": str(live.local), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def killed_during(live: Live, variables: Path, task: str) -> None:
    """Kills a run, with everything that it has started on this machine, while it does a task."""
    process = run(live, variables, "cluster")
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        # The banner of a task comes when it begins.
        if line.startswith("TASK [") and task in line:
            break
    else:
        raise AssertionError(f"the run never came to '{task}':\n{''.join(seen[-30:])}")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


def test_interrupted_runs_are_repaired(cut: Live) -> None:
    variables = Path(str(cut.variables["file"]))
    for task in CUTS:
        killed_during(cut, variables, task)
    process = run(cut, variables, "cluster")
    output, _none = process.communicate()
    assert process.returncode == 0, output
    again = run(cut, variables, "cluster")
    output, _none = again.communicate()
    assert again.returncode == 0, output
    assert "changed=0" in output
    cut.kubectl("wait", "--for=condition=Ready", "node/control-plane-1", "--timeout", "60s")
