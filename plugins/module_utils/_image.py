# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Brings the application's image to the state that its sources describe: built, in the registry with its bill of materials
and its signature, recorded.

The cache has one entry for the wheels of each lock file, one for each base, one for each image and one for its bill, named by
the hash of what they were made from; what is there is not made again.
"""

from __future__ import annotations

import ast
import contextlib
import errno
import fcntl
import json
import platform
import re
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.sortie.platform.plugins.module_utils import (
    _image_base,
    _image_build,
    _image_pack,
    _image_signature,
    _image_wheels,
    _sbom,
)
from ansible_collections.sortie.platform.plugins.module_utils._image_base import Base
from ansible_collections.sortie.platform.plugins.module_utils._image_registry import Registry
from ansible_collections.sortie.platform.plugins.module_utils._image_run import (
    EPOCH,
    ImageError,
    disk_full,
    progress,
    require_space,
    require_tool,
)
from ansible_collections.sortie.platform.plugins.module_utils._image_signature import SigningKey
from ansible_collections.sortie.platform.plugins.module_utils._oci import (
    Blob,
    blob_path,
    manifests_of,
    read_manifest,
    write_artifact,
)
from ansible_collections.sortie.platform.plugins.module_utils._store import (
    Store,
    StoreError,
    file_sha256,
    key_of,
)

KIND, BASE_KIND, WHEEL_KIND, BILL_KIND = "image", "image-base", "image-wheels", "image-sbom"
KEPT_ENTRIES = 5
TAG_HASH_LENGTH = 12
LOCK = "requirements.lock"
BILL_SUFFIX = ".cdx.json"
NO_CONFIG = Blob("application/vnd.oci.empty.v1+json", b"{}")
REFERENCE = re.compile(r"(?:[\w.-]+|\[[0-9a-fA-F:]+\])(?::\d+)?(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)+", re.ASCII)
NOT_IN_A_TAG = re.compile(r"[^\w.-]", re.ASCII)


@dataclass(frozen=True)
class Request:
    """What is wanted.

    `base` is an image's name, or empty for the Debian base that `prepare` finishes; `tools` the lock file of
    pip and setuptools; `record` the file that holds the result; `python` an interpreter that has pip.
    `signing_key` is the file of the private key, None for no signature; it is made if `make_signing_key`.
    """

    name: str
    source: Path
    prepare: Path
    tools: Path
    registry: Registry
    cache: Path
    record: Path
    python: str
    builder: str = "buildah"
    base: str = ""
    refresh_base: bool = False
    push: bool = True
    version: str = ""
    signing_key: Path | None = None
    signing_key_password: str = ""
    make_signing_key: bool = False

    @property
    def repository(self) -> str:
        return f"{self.registry.address}/{self.name}"


@dataclass
class Outcome:
    """What was done, or in check mode would be: `done` in words, `image` as it is recorded."""

    done: list[str] = field(default_factory=list)
    image: dict[str, str] = field(default_factory=dict)


def ensure(request: Request, check: bool = False) -> Outcome:
    """Builds, pushes and records what is not done yet. With `check` it only finds out what that would be."""
    outcome = Outcome()
    _check(request)
    try:
        key_pair = _signing_key(request, check) if request.push else None
        found = _find(request) if check else _provide(request, outcome)
        if found is None:
            pushed = ["pushed"] if request.push else []
            signed = ["signed"] if request.push and request.signing_key else []
            outcome.done = ["built", *pushed, "described", *signed, "recorded"]
            outcome.image = read_record(request.record)
            return outcome
        key, layout = found
        digest = str(manifests_of(layout)[_image_pack.NAME]["digest"])
        version = request.version or read_version(request.source)
        tag = f"{NOT_IN_A_TAG.sub('-', version)}-{key[:TAG_HASH_LENGTH]}"
        if request.push and _is_missing(request, tag, digest, check):
            if not check:
                request.registry.push(layout, request.name, tag)
            outcome.done.append("pushed")
        if _describe(request, layout, digest, check):
            outcome.done.append("described")
        if request.push and request.signing_key and _sign(request, digest, key_pair, check):
            outcome.done.append("signed")
    except StoreError as error:
        raise ImageError(str(error), "mend that, then run this again") from error
    except OSError as error:
        where = error.filename or request.cache
        if error.errno == errno.ENOSPC:
            raise disk_full(f"There is no space left for {where}") from error
        raise ImageError(f"{where}: {error.strerror}", "mend that, then run this again") from error
    outcome.image = {
        "reference": f"{request.repository}@{digest}",
        "tag": f"{request.repository}:{tag}",
        "digest": digest,
        **({"public_key": key_pair.public.pem} if key_pair else {}),
    }
    if read_record(request.record) != outcome.image:
        if not check:
            write_record(request.record, outcome.image)
        outcome.done.append("recorded")
    return outcome


def _check(request: Request) -> None:
    """Raises ImageError for names that no registry takes, and for sources that are not there."""
    if not REFERENCE.fullmatch(request.repository):
        raise ImageError(
            f"{request.repository} is no name of an image: expected host[:port]/path/name, without a scheme",
            "mend image_registry or image_name",
        )
    for file in ("Containerfile", "pyproject.toml", LOCK):
        if not (request.source / file).is_file():
            raise ImageError(
                f"{request.source} is not the application's directory: it has no {file}",
                "mend image_source_dir",
            )


def read_version(source: Path) -> str:
    """The application's version from its pyproject.toml, which may name a variable in one of its modules."""
    path = source / "pyproject.toml"
    try:
        settings = tomllib.loads(path.read_text())
        if version := settings["project"].get("version"):
            return str(version)
        module, _, variable = settings["tool"]["setuptools"]["dynamic"]["version"]["attr"].rpartition(".")
        where = settings["tool"]["setuptools"].get("packages", {}).get("find", {}).get("where", ["."])[0]
        path = source / where / f"{module.replace('.', '/')}.py"
        for statement in ast.parse(path.read_text()).body:
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=value)) if (
                    name == variable
                ):
                    return str(value)
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=value)) if (
                    name == variable
                ):
                    return str(value)
    except (OSError, ValueError, KeyError) as error:
        raise ImageError(
            f"{path} does not tell the application's version: {error!r}", "set image_version"
        ) from error
    raise ImageError(f"{path} has no constant {variable}", "set image_version")


def read_record(path: Path) -> dict[str, str]:
    """The recorded result; empty if there is none that can be read."""
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def write_record(path: Path, image: dict[str, str]) -> None:
    write_whole(path, f"{json.dumps(image, indent=2, sort_keys=True)}\n".encode())


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)


def image_key(request: Request, base_digest: str) -> str:
    """The hash of everything that goes into the image."""
    sources = _image_build.read_sources(request.source)
    hashes = {name: file_sha256(request.source / name) for name in sources.paths}
    version = request.version or read_version(request.source)
    return key_of([hashes, file_sha256(request.tools), base_digest, version, EPOCH])


def _find(request: Request) -> tuple[str, Path] | None:
    """The image's key and layout, if it is there."""
    store = Store(request.cache)
    base_path = store.find(BASE_KIND, *_base_name(request))
    if base_path is None:
        return None
    key = image_key(request, _image_base.read_base(base_path).digest)
    layout = store.find(KIND, request.name, key)
    return (key, layout) if layout else None


def _provide(request: Request, outcome: Outcome) -> tuple[str, Path]:
    """The image's key and layout, built if it is not there."""
    if not request.refresh_base and (found := _find(request)):
        return found
    require_tool(request.builder, "builds the image")
    store = Store(request.cache)
    with _scratch(request.cache / KIND) as scratch:
        require_space(scratch)
        base = _provide_base(request, store, scratch)
        key = image_key(request, base.digest)

        def make(place: Path) -> None:
            wheels = _provide_wheels(request, store, base, request.source / LOCK)
            tools = _provide_wheels(request, store, base, request.tools)
            context = scratch / "context"
            _image_build.make_context(context, _image_build.read_sources(request.source), wheels, tools)
            version = request.version or read_version(request.source)
            _image_build.build(request.builder, context, base, version, place)

        entry = store.get(KIND, request.name, key, make)
    if entry.made:
        outcome.done.append("built")
        _forget_old(entry.path, request.name)
    return key, entry.path


def _base_name(request: Request) -> tuple[str, str]:
    """The base's name and key in the cache."""
    return "pulled" if request.base else "debian", _image_base.base_key(request.base, request.prepare)


def _provide_base(request: Request, store: Store, scratch: Path) -> Base:
    def make(place: Path) -> None:
        if request.base:
            registry = request.registry
            same = request.base.partition("/")[0] == registry.host
            options = Registry(registry.host, registry.auth_file, registry.tls_verify or not same)
            _image_base.pull_base(place, request.base, options.skopeo_options("src"))
        else:
            _image_base.make_debian(place, scratch, request.prepare)

    name, key = _base_name(request)
    if request.refresh_base and (old := store.find(BASE_KIND, name, key)):
        fresh = scratch / "fresh"
        fresh.mkdir()
        make(fresh)
        if _image_base.read_base(fresh).digest != _image_base.read_base(old).digest:
            shutil.rmtree(old)
            store.get(BASE_KIND, name, key, lambda place: _copy(fresh, place))
        shutil.rmtree(fresh)
    return _image_base.read_base(store.get(BASE_KIND, name, key, make).path)


def _provide_wheels(request: Request, store: Store, base: Base, lock: Path) -> Path:
    key = key_of([file_sha256(lock), base.python, platform.machine()])

    def make(place: Path) -> None:
        _image_wheels.download(request.python, base.python, lock, place)

    return store.get(WHEEL_KIND, lock.stem, key, make).path


def _forget_old(newest: Path, name: str) -> None:
    """Keeps the last few images; each change of the sources adds one."""
    entries = [path for path in newest.parent.glob(f"{name}-*") if path.name.rpartition("-")[0] == name]
    for path in sorted(entries, key=lambda path: path.stat().st_mtime)[:-KEPT_ENTRIES]:
        if path != newest:
            shutil.rmtree(path)


def _is_missing(request: Request, tag: str, digest: str, check: bool) -> bool:
    try:
        return request.registry.digest_of(request.name, tag) != digest
    except ImageError:
        # In check mode the registry may be one that the run itself would set up.
        if check:
            return True
        raise


def _describe(request: Request, layout: Path, digest: str, check: bool) -> bool:
    """Brings the image's bill of materials beside the record and into the registry; tells whether it was not there."""
    key, image = key_of([_sbom.EDITION, digest]), manifests_of(layout)[_image_pack.NAME]

    def make(place: Path) -> None:
        progress("describing what is in the image")
        bill = Blob(_sbom.MEDIA_TYPE, _sbom.describe(layout, _image_pack.NAME, request.name))
        # In a registry that knows OCI 1.1 it is found by its subject, in any by its tag.
        subject = {name: image[name] for name in ("mediaType", "digest", "size")}
        fields = {"artifactType": _sbom.MEDIA_TYPE, "subject": subject}
        write_artifact(place, _image_pack.NAME, NO_CONFIG, [bill], fields)

    store = Store(request.cache)
    found = store.find(BILL_KIND, request.name, key)
    if found is None:
        if check:
            return True
        found = store.get(BILL_KIND, request.name, key, make).path
        _forget_old(found, request.name)
    content = blob_path(found, read_manifest(found, _image_pack.NAME)["layers"][0]).read_bytes()
    target = request.record.with_suffix(BILL_SUFFIX)
    is_written = target.is_file() and target.read_bytes() == content
    tag = _image_signature.tag_of(digest, "sbom")
    artifact = str(manifests_of(found)[_image_pack.NAME]["digest"])
    is_pushed = not request.push or not _is_missing(request, tag, artifact, check)
    if not is_written and not check:
        write_whole(target, content)
    if not is_pushed and not check:
        request.registry.push(found, request.name, tag)
    return not (is_written and is_pushed)


def _signing_key(request: Request, check: bool) -> SigningKey | None:
    """The key that signs; none if nothing is signed, and in check mode if it would be made."""
    path = request.signing_key
    if path is None:
        return None
    if request.make_signing_key and not path.exists():
        if check:
            return None
        _image_signature.make_key(path)
    return _image_signature.read_key(path, request.signing_key_password)


def _sign(request: Request, digest: str, key: SigningKey | None, check: bool) -> bool:
    """Signs the image if this key has not; tells whether it had not."""
    try:
        there = _image_signature.find_signatures(request.registry, request.name, digest)
    except ImageError:
        if not check:
            raise
        there = []
    if key and any(signature.is_of(digest, key.public) for signature in there):
        return False
    if key and not check:
        # Those of others stay.
        signatures = [*there, _image_signature.sign(request.repository, digest, key)]
        with tempfile.TemporaryDirectory(prefix="sortie-signature-") as scratch:
            _image_signature.write_signatures(Path(scratch), signatures)
            request.registry.push(Path(scratch), request.name, _image_signature.tag_of(digest, "sig"))
    return True


@contextlib.contextmanager
def _scratch(directory: Path) -> Iterator[Path]:
    """A directory on the cache's file system, for one build at a time; removes what a killed one left."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".build.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another build on this machine")
            fcntl.flock(lock, fcntl.LOCK_EX)
        scratch = directory / ".build"
        _remove(scratch)
        scratch.mkdir()
        try:
            yield scratch
        finally:
            _remove(scratch)


def _remove(scratch: Path) -> None:
    """Removes a directory in which a killed build may have left mounts."""
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for mount in sorted((name for name in mounts if name.startswith(f"{scratch}/")), reverse=True):
        subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
    if scratch.exists():
        shutil.rmtree(scratch)


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, dirs_exist_ok=True)
