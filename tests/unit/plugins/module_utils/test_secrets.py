"""Secrets are made once, kept, and shown nowhere."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.sortie.platform.plugins.module_utils._certificates import Authority, issue
from ansible_collections.sortie.platform.plugins.module_utils._cluster import ClusterError
from ansible_collections.sortie.platform.plugins.module_utils._secrets import (
    Wanted,
    ensure,
    ensure_external,
    signing_key,
)
from ansible_collections.sortie.platform.tests.unit.plugins.fakes import FakeApi, encoded

NAMESPACE = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {
        "name": "sortie-acme",
        "labels": {"sortie.platform/tenant": "acme", "pod-security.kubernetes.io/enforce": "restricted"},
    },
}
SECRET = "/api/v1/namespaces/sortie-acme/secrets/sortie-secrets"
TLS = "/api/v1/namespaces/sortie-acme/secrets/sortie-tls"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority(tmp_path / "ca")
    made.create()
    return made


def wanted(**values: Any) -> Wanted:
    return Wanted(**{"namespace": NAMESPACE, "generate": ["jwt-secret", "admin-password"], **values})


def data(api: FakeApi, path: str) -> dict[str, str]:
    return {name: base64.b64decode(value).decode() for name, value in api.objects[path]["data"].items()}


def test_a_new_tenant_gets_a_namespace_and_generated_values(authority: Authority) -> None:
    api = FakeApi()
    changed = ensure(api, wanted(), authority)
    assert changed == [
        "Namespace sortie-acme",
        "Secret sortie-secrets: admin-password",
        "Secret sortie-secrets: jwt-secret",
    ]
    assert len(data(api, SECRET)["jwt-secret"]) == 64
    assert len(data(api, SECRET)["admin-password"]) == 24


def test_a_secret_carries_the_labels_of_ownership_alone(authority: Authority) -> None:
    api = FakeApi()
    ensure(api, wanted(), authority)
    assert api.objects[SECRET]["metadata"]["labels"] == {"sortie.platform/tenant": "acme"}


def test_a_second_time_nothing_changes(authority: Authority) -> None:
    api = FakeApi()
    ensure(api, wanted(tls="self_signed", host="acme.localhost"), authority)
    before = dict(api.objects)
    assert ensure(api, wanted(tls="self_signed", host="acme.localhost"), authority) == []
    assert api.objects == before


def test_what_is_there_is_never_generated_anew(authority: Authority) -> None:
    api = FakeApi()
    api.put(SECRET, {"metadata": {"name": "sortie-secrets"}, "data": encoded({"jwt-secret": "old"})})
    assert "Secret sortie-secrets: jwt-secret" not in ensure(api, wanted(), authority)
    assert data(api, SECRET)["jwt-secret"] == "old"


def test_other_keys_of_the_secret_stay(authority: Authority) -> None:
    api = FakeApi()
    api.put(SECRET, {"metadata": {"name": "sortie-secrets"}, "data": encoded({"mine": "kept"})})
    ensure(api, wanted(), authority)
    assert data(api, SECRET)["mine"] == "kept"


def test_given_values_replace_what_is_there(authority: Authority) -> None:
    api = FakeApi()
    api.put(SECRET, {"metadata": {"name": "sortie-secrets"}, "data": encoded({"jwt-secret": "old"})})
    changed = ensure(api, wanted(generate=[], values={"jwt-secret": "new"}), authority)
    assert changed[1:] == [
        "Secret sortie-secrets: jwt-secret",
        "Secret sortie-secrets: jwt-secret-previous",
    ]
    assert data(api, SECRET)["jwt-secret"] == "new"


def test_check_mode_tells_and_changes_nothing(authority: Authority) -> None:
    api = FakeApi()
    changed = ensure(api, wanted(tls="self_signed", host="acme.localhost"), authority, dry_run=True)
    assert len(changed) == 4
    assert api.objects == {}


def test_no_value_is_told(authority: Authority) -> None:
    api = FakeApi()
    told = " ".join(ensure(api, wanted(tls="self_signed", host="acme.localhost"), authority))
    assert not [value for value in data(api, SECRET).values() if value in told]


def test_a_certificate_of_another_authority_is_replaced(authority: Authority, tmp_path: Path) -> None:
    api = FakeApi()
    old = Authority(tmp_path / "old")
    old.create()
    certificate, key = issue(old, "acme.localhost")
    values = {"tls.crt": certificate.decode(), "tls.key": key.decode()}
    api.put(TLS, {"metadata": {"name": "sortie-tls"}, "data": encoded(values)})
    changed = ensure(api, wanted(tls="self_signed", host="acme.localhost"), authority)
    assert "Secret sortie-tls: tls.crt, tls.key" in changed
    assert data(api, TLS)["ca.crt"] == authority.pem.decode()


def test_a_provided_certificate_is_written_once(authority: Authority) -> None:
    api = FakeApi()
    provided = wanted(tls="provided", certificate="CERTIFICATE", private_key="KEY")
    assert "Secret sortie-tls: tls.crt, tls.key" in ensure(api, provided, authority)
    assert ensure(api, provided, authority) == []


def test_a_provided_certificate_that_is_already_there_is_left_alone(authority: Authority) -> None:
    api = FakeApi()
    ensure(api, wanted(tls="provided"), authority)
    assert TLS not in api.objects


def test_a_refusal_is_passed_on(authority: Authority) -> None:
    api = FakeApi()
    api.refusals["/api/v1/namespaces/sortie-acme/secrets"] = ClusterError("forbidden", 403)
    with pytest.raises(ClusterError, match="forbidden"):
        ensure(api, wanted(), authority)


def test_the_signing_key_is_what_the_secret_holds(authority: Authority) -> None:
    api = FakeApi()
    ensure(api, wanted(), authority)
    assert signing_key(api, wanted()) == data(api, SECRET)["jwt-secret"]


DEPLOYMENT = "/apis/apps/v1/namespaces/sortie-acme/deployments/sortie"


def running(authority: Authority) -> FakeApi:
    """A tenant with Secrets and a Deployment."""
    api = FakeApi()
    ensure(api, wanted(), authority)
    labels = {"sortie.platform/tenant": "acme"}
    api.put(DEPLOYMENT, {"metadata": {"name": "sortie", "labels": labels}, "spec": {"replicas": 1}})
    return api


def restarted(api: FakeApi) -> bool:
    template = api.objects[DEPLOYMENT]["spec"].get("template", {})
    return "kubectl.kubernetes.io/restartedAt" in template.get("metadata", {}).get("annotations", {})


def test_a_given_value_that_changes_restarts_the_pods_and_keeps_users_signed_in(authority: Authority) -> None:
    api = running(authority)
    before = data(api, SECRET)["jwt-secret"]
    given = wanted(generate=[], values={"jwt-secret": "x" * 32})
    assert "Secret sortie-secrets: jwt-secret" in ensure(api, given, authority)
    assert data(api, SECRET)["jwt-secret-previous"] == before
    assert restarted(api)
    assert ensure(api, given, authority) == []


def test_a_new_key_beside_the_others_restarts_nothing(authority: Authority) -> None:
    api = running(authority)
    ensure(api, wanted(values={"database-dsn": "postgresql://db/acme"}), authority)
    assert not restarted(api)


EXTERNAL_PATH = "/apis/external-secrets.io/v1/namespaces/sortie-acme/externalsecrets"
EXTERNAL = {
    "apiVersion": "external-secrets.io/v1",
    "kind": "ExternalSecret",
    "metadata": {"name": "sortie-secrets", "namespace": "sortie-acme"},
}


def external(**values: Any) -> Wanted:
    return wanted(generate=[], external=EXTERNAL, await_keys=["jwt-secret", "admin-password"], **values)


def brought(api: FakeApi) -> None:
    values = encoded({"jwt-secret": "from-the-store", "admin-password": "from-the-store"})
    api.put(SECRET, {"metadata": {"name": "sortie-secrets"}, "data": values})


def test_what_an_external_secret_brings_is_waited_for() -> None:
    api = FakeApi()
    assert ensure_external(api, external(), dry_run=False, sleep=lambda _seconds: brought(api))
    assert f"{EXTERNAL_PATH}/sortie-secrets" in api.objects
    assert signing_key(api, external()) == "from-the-store"
    assert not ensure_external(api, external(), dry_run=False)


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ({}, "no operator has looked at it"),
        ({"conditions": [{"type": "Ready", "status": "False", "message": "no such key"}]}, "no such key"),
    ],
)
def test_an_external_secret_that_brings_nothing_is_told_with_the_reason(
    status: dict[str, Any], why: str
) -> None:
    api = FakeApi()

    def told(_seconds: float) -> None:
        api.objects[f"{EXTERNAL_PATH}/sortie-secrets"]["status"] = status

    ticks = iter(range(0, 100, 40))
    with pytest.raises(
        ClusterError, match=rf"jwt-secret, admin-password within 60 s.*{why}.*describe externalsecret"
    ):
        ensure_external(api, external(), dry_run=False, clock=lambda: next(ticks), sleep=told)


def test_a_dry_run_waits_for_no_external_secret() -> None:
    api = FakeApi()
    assert ensure_external(api, external(), dry_run=True)
    assert not api.objects
