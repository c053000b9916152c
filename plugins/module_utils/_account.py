# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Makes a kubeconfig for a ServiceAccount, with a token that expires."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.sortie.platform.plugins.module_utils._cluster import KINDS, Api, ClusterError

# A kubeconfig is made anew when less than this part of its time is left.
RENEWED_BELOW = 0.5


def expiry(token: str) -> datetime | None:
    """When a token ends; nothing if it is not one that the API server has signed."""
    try:
        claims = token.split(".")[1]
        content = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        return datetime.fromtimestamp(int(content["exp"]), UTC)
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
        return None


def request_token(api: Api, namespace: str, account: str, hours: float) -> str:
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": int(hours * 3600)},
    }
    path = KINDS["ServiceAccount"].path(namespace, account)
    return str(api.send("POST", f"{path}/token", body, "application/json")["status"]["token"])


def cluster_entry(kubeconfig: Path, context: str | None) -> dict[str, Any]:
    """Address and authority of a context's cluster, and nothing of its user."""
    try:
        content = yaml.safe_load(kubeconfig.read_text())
        chosen = _named(content, "context", context or content["current-context"])
        cluster = dict(_named(content, "cluster", chosen["cluster"]))
        if file := cluster.pop("certificate-authority", None):
            authority = (kubeconfig.parent / file).read_bytes()
            cluster["certificate-authority-data"] = base64.b64encode(authority).decode()
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        raise ClusterError(f"the kubeconfig {kubeconfig} cannot be used: {error}") from error
    return cluster


def _named(content: Mapping[str, Any], kind: str, name: str) -> dict[str, Any]:
    entries: dict[str, dict[str, Any]] = {entry["name"]: entry[kind] for entry in content[f"{kind}s"]}
    return entries[name]


def account_kubeconfig(cluster: Mapping[str, Any], namespace: str, account: str, token: str) -> str:
    user = f"{namespace}-{account}"
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "cluster", "cluster": dict(cluster)}],
            "contexts": [
                {"name": user, "context": {"cluster": "cluster", "user": user, "namespace": namespace}}
            ],
            "current-context": user,
            "users": [{"name": user, "user": {"token": token}}],
        },
        sort_keys=False,
    )


def good_until(
    path: Path, cluster: Mapping[str, Any], namespace: str, account: str, hours: float
) -> datetime | None:
    """When the token of a kubeconfig ends that is of this account and still good for long enough; else nothing."""
    try:
        token = str(yaml.safe_load(path.read_text())["users"][0]["user"]["token"])
        same = path.read_text() == account_kubeconfig(cluster, namespace, account, token)
    except (OSError, KeyError, IndexError, TypeError, yaml.YAMLError):
        return None
    ends = expiry(token)
    least = datetime.now(UTC) + timedelta(hours=hours * RENEWED_BELOW)
    return ends if same and ends and ends > least else None
