"""The application's own image: built with real builders, pushed to a real registry, started.

Two builds with caches of their own are made once, by buildah and by podman; the tests look at them.
"""

from __future__ import annotations

import base64
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.sortie.platform.plugins.module_utils._go import Program, build, find_toolchain
from ansible_collections.sortie.platform.plugins.module_utils._image_base import NAME as BASE_NAME
from ansible_collections.sortie.platform.plugins.module_utils._image_signature import make_key
from ansible_collections.sortie.platform.plugins.module_utils._store import Store
from ansible_collections.sortie.platform.tests.playbook import cache_dir

ROOT = Path(__file__).resolve().parents[2]
USER, PASSWORD = "deploy", "not-a-real-one"


@dataclass(frozen=True)
class Place:
    """A run's own `.local/` and cache."""

    directory: Path

    @property
    def record(self) -> dict[str, str]:
        record: dict[str, str] = json.loads((self.directory / "local" / "image.json").read_text())
        return record

    def entry(self, kind: str) -> Path:
        (found,) = (self.cache / kind).glob("*-*")
        return found

    @property
    def cache(self) -> Path:
        return self.directory / "cache" / "sortie-platform"

    def share_inputs(self, other: Place, *kinds: str) -> Place:
        """Takes over base, wheels or both of another run, so that they are not made again."""
        for kind in kinds or ("image-base", "image-wheels"):
            shutil.copytree(other.cache / kind, self.cache / kind)
        return self

    def play(self, *arguments: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        return self.run("image", *arguments, all={"vars": variables})

    def run(self, playbook: str, *arguments: str, **groups: Any) -> subprocess.CompletedProcess[str]:
        self.directory.mkdir(parents=True, exist_ok=True)
        inventory = self.directory / "hosts.yml"
        inventory.write_text(json.dumps(groups))
        environment = {
            "SORTIE_LOCAL_DIR": str(self.directory / "local"),
            "XDG_CACHE_HOME": str(self.directory / "cache"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
        }
        return subprocess.run(
            [
                Path(sys.executable).with_name("ansible-playbook"),
                f"playbooks/{playbook}.yml",
                "-i",
                inventory,
                *arguments,
            ],
            cwd=ROOT,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )


def changed(done: subprocess.CompletedProcess[str]) -> int:
    assert done.returncode == 0, done.stdout + done.stderr
    return int(re.findall(r"changed=(\d+)", done.stdout)[0])


def told(done: subprocess.CompletedProcess[str]) -> str:
    """What a playbook that failed has said, on one line."""
    assert done.returncode == 2, done.stdout + done.stderr
    return re.sub(r"\s+", " ", done.stdout)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError("the registry ended")


@dataclass(frozen=True)
class RunningRegistry:
    address: str
    auth_file: Path

    def variables(self, **others: Any) -> dict[str, Any]:
        return {"image_registry": self.address, "image_auth_file": str(self.auth_file), **others}


def write_auth(path: Path, address: str, password: str) -> Path:
    auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
    path.write_text(json.dumps({"auths": {address: {"auth": auth}}}))
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRegistry]:
    directory = tmp_path_factory.mktemp("registry")
    port = free_port()
    passwords = subprocess.run(["htpasswd", "-Bbn", USER, PASSWORD], capture_output=True, check=True).stdout
    (directory / "htpasswd").write_bytes(passwords)
    config = {
        "version": 0.1,
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(directory / "data")}},
        "http": {"addr": f"127.0.0.1:{port}"},
        "auth": {"htpasswd": {"realm": "test", "path": str(directory / "htpasswd")}},
    }
    (directory / "config.yml").write_text(json.dumps(config))
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            ["docker-registry", "serve", directory / "config.yml"], stdout=log, stderr=log
        )
        try:
            wait_for(port, process)
            address = f"localhost:{port}"
            yield RunningRegistry(address, write_auth(directory / "auth.json", address, PASSWORD))
        finally:
            process.terminate()
            process.wait()


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, registry: RunningRegistry) -> Place:
    place = Place(tmp_path_factory.mktemp("first"))
    assert changed(place.play(**registry.variables())) == 1
    return place


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("second"))
    assert changed(place.play(image_builder="podman", image_push=False)) == 1
    return place


def test_two_builds_from_nothing_with_two_builders_have_one_digest(first: Place, second: Place) -> None:
    assert first.record["digest"] == second.record["digest"]
    assert first.entry("image-base").name == second.entry("image-base").name


def test_the_registry_has_the_recorded_digest_under_the_readable_tag(
    first: Place, registry: RunningRegistry
) -> None:
    tag = first.record["tag"].removeprefix(f"{registry.address}/sortie:")
    auth = json.loads(registry.auth_file.read_text())["auths"][registry.address]["auth"]
    request = urllib.request.Request(
        f"http://{registry.address}/v2/sortie/manifests/{tag}",
        headers={"Authorization": f"Basic {auth}", "Accept": "application/vnd.oci.image.manifest.v1+json"},
        method="HEAD",
    )
    with urllib.request.urlopen(request) as response:
        assert response.headers["Docker-Content-Digest"] == first.record["digest"]
    assert first.record["reference"] == f"{registry.address}/sortie@{first.record['digest']}"
    assert re.fullmatch(r"\d+\.\d+\.\d+[\w.]*-[0-9a-f]{12}", tag)


def test_a_second_run_changes_nothing(first: Place, registry: RunningRegistry) -> None:
    before = (first.directory / "local" / "image.json").stat().st_mtime_ns
    assert changed(first.play(**registry.variables())) == 0
    assert changed(first.play("--check", **registry.variables())) == 0
    assert (first.directory / "local" / "image.json").stat().st_mtime_ns == before


def test_check_mode_tells_of_a_build_and_makes_nothing(tmp_path: Path, registry: RunningRegistry) -> None:
    done = Place(tmp_path).play("--check", **registry.variables())
    assert changed(done) == 1
    assert "built, pushed, described, signed, recorded" in done.stdout
    assert not (tmp_path / "cache").exists()
    assert not (tmp_path / "local" / "image.json").exists()


@pytest.fixture(scope="module")
def container(first: Place) -> Iterator[Sequence[str]]:
    """A running container as restricted as in the cluster; the command that runs Python in it."""
    name = f"sortie-image-test-{os.getpid()}"
    cgroup2 = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    podman = ["podman", *([] if cgroup2 or not shutil.which("runc") else ["--runtime=runc"])]
    layout = f"oci:{first.entry('image')}:image"
    identity = subprocess.run(
        [*podman, "pull", "--quiet", layout], capture_output=True, text=True, check=True
    )
    image = identity.stdout.strip().splitlines()[-1]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    options = ["--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", "--network=none"]
    options += [f"--ulimit=nofile={hard}:{hard}", "--ulimit=nproc=1024:1024", f"--volume={name}:/data"]
    try:
        subprocess.run([*podman, "run", "--detach", f"--name={name}", *options, image], check=True)
        yield [*podman, "exec", name]
    finally:
        subprocess.run([*podman, "rm", "--force", "--volumes", name], check=False)
        subprocess.run([*podman, "volume", "rm", "--force", name], check=False)
        subprocess.run([*podman, "rmi", "--force", image], check=False)


def inside(container: Sequence[str], code: str) -> str:
    done = subprocess.run([*container, "python", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


ASK = """
import time, urllib.error, urllib.request
for attempt in range(300):
    try:
        print(urllib.request.urlopen("http://127.0.0.1:8080/api/apps").status)
        break
    except urllib.error.URLError:
        time.sleep(0.1)
"""


def test_the_application_answers_as_user_1000_on_a_read_only_root(container: Sequence[str]) -> None:
    assert inside(container, ASK) == "200"
    assert inside(
        container, "import os; print(os.getuid(), os.getgid(), os.path.exists('/data/sortie.db'))"
    ) == ("1000 1000 True")


def test_neither_shell_nor_package_manager_nor_compiler_is_inside(container: Sequence[str]) -> None:
    code = """
import pathlib
directories = ("/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/app/bin")
print(*(path.name for directory in directories for path in pathlib.Path(directory).glob("*")))
"""
    programs = set(inside(container, code).split())
    assert {"python3", "sortie"} <= programs
    assert not programs & {
        "sh",
        "bash",
        "dash",
        "busybox",
        "apt",
        "dpkg",
        "pip",
        "pip3",
        "gcc",
        "cc",
        "perl",
        "openssl",
    }
    assert inside(
        container, "import importlib.util as u; print(u.find_spec('pip'), u.find_spec('setuptools'))"
    ) == ("None None")


def test_sqlite_is_one_without_the_wal_reset_bug(container: Sequence[str]) -> None:
    version = inside(container, "from pysqlite3 import sqlite_version; print(sqlite_version)")
    assert tuple(map(int, version.split("."))) >= (3, 51, 3)


def test_byte_code_is_there_and_needs_no_look_at_its_source(container: Sequence[str]) -> None:
    # The flags in a .pyc: 1 is a hash in place of a time, 3 one that is checked.
    code = (
        "import importlib.util, json, sortie, sqlalchemy;"
        "print(*(open(importlib.util.cache_from_source(m.__file__), 'rb').read(8)[4] for m in (json, sortie, sqlalchemy)))"
    )
    assert inside(container, code) == "1 1 1"


def test_certificates_time_zones_and_the_list_of_packages_are_inside(container: Sequence[str]) -> None:
    code = (
        "import os, ssl, zoneinfo; zoneinfo.ZoneInfo('Europe/Berlin');"
        "print(len(ssl.create_default_context().get_ca_certs()) > 100, 'libssl3' in os.listdir('/var/lib/dpkg/status.d'))"
    )
    assert inside(container, code) == "True True"


def test_the_image_is_small(first: Place) -> None:
    assert sum(file.stat().st_size for file in first.entry("image").rglob("*")) < 60 << 20


def test_an_image_of_a_registry_can_be_the_base(
    tmp_path: Path, first: Place, registry: RunningRegistry
) -> None:
    source = f"oci:{first.entry('image-base')}:{BASE_NAME}"
    base = f"{registry.address}/debian-python:1"
    options = ["--dest-tls-verify=false", f"--authfile={registry.auth_file}"]
    subprocess.run(["skopeo", "copy", "--quiet", *options, source, f"docker://{base}"], check=True)
    place = Place(tmp_path).share_inputs(first, "image-wheels")
    assert changed(place.play(**registry.variables(image_base=base, image_name="other"))) == 1
    assert place.record["tag"].startswith(f"{registry.address}/other:")


def test_a_base_that_no_registry_has_is_told(tmp_path: Path, registry: RunningRegistry) -> None:
    base = f"{registry.address}/nowhere:1"
    said = told(Place(tmp_path).play(**registry.variables(image_base=base)))
    assert f"The base image {base} cannot be pulled" in said
    assert "Nothing was changed. Next: check image_base and image_auth_file" in said


def test_a_wrong_password_is_told_and_the_image_is_kept(
    tmp_path: Path, first: Place, registry: RunningRegistry
) -> None:
    auth = write_auth(tmp_path / "auth.json", registry.address, "another-password")
    said = told(first.play(**registry.variables(image_auth_file=str(auth))))
    assert f"The registry {registry.address} does not accept the credentials" in said
    assert f"Next: podman login --authfile {auth} {registry.address}" in said
    assert "another-password" not in said
    assert first.record["tag"].startswith(f"{registry.address}/sortie:")


def test_a_registry_that_is_not_there_is_told(first: Place) -> None:
    address = f"localhost:{free_port()}"
    said = told(first.play(image_registry=address))
    assert f"The registry {address} cannot be used: [Errno 111] Connection refused" in said


def test_a_wheel_that_is_not_what_the_lock_file_names_is_told(tmp_path: Path, first: Place) -> None:
    app = tmp_path / "app"
    shutil.copytree(ROOT / "app", app)
    lock = app / "requirements.lock"
    lock.write_text(re.sub(r"(?<=--hash=sha256:)[0-9a-f]{8}", "00000000", lock.read_text()))
    place = Place(tmp_path).share_inputs(first, "image-base")
    said = told(place.play(image_source_dir=str(app), image_push=False))
    assert f"A downloaded wheel is not what {lock} names" in said
    assert not (tmp_path / "local" / "image.json").exists()


def test_a_containerfile_that_fails_tells_what_the_builder_said(tmp_path: Path, first: Place) -> None:
    app = tmp_path / "app"
    shutil.copytree(ROOT / "app", app)
    failing = 'RUN ["python3", "-c", "raise SystemExit(\'this one is broken\')"]'
    (app / "Containerfile").write_text(f"ARG BASE\nFROM ${{BASE}}\n{failing}\n")
    place = Place(tmp_path).share_inputs(first)
    said = told(place.play(image_source_dir=str(app), image_push=False))
    assert "buildah could not build the image" in said
    assert "this one is broken" in said
    assert not list((tmp_path / "cache").rglob(".build"))


def test_a_killed_build_is_repaired_by_the_next_run(tmp_path: Path, first: Place) -> None:
    place = Place(tmp_path).share_inputs(first)
    code = f"""
from pathlib import Path
from ansible_collections.sortie.platform.plugins.module_utils._image import Registry, Request, ensure
role, local = Path("{ROOT}/roles/image/files"), Path("{tmp_path}/local")
ensure(Request("sortie", Path("{ROOT}/app"), role / "prepare_base.py", role / "tools.lock", Registry("localhost:5000"),
    Path("{place.cache}"), local / "image.json", "{sys.executable}", push=False))
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / ".local" / "collections")}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, start_new_session=True)
    # Containers are made in the storage, which is when there are mounts to be cleaned up.
    while process.poll() is None and not list(
        place.cache.glob("image/.build/storage/overlay-containers/*/userdata")
    ):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert (place.cache / "image" / ".build").exists()
    assert changed(place.play(image_push=False)) == 1
    assert place.record["digest"] == first.record["digest"]
    assert not (place.cache / "image" / ".build").exists()


def test_a_nearly_full_disk_is_told_before_anything_is_made(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.cache.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300m", "tmpfs", place.cache], check=True)
    try:
        said = told(place.play(image_push=False))
        assert "is nearly full: 300 MiB are free, a build needs 1024 MiB" in said
        assert "the last good image is as it was. Next: free some space" in said
    finally:
        subprocess.run(["umount", place.cache], check=True)


def in_registry(registry: RunningRegistry, path: str) -> bytes:
    """What the registry has of the application's repository."""
    auth = json.loads(registry.auth_file.read_text())["auths"][registry.address]["auth"]
    accepted = "application/vnd.oci.image.manifest.v1+json"
    request = urllib.request.Request(
        f"http://{registry.address}/v2/sortie/{path}",
        headers={"Authorization": f"Basic {auth}", "Accept": accepted},
    )
    with urllib.request.urlopen(request) as response:
        content: bytes = response.read()
    return content


def test_the_registry_has_the_bill_of_materials_beside_the_image(
    first: Place, registry: RunningRegistry
) -> None:
    digest = first.record["digest"]
    manifest = json.loads(in_registry(registry, f"manifests/{digest.replace(':', '-')}.sbom"))
    assert manifest["subject"]["digest"] == digest
    written = in_registry(registry, f"blobs/{manifest['layers'][0]['digest']}")
    assert written == (first.directory / "local" / "image.cdx.json").read_bytes()
    names = {component["name"] for component in json.loads(written)["components"]}
    assert {"debian", "libssl3", "python3.11-minimal", "bottle", "waitress", "sortie"} <= names


def test_two_builders_images_have_one_bill(first: Place, second: Place) -> None:
    bills = {(place.directory / "local" / "image.cdx.json").read_bytes() for place in (first, second)}
    assert len(bills) == 1


def bring_tenant(
    place: Place, registry: RunningRegistry, **variables: Any
) -> subprocess.CompletedProcess[str]:
    """Brings a tenant to a cluster that is not there: what is refused is refused before that is noticed."""
    tenant = {"sortie_kubeconfig": "/no/such/kubeconfig", "sortie_ingress_host": "acme.example.com"}
    return place.run("tenants", tenants={"hosts": {"acme": {**registry.variables(), **tenant, **variables}}})


REFUSED = "Images that are not signed as they must be; no tenant was changed: acme: sortie_image"


def test_a_tenant_with_the_image_that_was_signed_is_brought(first: Place, registry: RunningRegistry) -> None:
    done = bring_tenant(first, registry)
    assert "/no/such/kubeconfig" in told(done)
    assert re.search(r"Refuse images that are not signed as they must be.*\nok: \[acme\]", done.stdout)


def test_a_tenant_with_an_image_that_is_not_signed_is_refused(
    first: Place, registry: RunningRegistry, tmp_path: Path
) -> None:
    digest = first.record["digest"]
    options = [
        "--quiet",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
        f"--authfile={registry.auth_file}",
    ]
    source, target = f"{registry.address}/sortie@{digest}", f"{registry.address}/unsigned:1"
    subprocess.run(["skopeo", "copy", *options, f"docker://{source}", f"docker://{target}"], check=True)
    place = Place(tmp_path)
    # As image.yml would have recorded it: nothing else says that it has to be signed.
    record = {**first.record, "tag": target, "reference": f"{registry.address}/unsigned@{digest}"}
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "image.json").write_text(json.dumps(record))
    said = told(bring_tenant(place, registry))
    assert f"{REFUSED} {target}@{digest}: it has no signature" in said
    assert "/no/such/kubeconfig" not in said


def test_a_tenant_whose_image_a_stranger_signed_is_refused(
    first: Place, registry: RunningRegistry, tmp_path: Path
) -> None:
    make_key(tmp_path / "stranger.key")
    public = tmp_path / "stranger.pub"
    image = first.record["reference"]
    said = told(bring_tenant(first, registry, sortie_image=image, sortie_image_public_key=str(public)))
    assert f"{REFUSED} {image}: it is signed, but not by this key (1 other)" in said
    assert "/no/such/kubeconfig" not in said


@pytest.fixture(scope="module")
def scanner() -> Path:
    """The scanner that the role builds."""
    described = yaml.safe_load((ROOT / "roles" / "image" / "vars" / "main.yml").read_text())["_image_scanner"]
    facts = {name: described[name] for name in ("module", "version", "checksum", "package")}
    return build(Store(cache_dir()), Program("osv-scanner", **facts), find_toolchain("1.24"), "amd64").path


def advisory(name: str, ecosystem: str, package: str, mended: str, vector: str) -> dict[str, Any]:
    """An advisory as osv.dev has it: all versions before `mended` are affected."""
    events = [{"introduced": "0"}, {"fixed": mended}]
    affected = {
        "package": {"ecosystem": ecosystem, "name": package},
        "ranges": [{"type": "ECOSYSTEM", "events": events}],
    }
    return {
        "schema_version": "1.6.0",
        "id": name,
        "modified": "2025-01-01T00:00:00Z",
        "severity": [{"type": "CVSS_V3", "score": f"CVSS:3.1/{vector}"}],
        "affected": [affected],
    }


CRITICAL = "AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
LOW = "AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"
# One in what the image has of Debian and of Python each, one that is mended in it, and one that is slight.
ADVISORIES = {
    "Debian": [
        advisory("DEBIAN-CVE-2030-1", "Debian:12", "openssl", "99", CRITICAL),
        advisory("DEBIAN-CVE-2030-2", "Debian:12", "openssl", "1.0", CRITICAL),
        advisory("DEBIAN-CVE-2030-3", "Debian:13", "zlib", "99", CRITICAL),
    ],
    "PyPI": [
        advisory("PYSEC-2030-4", "PyPI", "waitress", "99", CRITICAL),
        advisory("PYSEC-2030-5", "PyPI", "bottle", "99", LOW),
    ],
}


def fill(directory: Path, *ecosystems: str) -> str:
    """A directory with databases."""
    for ecosystem in ecosystems:
        file = directory / "osv-scanner" / ecosystem / "all.zip"
        file.parent.mkdir(parents=True)
        with zipfile.ZipFile(file, "w") as archive:
            for known in ADVISORIES[ecosystem]:
                archive.writestr(f"{known['id']}.json", json.dumps(known))
    return str(directory)


@dataclass(frozen=True)
class Scanned:
    """A run with an image that is built already, into a part of the registry that has none yet."""

    place: Place
    registry: RunningRegistry
    repository: str
    scanner: Path

    def play(self, **variables: Any) -> subprocess.CompletedProcess[str]:
        target = {"image_registry": f"{self.registry.address}/{self.repository}"}
        return self.place.play(
            **self.registry.variables(image_scan_program=str(self.scanner), **{**target, **variables})
        )

    def is_pushed(self) -> bool:
        options = ["--tls-verify=false", f"--authfile={self.registry.auth_file}"]
        name = f"docker://{self.registry.address}/{self.repository}/sortie"
        done = subprocess.run(["skopeo", "list-tags", *options, name], capture_output=True, check=False)
        return done.returncode == 0

    @property
    def result(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.place.directory / "local" / "image.scan.json").read_text())
        return found


@pytest.fixture
def scanned(first: Place, registry: RunningRegistry, scanner: Path, tmp_path: Path) -> Scanned:
    place = Place(tmp_path).share_inputs(first, "image", "image-base", "image-wheels")
    return Scanned(place, registry, f"scan-{tmp_path.name.replace('_', '-')}", scanner / "osv-scanner")


def test_without_a_database_a_scan_says_so_and_a_required_one_pushes_nothing(scanned: Scanned) -> None:
    nowhere = {"image_scan_database": str(scanned.place.directory / "none")}
    said = told(scanned.play(image_scan="required", **nowhere))
    assert "The image could not be checked: no database: nothing was checked" in said
    assert not scanned.is_pushed()
    done = scanned.play(image_scan="report", **nowhere)
    assert changed(done) > 0
    assert "sortie: no database: nothing was checked; missing are Debian" in re.sub(r"\s+", " ", done.stdout)
    assert scanned.result["state"] == "no database"
    assert scanned.is_pushed()


def test_an_image_with_a_known_vulnerability_is_not_pushed_until_it_is_allowed(scanned: Scanned) -> None:
    database = fill(scanned.place.directory / "databases", "Debian", "PyPI")
    required = {"image_scan": "required", "image_scan_database": database}
    said = told(scanned.play(**required)).partition("result:")[0]
    assert "known vulnerabilities of severity high or above; it was not pushed" in said
    assert "DEBIAN-CVE-2030-1 (9.8)" in said
    assert "PYSEC-2030-4 (9.8)" in said
    assert not re.search("2030-[235]", said)
    assert not scanned.is_pushed()
    allowed = [
        {"id": name, "reason": "a test", "until": "2999-12-31"}
        for name in ("DEBIAN-CVE-2030-1", "PYSEC-2030-4")
    ]
    assert changed(scanned.play(**required, image_scan_allowed=allowed)) > 0
    assert scanned.is_pushed()
    assert [len(scanned.result[name]) for name in ("found", "below", "allowed")] == [0, 1, 2]
    assert changed(scanned.play(**required, image_scan_allowed=allowed)) == 0


def test_what_was_allowed_until_yesterday_is_an_error(scanned: Scanned) -> None:
    database = fill(scanned.place.directory / "databases", "Debian", "PyPI")
    entry = {"id": "PYSEC-2030-4", "reason": "a test", "until": "2020-01-01"}
    said = told(scanned.play(image_scan="report", image_scan_database=database, image_scan_allowed=[entry]))
    assert "entry 1 (PYSEC-2030-4): it was allowed until 2020-01-01, which is over: look at it again" in said
    assert not scanned.is_pushed()
