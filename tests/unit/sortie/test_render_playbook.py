"""render.yml writes what it should into its directory, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ansible_collections.sortie.platform.tests.playbook import ROOT, run

TENANTS = {"acme": {}, "globex": {"sortie_ingress_host": "globex.example.com"}}


@pytest.fixture
def rendered(tmp_path: Path) -> Path:
    return tmp_path / "rendered"


def render(rendered: Path, *arguments: str) -> str:
    result = run("render", rendered.parent, TENANTS, "-e", f"render_dir={rendered}", *arguments)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_a_second_run_changes_nothing(rendered: Path) -> None:
    assert "changed=1" in render(rendered)
    output = render(rendered)
    assert "changed=1" not in output
    assert f"{rendered}/acme: nothing to change" in output


def test_check_mode_writes_nothing_and_shows_what_it_would(rendered: Path) -> None:
    output = render(rendered, "--check", "--diff")
    assert not rendered.exists()
    assert "+kind: Deployment" in output


def test_an_option_that_is_switched_off_takes_its_file_away(rendered: Path) -> None:
    render(rendered, "-e", '{"sortie_load_balancer": true}')
    assert (rendered / "acme" / "service-sortie-lb.yaml").exists()
    render(rendered)
    assert not (rendered / "acme" / "service-sortie-lb.yaml").exists()


def test_kustomization_names_exactly_the_files(rendered: Path) -> None:
    render(rendered)
    resources = yaml.safe_load((rendered / "acme" / "kustomization.yaml").read_text())["resources"]
    assert sorted(resources) == sorted(path.name for path in (rendered / "acme").glob("*-*.yaml"))


def test_several_tenants_have_namespaces_of_their_own(rendered: Path) -> None:
    render(rendered)
    assert (rendered / "acme" / "namespace-sortie-acme.yaml").exists()
    assert (rendered / "globex" / "namespace-sortie-globex.yaml").exists()


def test_the_example_inventories_render_together(tmp_path: Path) -> None:
    inventories = [
        argument for name in ("acme", "globex") for argument in ("-i", str(ROOT / "inventories" / name))
    ]
    demo = {"demo": {"sortie_ingress_host": "demo.localhost"}}
    hosts = '{"sortie_ingress_host": "{{ inventory_hostname }}.localhost"}'
    result = run("render", tmp_path, demo, *inventories, "-e", f"render_dir={tmp_path}/rendered", "-e", hosts)
    assert result.returncode == 0, result.stdout + result.stderr
    branding = {
        name: yaml.safe_load((tmp_path / "rendered" / name / "configmap-sortie-config.yaml").read_text())[
            "data"
        ]
        for name in ("acme", "globex")
    }
    assert '"tenant_name": "Acme Corporation"' in branding["acme"]["branding.json"]
    assert '"tenant_name": "Globex Research"' in branding["globex"]["branding.json"]
