"""The short way to a cluster: what it reads, and what it leaves to the official client."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ansible_collections.sortie.platform.plugins.module_utils._certificates import Authority, issue
from ansible_collections.sortie.platform.plugins.module_utils._cluster import Cluster, ClusterError
from ansible_collections.sortie.platform.plugins.module_utils._direct import open_direct

PROXIES = ("http_proxy", "https_proxy", "all_proxy")


class Server(ThreadingHTTPServer):
    """Answers with what it was asked, and notes who asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.clients: list[Any] = []
        self.daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server
    connection: ssl.SSLSocket

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name that callers use)
        """Says nothing."""

    def do_GET(self) -> None:
        self.server.clients.append(self.connection.getpeercert())
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        seen = {"method": self.command, "path": self.path, "body": json.loads(body or "null")}
        seen |= {
            "token": self.headers["Authorization"],
            "type": self.headers["Content-Type"],
            "accept": self.headers["Accept"],
        }
        refused = "refused" in self.path
        content = json.dumps({"message": "not for you"} if refused else seen).encode()
        self.send_response(403 if refused else 404 if "absent" in self.path else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_PATCH = do_GET  # noqa: N815 (the name that the library calls)


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(name="authority")
def authority_of_the_test(tmp_path: Path) -> Authority:
    authority = Authority(tmp_path / "ca")
    authority.create()
    return authority


@pytest.fixture(name="server")
def server_of_the_test(tmp_path: Path, authority: Authority) -> Iterator[Server]:
    certificate, key = issue(authority, "localhost")
    (tmp_path / "server.pem").write_bytes(key + certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(cadata=authority.pem.decode())
    server = Server()
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def client_certificate(authority: Authority, name: str) -> tuple[bytes, bytes]:
    """A certificate with which a user signs in, and its key, both in PEM form."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    form = serialization.Encoding.PEM
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(form), key.private_bytes(form, *plain)


def kubeconfig(directory: Path, cluster: dict[str, Any], user: dict[str, Any]) -> Path:
    path = directory / "kubeconfig"
    content = {
        "current-context": "ours",
        "contexts": [
            {"name": "other", "context": {"cluster": "missing", "user": "admin"}},
            {"name": "ours", "context": {"cluster": "ours", "user": "admin"}},
        ],
        "clusters": [{"name": "ours", "cluster": {"server": "https://localhost:1"} | cluster}],
        "users": [{"name": "admin", "user": user}],
    }
    path.write_text(yaml.safe_dump(content))
    return path


def reached(tmp_path: Path, authority: Authority, server: Server, user: dict[str, Any]) -> Cluster:
    cluster = {
        "server": f"https://localhost:{server.server_port}/",
        "certificate-authority-data": encoded(authority.pem),
    }
    path = kubeconfig(tmp_path, cluster, user)
    assert open_direct(path) is not None
    return Cluster(str(path))


def test_a_token_signs_every_request(tmp_path: Path, authority: Authority, server: Server) -> None:
    cluster = reached(tmp_path, authority, server, {"token": "secret"})
    answer = cluster.get("/api/v1/pods", {"limit": "5", "labelSelector": "app=sortie,tier"})
    assert answer == {
        "method": "GET",
        "path": "/api/v1/pods?limit=5&labelSelector=app%3Dsortie%2Ctier",
        "body": None,
        "token": "Bearer secret",
        "type": None,
        "accept": "application/json",
    }


def test_a_manifest_is_sent_as_it_is(tmp_path: Path, authority: Authority, server: Server) -> None:
    cluster = reached(tmp_path, authority, server, {})
    answer = cluster.send(
        "PATCH", "/api/v1/x", {"kind": "X"}, "application/apply-patch+yaml", {"force": "true"}
    )
    assert (answer["method"], answer["path"], answer["body"]) == (
        "PATCH",
        "/api/v1/x?force=true",
        {"kind": "X"},
    )
    assert (answer["type"], answer["token"]) == ("application/apply-patch+yaml", None)


def test_a_certificate_signs_in(tmp_path: Path, authority: Authority, server: Server) -> None:
    certificate, key = client_certificate(authority, "admin")
    user = {"client-certificate-data": encoded(certificate), "client-key-data": encoded(key)}
    assert reached(tmp_path, authority, server, user).get("/version")
    assert [client["subject"] for client in server.clients] == [((("commonName", "admin"),),)]


def test_refusals_are_told_in_the_cluster_s_words(
    tmp_path: Path, authority: Authority, server: Server
) -> None:
    cluster = reached(tmp_path, authority, server, {"token": "secret"})
    assert cluster.get("/absent") is None
    with pytest.raises(ClusterError, match=r"^not for you$") as refusal:
        cluster.get("/refused")
    assert refusal.value.status == 403


def test_a_server_that_another_authority_signed_is_not_trusted(tmp_path: Path, server: Server) -> None:
    stranger = Authority(tmp_path / "stranger")
    stranger.create()
    with pytest.raises(ClusterError, match=r"^https://localhost:\d+ does not answer \(.*certificate"):
        reached(tmp_path, stranger, server, {"token": "secret"}).get("/version")
    assert server.clients == []


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"^https://localhost:1 does not answer \(.*refused"):
        Cluster(str(kubeconfig(tmp_path, {}, {"token": "secret"}))).get("/version")


@pytest.mark.parametrize(
    ("cluster", "user"),
    [
        ({}, {"exec": {"command": "get-token"}}),
        ({}, {"username": "admin", "password": "secret"}),
        ({}, {"client-certificate": "admin.crt", "client-key": "admin.key"}),
        ({}, {"client-certificate-data": "not base 64", "client-key-data": ""}),
        ({"proxy-url": "http://localhost:3128"}, {}),
        ({"insecure-skip-tls-verify": True}, {}),
        ({"server": "http://localhost:1"}, {}),
    ],
)
def test_what_needs_more_is_left_to_the_official_client(
    tmp_path: Path, cluster: dict[str, Any], user: dict[str, Any]
) -> None:
    assert open_direct(kubeconfig(tmp_path, cluster, user)) is None


def test_a_context_that_is_not_whole_is_left_to_the_official_client(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, {}, {"token": "secret"})
    assert open_direct(path, "ours") is not None
    assert open_direct(path, "other") is None
    assert open_direct(path, "absent") is None
    path.write_text("- not: a kubeconfig")
    assert open_direct(path) is None


@pytest.mark.parametrize("name", PROXIES)
def test_a_proxy_is_left_to_the_official_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "http://localhost:3128")
    assert open_direct(kubeconfig(tmp_path, {}, {"token": "secret"})) is None


def test_the_official_client_answers_the_same(tmp_path: Path, authority: Authority, server: Server) -> None:
    """A kubeconfig with the authority in a file goes through it."""
    (tmp_path / "ca.crt").write_bytes(authority.pem)
    server_entry = {
        "server": f"https://localhost:{server.server_port}",
        "certificate-authority": str(tmp_path / "ca.crt"),
    }
    path = kubeconfig(tmp_path, server_entry, {"token": "secret"})
    assert open_direct(path) is None
    cluster = Cluster(str(path))
    answer = cluster.send("PATCH", "/api/v1/x", {"kind": "X"}, "application/merge-patch+json")
    assert (answer["body"], answer["token"]) == ({"kind": "X"}, "Bearer secret")
    assert cluster.get("/absent") is None
    with pytest.raises(ClusterError, match=r"^not for you$"):
        cluster.get("/refused")
