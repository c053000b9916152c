"""What the application learns of a client through the ingress: whom it trusts decides both address and TLS."""

from __future__ import annotations

import http.client
import socket
import ssl

from ansible_collections.sortie.platform.tests.cluster.live import Live


def test_browsers_are_told_to_come_by_tls(live: Live) -> None:
    context = ssl.create_default_context(cafile=str(live.local / "ca" / "ca.crt"))
    plain = socket.create_connection(("127.0.0.1", live.variables["common_https_port"]), timeout=30)
    connection = http.client.HTTPConnection("demo.localhost")
    connection.sock = context.wrap_socket(plain, server_hostname="demo.localhost")
    connection.request("GET", "/")
    assert connection.getresponse().headers["Strict-Transport-Security"] == "max-age=31536000"
    connection.close()
