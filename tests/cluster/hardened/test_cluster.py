"""What the cluster keeps, writes down and shows to whom; and what of the CIS benchmark holds."""

from __future__ import annotations

import base64
import json
import re
import secrets
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from ansible_collections.sortie.platform.tests.cluster.hardened.benchmark import EXCEPTIONS, HELD, Node, Rule
from ansible_collections.sortie.platform.tests.cluster.live import ROOT, Live
from ansible_collections.sortie.platform.tests.secret_watch import LOOKED_FOR

DATABASE = "cat /var/lib/etcd/member/snap/db /var/lib/etcd/member/wal/*"


def on_node(live: Live, command: str) -> str:
    answer = subprocess.run(
        ["podman", "exec", live.container, "sh", "-c", command], capture_output=True, check=False
    )
    assert answer.returncode == 0, f"{command}: {answer.stderr.decode()}"
    return answer.stdout.decode(errors="replace")


@pytest.fixture(scope="module")
def secret(live: Live) -> Iterator[str]:
    """The value of a Secret that was written just now."""
    value = secrets.token_hex(24)
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "looked-for", "namespace": "sortie", "labels": {LOOKED_FOR: "true"}},
        "data": {"value": base64.b64encode(value.encode()).decode()},
    }
    live.kubectl("apply", "--filename", "-", given=json.dumps(body))
    yield value
    live.kubectl("delete", "secret", "looked-for", "--namespace", "sortie")


def test_a_secret_cannot_be_read_from_etcds_files(live: Live, secret: str) -> None:
    config_map = secrets.token_hex(24)
    live.kubectl(
        "create", "configmap", "looked-for", "--namespace", "sortie", f"--from-literal=a={config_map}"
    )
    try:
        assert on_node(live, f"{DATABASE} | grep -a -c {config_map} || true").strip() != "0"
        assert on_node(live, f"{DATABASE} | grep -a -c {secret} || true").strip() == "0"
        assert on_node(live, f"{DATABASE} | grep -a -c k8s:enc:secretbox:v1:first: || true").strip() != "0"
    finally:
        live.kubectl("delete", "configmap", "looked-for", "--namespace", "sortie")


def test_the_audit_log_tells_who_and_what_without_values(live: Live, secret: str) -> None:
    live.kubectl("get", "secret", "looked-for", "--namespace", "sortie")
    log = on_node(live, "cat /var/log/kubernetes/audit.log")
    reads = [
        entry
        for line in log.splitlines()
        if '"looked-for"' in line and (entry := json.loads(line))["objectRef"]["resource"] == "secrets"
    ]
    assert {"get"} <= {entry["verb"] for entry in reads}
    assert {"kubernetes-admin"} == {entry["user"]["username"] for entry in reads}
    assert secret not in log
    assert base64.b64encode(secret.encode()).decode() not in log


def asked(live: Live, path: str) -> int:
    """The API server's answer to somebody without credentials."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        address = f"https://127.0.0.1:{live.variables['common_api_port']}{path}"
        with urllib.request.urlopen(address, context=context, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_nobody_asks_the_api_server_without_credentials(live: Live) -> None:
    for path in ("/", "/version", "/api", "/apis", "/metrics", "/api/v1/namespaces", "/openapi/v2"):
        assert asked(live, path) == 401, path
    # kubelet's probes, and what a joining node checks against its token.
    for path in ("/livez", "/readyz", "/api/v1/namespaces/kube-public/configmaps/cluster-info"):
        assert asked(live, path) in (200, 403), path
    assert asked(live, "/livez") == 200


def test_kubelet_wants_credentials(live: Live) -> None:
    answer = on_node(
        live,
        "python3 -c 'import ssl, urllib.request as u, urllib.error\n"
        'try: u.urlopen("https://127.0.0.1:10250/pods", context=ssl._create_unverified_context())\n'
        "except urllib.error.HTTPError as e: print(e.code)'",
    )
    assert answer.strip() == "401"


@pytest.fixture(scope="module")
def node(live: Live) -> Node:
    return Node(lambda command: on_node(live, command))


@pytest.mark.parametrize("rule", HELD, ids=lambda rule: rule.number)
def test_a_rule_of_the_benchmark_holds(node: Node, rule: Rule) -> None:
    assert rule.holds(node)


@pytest.mark.parametrize("rule", EXCEPTIONS, ids=lambda rule: rule.number)
def test_an_exception_from_the_benchmark_is_still_one(node: Node, rule: Rule) -> None:
    """What holds after all moves to the others."""
    assert not rule.holds(node)


def test_the_checklist_of_the_docs_is_what_is_checked() -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    lines = [f"| {rule.number} | {rule.says} | holds |" for rule in HELD]
    lines += [f"| {rule.number} | {rule.says} | {rule.why} |" for rule in EXCEPTIONS]
    listed = re.findall(r"^\| \d+\.\d[.\d]* .*$", page, re.MULTILINE)
    assert sorted(listed) == sorted(lines)
