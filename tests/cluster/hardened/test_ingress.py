"""What the ingress lets through: no old TLS and no plain HTTP; and what the application learns of a client through it."""

from __future__ import annotations

import http.client
import socket
import ssl
import warnings

import pytest

from ansible_collections.sortie.platform.tests.cluster.live import Live

HOST = "demo.localhost"


def connected(live: Live, newest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED) -> ssl.SSLSocket:
    """A connection whose client speaks every version up to `newest`, those included that OpenSSL leaves out by default."""
    context = ssl.create_default_context(cafile=str(live.local / "ca" / "ca.crt"))
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = newest
    plain = socket.create_connection(("127.0.0.1", live.variables["common_https_port"]), timeout=30)
    return context.wrap_socket(plain, server_hostname=HOST)


def test_tls_begins_at_1_2(live: Live) -> None:
    with connected(live, ssl.TLSVersion.TLSv1_2) as connection:
        assert connection.version() == "TLSv1.2"
    with connected(live) as connection:
        assert connection.version() == "TLSv1.3"
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        connected(live, ssl.TLSVersion.TLSv1_1)


def test_browsers_are_told_to_come_by_tls(live: Live) -> None:
    connection = http.client.HTTPConnection(HOST)
    connection.sock = connected(live)
    connection.request("GET", "/")
    assert connection.getresponse().headers["Strict-Transport-Security"] == "max-age=31536000"
    connection.close()


def test_plain_http_only_says_where_to_go(live: Live) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", live.variables["common_http_port"], timeout=30)
    connection.request("GET", "/api/apps", headers={"Host": HOST})
    answer = connection.getresponse()
    assert answer.status in (301, 308)
    assert answer.headers["Location"].startswith(f"https://{HOST}")
    connection.close()
