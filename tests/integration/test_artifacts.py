"""Releases of Kubernetes from a file server and a registry on the loopback address, in the layout of the official ones.

What they serve is what role kube_artifacts builds, under the official names.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.sortie.platform.plugins.module_utils._oci import manifests_of
from ansible_collections.sortie.platform.plugins.module_utils._pull import mirrored

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
BINARIES = ("kubeadm", "kubectl", "kubelet")
VERSION = "v1.34.3"


def get(directory: Path, cache: Path = CACHE, **variables: Any) -> subprocess.CompletedProcess[str]:
    """Runs the role with a `.local/` of its own."""
    (directory / "local").mkdir(parents=True, exist_ok=True)
    return subprocess.run(
        [
            Path(sys.executable).with_name("ansible-playbook"),
            *("tests/integration/artifacts.yml", "--extra-vars", json.dumps(variables)),
        ],
        cwd=ROOT,
        env={**os.environ, "SORTIE_LOCAL_DIR": str(directory / "local"), "XDG_CACHE_HOME": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )


def found(directory: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((directory / "local" / "artifacts.json").read_text())
    return result


def told(done: subprocess.CompletedProcess[str]) -> str:
    """What a run that failed has said, on one line."""
    assert done.returncode == 2, done.stdout + done.stderr
    return re.sub(r"\s+", " ", done.stdout)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    directory = tmp_path_factory.mktemp("built")
    done = get(directory, kube_artifacts_source="build")
    assert done.returncode == 0, done.stdout
    assert "The cluster is built from Go modules and Debian packages." in done.stdout
    return found(directory)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        pass


@dataclass(frozen=True)
class Upstream:
    """The stand-in for the release server and the registry."""

    directory: Path
    url: str
    registry: str

    def binary(self, name: str) -> Path:
        return self.directory / VERSION / "bin" / "linux" / architecture() / name

    def variables(self, **others: Any) -> dict[str, Any]:
        return {
            "kube_artifacts_release_url": self.url,
            "kube_artifacts_registry": self.registry,
            "kube_artifacts_registry_tls_verify": False,
            **others,
        }


def architecture() -> str:
    return subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    ).stdout.strip()


def publish(upstream: Path, program: Path) -> None:
    """The binaries under their official names; the program is each of them, by the name by which it is started."""
    directory = upstream / VERSION / "bin" / "linux" / architecture()
    directory.mkdir(parents=True)
    sha256 = hashlib.sha256(program.read_bytes()).hexdigest()
    for name in BINARIES:
        os.link(program, directory / name) if same_device(program, directory) else shutil.copy(
            program, directory / name
        )
        (directory / f"{name}.sha256").write_text(sha256)


def same_device(one: Path, other: Path) -> bool:
    return one.stat().st_dev == other.stat().st_dev


@pytest.fixture(scope="module")
def file_server(
    built: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, str]]:
    directory = tmp_path_factory.mktemp("upstream")
    publish(directory, Path(built["binaries"]["files"]["kubernetes"]))
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(directory)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield directory, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def registry(built: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    (directory / "config.yml").write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {directory}/data}}}}\nhttp: {{addr: '{address}'}}\n"
    )
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(
            ["docker-registry", "serve", directory / "config.yml"], stdout=log, stderr=log
        )
    try:
        for name in manifests_of(Path(built["layout"])):
            copy = [
                "copy",
                "--quiet",
                "--preserve-digests",
                "--dest-tls-verify=false",
                f"oci:{built['layout']}:{name}",
            ]
            for _attempt in range(20):
                done = subprocess.run(
                    ["skopeo", *copy, f"docker://{mirrored(name, address)}"],
                    capture_output=True,
                    text=True,
                    check=False,
                )
                if done.returncode == 0 or process.poll() is not None:
                    break
                time.sleep(0.5)
            assert done.returncode == 0, done.stderr
        yield address
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def upstream(file_server: tuple[Path, str], registry: str) -> Upstream:
    return Upstream(*file_server, registry)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache without anything of a cluster but the nodes' file system, which no release has."""
    directory = tmp_path_factory.mktemp("cache")
    shutil.copytree(
        CACHE / "sortie-platform" / "debian",
        directory / "sortie-platform" / "debian",
        copy_function=shutil.copy2,
    )
    return directory


def configurations(layout: Path) -> dict[str, dict[str, Any]]:
    """How each image starts, and the contents of its layers; compression changes neither."""

    def read(digest: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(
            (layout / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_text()
        )
        return content

    manifests = {name: read(image["digest"]) for name, image in manifests_of(layout).items()}
    configs = {name: read(manifest["config"]["digest"]) for name, manifest in manifests.items()}
    return {
        name: {"config": config["config"], "rootfs": config["rootfs"]} for name, config in configs.items()
    }


def test_releases_are_taken_where_they_answer_and_kept(
    tmp_path: Path, upstream: Upstream, cache: Path, built: dict[str, Any]
) -> None:
    done = get(tmp_path, cache, **upstream.variables(kube_artifacts_source="auto"))
    assert done.returncode == 0, done.stdout
    assert "The cluster is made of official releases." in done.stdout
    result = found(tmp_path)
    assert sorted(result["binaries"]["files"]) == list(BINARIES)
    version = subprocess.run(
        [result["binaries"]["files"]["kubeadm"], "version", "-o", "short"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert version.stdout.strip() == VERSION
    assert sorted(result["images"]) == sorted(built["images"])
    assert configurations(Path(result["layout"])) == configurations(Path(built["layout"]))
    again = get(tmp_path, cache, **upstream.variables(kube_artifacts_source="release"))
    assert re.search(r"ok=\d+ +changed=0", again.stdout), again.stdout


def test_without_a_release_server_it_is_built_and_said_why(
    tmp_path: Path, upstream: Upstream, built: dict[str, Any]
) -> None:
    done = get(
        tmp_path,
        **upstream.variables(kube_artifacts_source="auto", kube_artifacts_release_url="http://127.0.0.1:9"),
    )
    assert done.returncode == 0, done.stdout
    assert "is built from Go modules and Debian packages (no releases: http://127.0.0.1:9/" in re.sub(
        r"\s+", " ", done.stdout
    )
    assert found(tmp_path)["layout"] == built["layout"]


def test_a_wrong_checksum_stops_it(tmp_path: Path, upstream: Upstream) -> None:
    published = upstream.binary("kubelet.sha256")
    right = published.read_text()
    published.write_text("0" * 64)
    try:
        message = told(
            get(tmp_path, tmp_path / "cache", **upstream.variables(kube_artifacts_source="release"))
        )
    finally:
        published.write_text(right)
    assert f"is not what was published: its sha256 is {right}, expected {'0' * 64}" in message
    assert "nothing was installed" in message


def test_an_image_that_the_registry_does_not_have_is_named(
    tmp_path: Path, upstream: Upstream, cache: Path
) -> None:
    variables = upstream.variables(
        kube_artifacts_source="release", kube_artifacts_registry=f"{upstream.registry}/elsewhere"
    )
    message = told(get(tmp_path, cache, **variables))
    assert re.search(rf"image {upstream.registry}/elsewhere/[a-z/-]+:\S+ could not be pulled", message)
    assert "nothing was changed" in message


def test_another_version_cannot_be_built(tmp_path: Path) -> None:
    message = told(get(tmp_path, kube_artifacts_source="build", kube_artifacts_kubernetes_version="v1.33.0"))
    assert f"is v1.33.0, and only {VERSION} can be built. Nothing was changed." in message


def test_a_missing_go_is_told(tmp_path: Path) -> None:
    """With a cache that has nothing, a machine without Go, and no release server."""
    script = tmp_path / "go"
    script.write_text("#!/bin/sh\necho go1.19.8\n")
    script.chmod(0o755)
    message = told(
        get(tmp_path, tmp_path / "cache", kube_artifacts_source="build", kube_artifacts_go=str(script))
    )
    assert "Go is too old" in message
    assert "kube_artifacts_source: release" in message
