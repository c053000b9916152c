# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Makes the tenants' Secrets in the cluster. Values go there and nowhere else."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ansible_collections.sortie.platform.plugins.module_utils._certificates import Authority, describe, issue
from ansible_collections.sortie.platform.plugins.module_utils._cluster import (
    KINDS,
    TENANT_LABEL,
    Api,
    ClusterError,
    Manifest,
    apply,
    items,
)
from ansible_collections.sortie.platform.plugins.module_utils._state import SECRET

SIGNING_KEY, PREVIOUS_SIGNING_KEY = "jwt-secret", "jwt-secret-previous"
# As `kubectl rollout restart` marks the pods that it wants anew.
RESTARTED = "kubectl.kubernetes.io/restartedAt"
# Characters of the URL-safe alphabet that these many random bytes give: 64 and 24.
RANDOM_BYTES = {SIGNING_KEY: 48, "admin-password": 18}


@dataclass(frozen=True)
class Wanted:
    """What a tenant's Secrets are to be."""

    namespace: Manifest
    generate: list[str] = field(default_factory=list)
    values: Mapping[str, str] = field(default_factory=dict)
    external: Manifest = field(default_factory=dict)
    await_keys: list[str] = field(default_factory=list)
    timeout: float = 60
    tls: str = "none"
    tls_secret: str = "sortie-tls"  # noqa: S105 (its name)
    host: str = ""
    certificate: str = ""
    private_key: str = ""

    @property
    def name(self) -> str:
        return str(self.namespace["metadata"]["name"])


def encode(values: Mapping[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(value).decode() for name, value in values.items()}


def _put(api: Api, wanted: Wanted, name: str, values: Mapping[str, bytes], kind: str = "Opaque") -> None:
    """Writes keys of a Secret; others in it stay."""
    labels = {
        label: value
        for label, value in (wanted.namespace["metadata"].get("labels") or {}).items()
        if not label.startswith("pod-security.kubernetes.io/")
    }
    body: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": wanted.name, "labels": labels},
        "data": encode(values),
    }
    path = KINDS["Secret"].path(wanted.name)
    try:
        api.send("POST", path, {**body, "type": kind}, "application/json")
    except ClusterError as error:
        if error.status != 409:
            raise
        api.send("PATCH", f"{path}/{name}", body, "application/merge-patch+json")


def _read(api: Api, wanted: Wanted, name: str) -> dict[str, bytes]:
    manifest = api.get(KINDS["Secret"].path(wanted.name, name)) or {}
    return {key: base64.b64decode(value) for key, value in (manifest.get("data") or {}).items()}


def ensure_namespace(api: Api, wanted: Wanted, *, dry_run: bool) -> bool:
    if api.get(KINDS["Namespace"].path(None, wanted.name)):
        return False
    apply(api, wanted.namespace, dry_run=dry_run)
    return True


def ensure_values(api: Api, wanted: Wanted, *, dry_run: bool) -> list[str]:
    """Brings Secret sortie-secrets to what is wanted, and returns the keys that changed.

    A generated value is made once: what is there is never overwritten, since sessions and the database depend
    on it. Pods that run with another value than one that was given are restarted.
    """
    there = _read(api, wanted, SECRET)
    missing = {name: generated(name) for name in wanted.generate if not there.get(name)}
    given = {
        name: value.encode() for name, value in wanted.values.items() if there.get(name) != value.encode()
    }
    changed = missing | given
    if SIGNING_KEY in changed and there.get(SIGNING_KEY):
        changed[PREVIOUS_SIGNING_KEY] = there[SIGNING_KEY]
    if changed and not dry_run:
        _put(api, wanted, SECRET, changed)
        if any(there.get(name) for name in changed):
            restart(api, wanted.name)
    return sorted(changed)


def generated(key: str) -> bytes:
    """A new random value for a key of the tenant's Secret."""
    return secrets.token_urlsafe(RANDOM_BYTES[key]).encode()


def restart(api: Api, namespace: str) -> None:
    """Has a tenant's Deployments make their pods anew, since a variable of a container does not change while it runs."""
    path = KINDS["Deployment"].path(namespace)
    moment = datetime.now(UTC).isoformat(timespec="microseconds")
    body = {"spec": {"template": {"metadata": {"annotations": {RESTARTED: moment}}}}}
    for deployment in list(items(api, path, {"labelSelector": TENANT_LABEL}, metadata_only=True)):
        api.send("PATCH", f"{path}/{deployment['metadata']['name']}", body, "application/merge-patch+json")


def ensure_external(
    api: Api,
    wanted: Wanted,
    *,
    dry_run: bool,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Has External Secrets Operator bring Secret sortie-secrets, and waits until it has."""

    def missing() -> list[str]:
        there = _read(api, wanted, SECRET)
        return [key for key in wanted.await_keys if not there.get(key)]

    if not missing():
        return False
    apply(api, wanted.external, dry_run=dry_run)
    if dry_run:
        return True
    deadline, pause = clock() + wanted.timeout, 0.2
    while lacking := missing():
        if clock() >= deadline:
            raise ClusterError(
                f"ExternalSecret {SECRET} has not brought {', '.join(lacking)} within {wanted.timeout:g} s"
                f"{_why(api, wanted)}. Look at it: kubectl --namespace {wanted.name} describe externalsecret {SECRET}"
            )
        sleep(pause)
        pause = min(pause * 2, 2.0)
    return True


def _why(api: Api, wanted: Wanted) -> str:
    """What the operator says of an ExternalSecret that is not ready."""
    manifest = api.get(KINDS["ExternalSecret"].path(wanted.name, SECRET)) or {}
    for condition in manifest.get("status", {}).get("conditions") or []:
        if condition["type"] == "Ready" and condition["status"] != "True":
            return f": {condition.get('message') or condition.get('reason')}"
    return "; no operator has looked at it" if not manifest.get("status") else ""


def ensure_certificate(api: Api, wanted: Wanted, authority: Authority, *, dry_run: bool) -> bool:
    """Brings the certificate's Secret to what is wanted; a self-signed one is issued and renewed here."""
    there = _read(api, wanted, wanted.tls_secret)
    if wanted.tls == "self_signed":
        if there.get("tls.key") and not describe(there.get("tls.crt", b""), authority, wanted.host)["due"]:
            return False
        if dry_run:
            return True
        certificate, key = issue(authority, wanted.host)
        values = {"tls.crt": certificate, "tls.key": key, "ca.crt": authority.pem}
    else:
        values = {"tls.crt": wanted.certificate.encode(), "tls.key": wanted.private_key.encode()}
        if all(there.get(name) == value for name, value in values.items()):
            return False
    if not dry_run:
        _put(api, wanted, wanted.tls_secret, values, kind="kubernetes.io/tls")
    return True


def ensure(api: Api, wanted: Wanted, authority: Authority, *, dry_run: bool = False) -> list[str]:
    """Everything a tenant's pods need before they start; returns what changed, without values."""
    changed = []
    if ensure_namespace(api, wanted, dry_run=dry_run):
        changed.append(f"Namespace {wanted.name}")
    changed += [f"Secret {SECRET}: {key}" for key in ensure_values(api, wanted, dry_run=dry_run)]
    if wanted.external and ensure_external(api, wanted, dry_run=dry_run):
        changed.append(f"ExternalSecret {SECRET}")
    certificate_is_ours = wanted.tls == "self_signed" or (wanted.tls == "provided" and wanted.certificate)
    if certificate_is_ours and ensure_certificate(api, wanted, authority, dry_run=dry_run):
        changed.append(f"Secret {wanted.tls_secret}: tls.crt, tls.key")
    return changed


def signing_key(api: Api, wanted: Wanted) -> str:
    """The key with which the tenant's service tokens are signed."""
    return _read(api, wanted, SECRET).get("jwt-secret", b"").decode()
