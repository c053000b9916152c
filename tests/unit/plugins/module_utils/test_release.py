"""Releases are downloaded from a real file server on the loopback address: checked, resumed, cached."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ansible_collections.sortie.platform.plugins.module_utils._release import Release, answers, download
from ansible_collections.sortie.platform.plugins.module_utils._store import Store, StoreError

CONTENT = bytes(range(256)) * 8192


@dataclass
class Published:
    """Files by path; `cut` is after how many bytes the first answers with a large body end."""

    files: dict[str, bytes] = field(default_factory=dict)
    cut: list[int] = field(default_factory=list)
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def publish(self, name: str, content: bytes = CONTENT, sha256: str | None = None) -> None:
        path = f"/release/v1.34.3/bin/linux/amd64/{name}"
        self.files[path] = content
        self.files[f"{path}.sha256"] = (sha256 or hashlib.sha256(content).hexdigest()).encode() + b"\n"


@contextmanager
def served(published: Published) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            published.asked.append((self.path, wanted))
            content = published.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if wanted else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            end = start + published.cut.pop(0) if len(content) > 100 and published.cut else len(content)
            self.wfile.write(content[start:end])

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/release"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def published() -> Published:
    return Published()


def release(url: str) -> Release:
    return Release(url, "v1.34.3", "amd64")


def test_a_binary_is_downloaded_once(tmp_path: Path, published: Published) -> None:
    published.publish("kubeadm")
    with served(published) as url:
        first = download(Store(tmp_path), release(url), "kubeadm")
        second = download(Store(tmp_path), release(url), "kubeadm")
    assert (first.made, second.made) == (True, False)
    assert (first.path / "kubeadm").read_bytes() == CONTENT
    assert (first.path / "kubeadm").stat().st_mode & 0o111
    assert len([path for path, _range in published.asked if not path.endswith(".sha256")]) == 1


def test_a_download_that_is_cut_off_goes_on_where_it_ended(tmp_path: Path, published: Published) -> None:
    published.publish("kubelet")
    published.cut = [500_000, 700_000]
    with served(published) as url:
        entry = download(Store(tmp_path), release(url), "kubelet", sleep=lambda _seconds: None)
    assert (entry.path / "kubelet").read_bytes() == CONTENT
    ranges = [asked for path, asked in published.asked if path.endswith("/kubelet")]
    assert ranges == [None, "bytes=500000-", "bytes=1200000-"]


def test_the_next_run_goes_on_where_the_last_one_gave_up(tmp_path: Path, published: Published) -> None:
    published.publish("kubelet")
    published.cut = [1000] * 4
    with served(published) as url:
        with pytest.raises(StoreError, match=r"could not be downloaded.*the next run goes on from there"):
            download(Store(tmp_path), release(url), "kubelet", sleep=lambda _seconds: None)
        download(Store(tmp_path), release(url), "kubelet")
    assert published.asked[-1][1] == "bytes=4000-"


def test_a_wrong_checksum_stops_with_both_hashes(tmp_path: Path, published: Published) -> None:
    published.publish("kubectl", sha256="0" * 64)
    with (
        served(published) as url,
        pytest.raises(
            StoreError, match=rf"is not what was published: its sha256 is [0-9a-f]{{64}}, expected {'0' * 64}"
        ),
    ):
        download(Store(tmp_path), release(url), "kubectl")
    assert [path for path in tmp_path.rglob("kubectl*") if path.is_file()] == []


def test_whether_a_server_has_the_release_is_told(published: Published) -> None:
    published.publish("kubeadm")
    with served(published) as url:
        assert answers(release(url), ["kubeadm"]) == ""
        assert "does not answer: HTTP Error 404" in answers(release(url), ["kubeadm", "kubelet"])
    assert "does not answer" in answers(release(url), ["kubeadm"])


def test_an_address_that_is_none_is_refused() -> None:
    assert "kube_artifacts_release_url is 'file:///etc'; expected an address http(s)" in answers(
        release("file:///etc"), ["kubeadm"]
    )


def test_a_page_instead_of_a_checksum_is_refused(published: Published) -> None:
    published.files["/release/v1.34.3/bin/linux/amd64/kubeadm.sha256"] = b"<html>Please log in</html>"
    with served(published) as url:
        assert "holds no sha256 but '<html>" in answers(release(url), ["kubeadm"])
