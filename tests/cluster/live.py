"""The test cluster, as its user has it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.sortie.platform.plugins.module_utils._http import Answer, Client, Endpoint

ROOT = Path(__file__).resolve().parents[2]
CLUSTER_VARIABLES = ROOT / "molecule" / os.environ.get("SORTIE_TEST_CLUSTER", "cluster.yml")


@dataclass(frozen=True)
class Command:
    """A command with where and in which environment it is run."""

    args: list[str]
    cwd: Path
    env: dict[str, str]


@dataclass(frozen=True)
class Live:
    """Where it lies (SORTIE_LOCAL_DIR) and the variables that it was made with."""

    local: Path
    variables: dict[str, Any]

    @classmethod
    def of_environment(cls) -> Live:
        return cls(Path(os.environ["SORTIE_LOCAL_DIR"]), yaml.safe_load(CLUSTER_VARIABLES.read_text()))

    @property
    def container(self) -> str:
        return f"{self.variables['common_cluster_name']}-control-plane-1"

    @property
    def registry(self) -> str:
        return f"localhost:{self.variables['common_registry_port']}"

    def kubectl(
        self, *arguments: str, check: bool = True, given: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        command = [
            str(self.local / "bin" / "kubectl"),
            "--kubeconfig",
            str(self.local / "kubeconfig"),
            *arguments,
        ]
        answer = subprocess.run(command, capture_output=True, text=True, check=False, input=given)
        assert not check or answer.returncode == 0, f"{' '.join(arguments)}: {answer.stderr}"
        return answer

    def objects(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", "--output", "json", *arguments).stdout)

    def get(self, tenant: str, path: str = "/") -> Answer:
        """An answer through the ingress; its certificate must be of the installation's own authority."""
        return self.ask(tenant, "GET", path)

    def ask(self, tenant: str, method: str, path: str, body: Any = None, token: str | None = None) -> Answer:
        port = self.variables["common_https_port"]
        client = Client(
            Endpoint(f"{tenant}.localhost", port, "127.0.0.1", ca_file=str(self.local / "ca" / "ca.crt"))
        )
        try:
            return client.request(method, path, body, token)
        finally:
            client.close()

    def playbook_command(
        self, name: str, *arguments: str, inventories: tuple[str, ...] = ("local",)
    ) -> Command:
        """The command that runs `playbooks/NAME.yml` on the test cluster."""
        sources = [
            argument for name in inventories for argument in ("--inventory", str(ROOT / "inventories" / name))
        ]
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        variables = ("--extra-vars", f"@{CLUSTER_VARIABLES}")
        return Command(
            [program, f"playbooks/{name}.yml", *sources, *variables, *arguments],
            ROOT,
            {**os.environ, "SORTIE_LOCAL_DIR": str(self.local), "COLUMNS": "200"},
        )

    def playbook(
        self, name: str, *arguments: str, inventories: tuple[str, ...] = ("local",)
    ) -> subprocess.CompletedProcess[str]:
        """Runs `playbooks/NAME.yml` on the test cluster."""
        command = self.playbook_command(name, *arguments, inventories=inventories)
        return subprocess.run(
            command.args, cwd=command.cwd, env=command.env, capture_output=True, text=True, check=False
        )


def eventually(check: Callable[[], bool], what: str, seconds: float = 120) -> None:
    """Waits until something holds. The bound only ends a test that would wait for ever."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"still not so: {what}"
        time.sleep(0.5)
