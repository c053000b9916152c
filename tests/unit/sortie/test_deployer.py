"""What the account of a deployer may do is what its tenant needs."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

TEMPLATE = Path(__file__).parents[3] / "roles/sortie/templates/deployer.yaml.j2"


@pytest.mark.parametrize(
    ("store", "verbs"),
    [("", {"get", "list", "delete"}), ("vault", {"get", "list", "delete", "create", "patch"})],
)
def test_external_secrets_are_written_only_where_the_tenant_has_a_store(store: str, verbs: set[str]) -> None:
    tenant = {"namespace": "acme", "ingress_tls_secret": "sortie-tls", "external_secret_store": store}
    templar = Templar(loader=DataLoader(), variables={"inventory_hostname": "acme", "sortie_tenant": tenant})
    text = templar.template(trust_as_template(TEMPLATE.read_text()))
    (role,) = [entry for entry in yaml.safe_load_all(text) if entry and entry["kind"] == "Role"]
    (rule,) = [rule for rule in role["rules"] if "externalsecrets" in rule["resources"]]
    assert set(rule["verbs"]) == verbs
