"""A tenant is reached under its own name and certificate, wherever its ingress is."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.sortie.platform.plugins.module_utils._certificates import Authority
from ansible_collections.sortie.platform.plugins.module_utils._http import (
    Client,
    Endpoint,
    HttpError,
    service_token,
)
from ansible_collections.sortie.platform.tests.unit.plugins.tenant_server import (
    KEY,
    claims_of,
    endpoint,
    tenant_server,
)
from sortie.people.tokens import SERVICE, Tokens


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority(tmp_path / "ca")
    made.create()
    return made


def test_the_host_is_named_without_the_port_of_the_published_address() -> None:
    with tenant_server() as server:
        Client(endpoint(server)).get("/readyz")
        assert server.hosts == {"acme.localhost"}


def test_a_certificate_of_the_given_authority_is_trusted(authority: Authority, tmp_path: Path) -> None:
    with tenant_server(authority, tmp_path) as server:
        client = Client(endpoint(server, str(authority.directory / "ca.crt")))
        assert client.get("/readyz").json() == {"status": "ok"}
        client.close()


def test_a_certificate_of_another_authority_is_refused(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    other.create()
    with tenant_server(authority, tmp_path) as server:
        client = Client(endpoint(server, str(other.directory / "ca.crt")))
        with pytest.raises(HttpError, match="its certificate is not trusted"):
            client.get("/readyz")


def test_a_certificate_for_another_host_is_refused(authority: Authority, tmp_path: Path) -> None:
    with tenant_server(authority, tmp_path) as server:
        ca_file = str(authority.directory / "ca.crt")
        place = Endpoint("globex.localhost", server.server_address[1], "127.0.0.1", True, ca_file)
        with pytest.raises(HttpError, match="its certificate is not trusted"):
            Client(place).get("/readyz")


def test_an_authority_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with tenant_server() as server:
        place = endpoint(server, str(tmp_path / "none.crt"))
        with pytest.raises(HttpError, match="does not answer"):
            Client(place).get("/readyz")


def test_a_port_where_nothing_listens_is_told() -> None:
    with tenant_server() as server:
        place = endpoint(server)
    with pytest.raises(HttpError, match=r"http://acme\.localhost:\d+ does not answer: .*refused") as caught:
        Client(place).get("/readyz")
    assert caught.value.status == 0


def test_the_usual_port_is_left_out_of_the_url() -> None:
    assert Endpoint("acme.example.com").url == "https://acme.example.com"
    assert Endpoint("acme.example.com", 80, tls=False).url == "http://acme.example.com"
    assert Endpoint("acme.example.com", 8443).url == "https://acme.example.com:8443"


def test_a_service_token_is_of_the_platform_and_ends_soon() -> None:
    claims = claims_of(service_token(KEY))
    assert claims is not None
    assert (claims["sub"], claims["typ"], claims["roles"]) == ("platform", "service", ["admin"])
    assert claims["exp"] - claims["iat"] == 120


def test_two_tokens_are_never_the_same() -> None:
    assert service_token(KEY, 0) != service_token(KEY, 0)


def test_a_token_of_another_key_is_worth_nothing() -> None:
    assert claims_of(service_token("another")) is None


def test_the_application_takes_the_token() -> None:
    """The two sides are written apart, so what one makes is given to the other."""
    claims = Tokens(KEY).read(service_token(KEY))
    assert (claims.kind, claims.subject) == (SERVICE, "platform")
