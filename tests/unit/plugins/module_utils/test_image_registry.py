"""What a registry answers, and what its refusals mean."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ansible_collections.sortie.platform.plugins.module_utils import _image_registry
from ansible_collections.sortie.platform.plugins.module_utils._image_registry import Registry, is_local
from ansible_collections.sortie.platform.plugins.module_utils._image_run import CommandError, ImageError

DIGEST = "sha256:" + "a" * 64
# Gets method, path and Authorization; returns status, headers and body.
Answers = Callable[[str, str, str], tuple[int, dict[str, str], str]]


@contextmanager
def registry(answers: Answers) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """A registry without TLS: its address, and the requests that came."""
    requests: list[tuple[str, str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            requests.append((self.command, self.path, self.headers.get("Authorization", "")))
            status, headers, body = answers(*requests[-1])
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body.encode())

        do_HEAD = do_GET = answer  # noqa: N815 (http.server's names)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 (http.server's name)
            """Nothing is logged."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"localhost:{server.server_port}", requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def auth_file(path: Path, **entries: str) -> Path:
    auths = {name: {"auth": base64.b64encode(user.encode()).decode()} for name, user in entries.items()}
    path.write_text(json.dumps({"auths": auths}))
    return path


def basic(user: str) -> str:
    return f"Basic {base64.b64encode(user.encode()).decode()}"


def test_a_tag_that_is_there_takes_one_request(tmp_path: Path) -> None:
    with registry(lambda *request: (200, {"Docker-Content-Digest": DIGEST}, "")) as (address, requests):
        auth = auth_file(tmp_path / "auth.json", **{address: "me:secret"})
        assert Registry(f"{address}/team", auth, tls_verify=False).digest_of("sortie", "1-a") == DIGEST
    assert requests == [("HEAD", "/v2/team/sortie/manifests/1-a", basic("me:secret"))]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_is_not_there_or_not_shown_is_to_be_pushed(status: int) -> None:
    with registry(lambda *request: (status, {}, "")) as (address, _requests):
        assert Registry(address, tls_verify=False).digest_of("sortie", "1-a") is None


def test_content_is_read_also_from_where_the_registry_sends_us_without_credentials_there(
    tmp_path: Path,
) -> None:
    def store(method: str, path: str, authorization: str) -> tuple[int, dict[str, str], str]:
        return 200, {}, "content"

    with registry(store) as (elsewhere, asked_there):

        def answers(method: str, path: str, authorization: str) -> tuple[int, dict[str, str], str]:
            return 307, {"Location": f"http://{elsewhere}/blob"}, ""

        with registry(answers) as (address, asked):
            file = auth_file(tmp_path / "auth.json", **{address: "me:word"})
            assert Registry(address, file, False).read("sortie", f"blobs/{DIGEST}") == b"content"
    assert [path for _method, path, _authorization in asked] == [f"/v2/sortie/blobs/{DIGEST}"]
    assert asked[0][2].startswith("Basic ")
    assert asked_there == [("GET", "/blob", "")]


def test_what_is_not_there_is_not_read() -> None:
    with registry(lambda *request: (404, {}, "")) as (address, _asked):
        assert Registry(address, None, False).read("sortie", "manifests/none") is None


def test_the_most_exact_credentials_are_used(tmp_path: Path) -> None:
    with registry(lambda *request: (404, {}, "")) as (address, requests):
        entries = {address: "host:1", f"{address}/team": "team:2", f"{address}/other": "other:3"}
        auth = auth_file(tmp_path / "auth.json", **entries)
        Registry(f"{address}/team", auth, tls_verify=False).digest_of("sortie", "1")
    assert requests[0][2] == basic("team:2")


def test_the_credentials_of_podman_login_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with registry(lambda *request: (404, {}, "")) as (address, requests):
        auth = auth_file(tmp_path / "auth.json", **{address: "me:secret"})
        monkeypatch.setenv("REGISTRY_AUTH_FILE", str(auth))
        Registry(address, tls_verify=False).digest_of("sortie", "1")
    assert requests[0][2] == basic("me:secret")


def test_a_token_is_fetched_where_the_registry_says(tmp_path: Path) -> None:
    def answers(method: str, path: str, authorization: str) -> tuple[int, dict[str, str], str]:
        if path.startswith("/token?"):
            return 200, {}, json.dumps({"token": "T"})
        if authorization == "Bearer T":
            return 200, {"Docker-Content-Digest": DIGEST}, ""
        challenge = f'Bearer realm="http://{address}/token",service="reg",scope="repository:sortie:pull"'
        return 401, {"WWW-Authenticate": challenge}, ""

    with registry(answers) as (address, requests):
        auth = auth_file(tmp_path / "auth.json", **{address: "me:secret"})
        assert Registry(address, auth, tls_verify=False).digest_of("sortie", "1") == DIGEST
    assert requests[1] == ("GET", "/token?service=reg&scope=repository%3Asortie%3Apull", basic("me:secret"))


def test_a_registry_that_fails_is_not_taken_for_an_empty_one() -> None:
    with (
        registry(lambda *request: (503, {}, "")) as (address, _requests),
        pytest.raises(
            ImageError, match=r"refuses the image: it answered 503.*is built and kept; nothing was pushed"
        ),
    ):
        Registry(address, tls_verify=False).digest_of("sortie", "1")


def test_plain_http_is_refused_where_certificates_are_verified() -> None:
    with (
        registry(lambda *request: (200, {}, "")) as (address, requests),
        pytest.raises(ImageError, match="cannot be used"),
    ):
        Registry(address, tls_verify=True).digest_of("sortie", "1")
    assert requests == []


def test_an_unreachable_registry_is_told_with_the_command_to_try() -> None:
    with registry(lambda *request: (200, {}, "")) as (address, _requests):
        pass
    with pytest.raises(ImageError) as caught:
        Registry(address, tls_verify=False).digest_of("sortie", "1")
    assert f"The registry {address} cannot be used: [Errno 111] Connection refused" in str(caught.value)
    assert f"curl -i http://{address}/v2/" in str(caught.value)
    assert "-e image_push=false" in str(caught.value)


def test_unreadable_credentials_are_told(tmp_path: Path) -> None:
    (tmp_path / "auth.json").write_text("no JSON")
    with pytest.raises(ImageError, match=r"credentials cannot be read from .*Next: podman login --authfile"):
        Registry("registry.test", tmp_path / "auth.json").digest_of("sortie", "1")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("unauthorized: authentication required", "does not accept the credentials: unauthorized"),
        ("requested access to the resource is denied", "does not let this user push: requested access"),
        ("received unexpected HTTP status: 403 Forbidden", "does not let this user push: received"),
        ("unexpected status code: 500", "refuses the image: unexpected status code: 500"),
        ("dial tcp: connection refused", "cannot be used: dial tcp: connection refused"),
    ],
)
def test_a_refused_push_is_told_in_words(
    said: str, told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def run(command: object) -> str:
        raise CommandError(said)

    monkeypatch.setattr(_image_registry, "run", run)
    monkeypatch.setattr(_image_registry, "require_tool", lambda tool, purpose: None)
    with pytest.raises(ImageError) as caught:
        Registry("registry.test/team", tmp_path / "auth.json").push(tmp_path, "sortie", "1")
    assert f"The registry registry.test/team {told}" in str(caught.value)
    assert "The image is built and kept; nothing was pushed. Next: " in str(caught.value)


def test_the_password_is_not_on_the_command_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(_image_registry, "run", commands.append)
    monkeypatch.setattr(_image_registry, "require_tool", lambda tool, purpose: None)
    auth = auth_file(tmp_path / "auth.json", **{"registry.test": "me:secret"})
    Registry("registry.test", auth).push(tmp_path, "sortie", "1")
    assert commands[0][-4:] == [
        "--preserve-digests",
        f"--authfile={auth}",
        f"oci:{tmp_path}:image",
        "docker://registry.test/sortie:1",
    ]


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost:5000", True),
        ("127.0.0.1", True),
        ("[::1]:5000", True),
        ("registry.test:5000", False),
        ("localhost.test", False),
    ],
)
def test_this_machine_is_known_by_its_names(host: str, local: bool) -> None:
    assert is_local(host) is local
