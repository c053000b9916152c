"""Values of an inventory stay values: they become no YAML, no template, no markup and no further object."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from ansible_collections.sortie.platform.tests.playbook import run

# Each part would become something else in one of the places where values end up.
HOSTILE = (
    '"}\n  injected: yes\n---\nkind: Secret\n</script><script>alert(1)</script>\u2028\u0085'
    "'; DROP TABLE users;-- \U0001f680 \\ud83d\\ude80"
)


def rendered(tmp_path: Path, **given: Any) -> dict[str, Any]:
    """The tenant's objects by their file; a file with more than one object would not load."""
    acme = {"sortie_ingress_host": "acme.example.com", **given}
    result = run("render", tmp_path, {"acme": acme}, "-e", f"render_dir={tmp_path}/rendered")
    assert result.returncode == 0, result.stdout
    return {
        path.name: yaml.safe_load(path.read_text())
        for path in (tmp_path / "rendered" / "acme").glob("*-*.yaml")
    }


def test_hostile_values_are_only_values(tmp_path: Path) -> None:
    template = f"{{{{ lookup('pipe', 'touch {tmp_path}/owned') }}}}"
    written = HOSTILE + template
    # As a value that Ansible itself must not take for a template: from a file, a vault or a prompt.
    hostile = HOSTILE + "{% raw %}" + template + "{% endraw %}"
    plain = rendered(tmp_path)
    objects = rendered(
        tmp_path,
        sortie_branding_tenant_name=HOSTILE,
        sortie_env={"SORTIE_NOTE": hostile},
        sortie_ingress_annotations={"example.com/note": hostile},
    )
    assert objects.keys() == plain.keys()
    branding = json.loads(objects["configmap-sortie-config.yaml"]["data"]["branding.json"])
    assert branding.keys() == {"logo_url", "primary_color", "secondary_color", "tenant_name"}
    assert branding["tenant_name"] == HOSTILE
    assert objects["ingress-sortie.yaml"]["metadata"]["annotations"]["example.com/note"] == written
    (container,) = objects["deployment-sortie.yaml"]["spec"]["template"]["spec"]["containers"]
    assert {entry["name"]: entry.get("value") for entry in container["env"]}["SORTIE_NOTE"] == written
    assert not (tmp_path / "owned").exists()


def test_the_name_of_a_secret_cannot_add_to_the_pod(tmp_path: Path) -> None:
    reference = {"secret": "x\n      hostNetwork: true", "key": "k"}
    result = run(
        "render",
        tmp_path,
        {"acme": {"sortie_ingress_host": "acme.example.com", "sortie_env": {"SORTIE_TOKEN": reference}}},
        "-e",
        f"render_dir={tmp_path}/rendered",
    )
    assert result.returncode != 0
    assert "SORTIE_TOKEN with names of a Secret and of a key in it" in result.stdout
    assert not (tmp_path / "rendered").exists()


def test_a_name_in_the_environment_of_backups_is_no_further_object() -> None:
    name = "A: eA==\n---\nkind: ClusterRoleBinding\nB"
    variables = {
        "inventory_hostname": "acme",
        "sortie_tenant": {"namespace": "acme"},
        "backup_environment": {name: "secret"},
        "backup_ping_url": "",
        "_backup_key": "key",
    }
    template = Path(__file__).parents[3] / "roles/backup/templates/schedule-secrets.yaml.j2"
    text = Templar(loader=DataLoader(), variables=variables).template(trust_as_template(template.read_text()))
    _key, environment = [entry for entry in yaml.safe_load_all(text) if entry]
    # The API server refuses the name.
    assert environment["data"] == {name: base64.b64encode(b"secret").decode()}
