"""An account's kubeconfig holds its token alone, and is made anew in time."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from ansible_collections.sortie.platform.plugins.module_utils._account import (
    account_kubeconfig,
    cluster_entry,
    expiry,
    good_until,
)
from ansible_collections.sortie.platform.plugins.module_utils._cluster import ClusterError

ADMIN = {
    "clusters": [
        {"name": "c", "cluster": {"server": "https://192.0.2.1:6443", "certificate-authority": "ca.crt"}}
    ],
    "contexts": [{"name": "admin", "context": {"cluster": "c", "user": "admin"}}],
    "current-context": "admin",
    "users": [{"name": "admin", "user": {"client-key-data": "the administrator's own"}}],
}
ENTRY = {"server": "https://192.0.2.1:6443"}
PLACE = ("sortie-acme", "sortie-deployer")


def token(hours: float) -> str:
    ends = int((datetime.now(UTC) + timedelta(hours=hours)).timestamp())
    claims = base64.urlsafe_b64encode(json.dumps({"exp": ends}).encode()).decode().rstrip("=")
    return f"header.{claims}.signature"


def test_nothing_of_the_administrator_goes_into_it(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_bytes(b"authority")
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(ADMIN))
    entry = cluster_entry(path, None)
    content = account_kubeconfig(entry, *PLACE, token(8))
    assert "administrator" not in content
    written = yaml.safe_load(content)
    authority = written["clusters"][0]["cluster"]["certificate-authority-data"]
    assert base64.b64decode(authority) == b"authority"
    assert written["users"][0]["user"].keys() == {"token"}
    assert written["contexts"][0]["context"]["namespace"] == "sortie-acme"


def test_a_context_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(ADMIN))
    with pytest.raises(ClusterError, match=r"kubeconfig .* cannot be used: 'production'"):
        cluster_entry(path, "production")


def test_a_token_that_is_good_for_long_enough_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "acme.kubeconfig"
    path.write_text(account_kubeconfig(ENTRY, *PLACE, token(5)))
    assert good_until(path, ENTRY, *PLACE, hours=8)
    assert not good_until(path, ENTRY, *PLACE, hours=24)
    assert not good_until(path, {"server": "https://192.0.2.2:6443"}, *PLACE, hours=8)
    assert not good_until(path, ENTRY, "sortie-globex", "sortie-deployer", hours=8)


def test_what_is_no_kubeconfig_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "acme.kubeconfig"
    for content in ("", "text", "users: []", account_kubeconfig(ENTRY, *PLACE, "no token")):
        path.write_text(content)
        assert not good_until(path, ENTRY, *PLACE, hours=8)
    assert expiry("a.b.c") is None
