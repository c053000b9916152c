"""The Prometheus operator's definitions of its kinds, made as its own project makes them: by controller-gen, from their Go types."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from ansible_collections.sortie.platform.plugins.module_utils._go import Program
from ansible_collections.sortie.platform.plugins.module_utils._store import Store, key_of
from ansible_collections.sortie.platform.tests.integration.programs import built
from ansible_collections.sortie.platform.tests.playbook import cache_dir

CONTROLLER_GEN = Program(
    name="controller-gen",
    module="sigs.k8s.io/controller-tools",
    version="v0.19.0",
    checksum="h1:OU7jrPPiZusryu6YK0jYSjPqg8Vhf8cAzluP9XGI5uk=",
    package="./cmd/controller-gen",
)
TYPES = "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring@v0.86.2"
SUM = "h1:VRXUgbGmpmjZgFYiUnTwlC+JjfCUs5KKFsorJhI1ZKQ="
PREFIX = "monitoring.coreos.com_"


def definitions() -> list[Path]:
    """Those of ServiceMonitor and PrometheusRule. Made once and kept in the cache; about a minute."""
    store = Store(cache_dir())

    def make(place: Path) -> None:
        generator = built(CONTROLLER_GEN)
        found = subprocess.run(
            ["go", "mod", "download", "-json", TYPES], cwd="/", capture_output=True, text=True, check=True
        )
        module = json.loads(found.stdout)
        assert module["Sum"] == SUM
        source = place / "source"
        shutil.copytree(module["Dir"], source, copy_function=shutil.copy)
        command = [str(generator), "crd:crdVersions=v1", "paths=./v1", f"output:crd:dir={place}"]
        done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        shutil.rmtree(source)

    directory = store.get(
        "definitions", "prometheus-operator", key_of([TYPES, SUM, CONTROLLER_GEN.key("", "")]), make
    ).path
    return [directory / f"{PREFIX}{kind}.yaml" for kind in ("prometheusrules", "servicemonitors")]
