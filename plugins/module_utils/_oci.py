# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Assembles container images from files, without a builder: an OCI image layout as the image specification describes it.

The same inputs give the same digests: times, owners and order in the layers are fixed. Layers are not compressed, and
one that several images have is there once.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
LAYOUT = {"imageLayoutVersion": "1.0.0"}
REFERENCE = "org.opencontainers.image.ref.name"
CONTAINERD_NAME = "io.containerd.image.name"


@dataclass(frozen=True)
class Layer:
    """Files by their path in the image, symbolic links by theirs, or a tar file, of which `only` names the parts to take."""

    files: Mapping[str, Path] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    directories: Sequence[str] = ()
    tar: Path | None = None
    only: Sequence[str] = ()


@dataclass(frozen=True)
class Image:
    """An image by its full name, what is in it, and how it starts. `config` has the keys of the image specification."""

    name: str
    layers: Sequence[Layer]
    config: Mapping[str, Any] = field(default_factory=dict)


def _add(archive: tarfile.TarFile, member: tarfile.TarInfo, content: IO[bytes] | None = None) -> None:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = 0
    archive.addfile(member, content)


def _directory(path: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(path)
    member.type, member.mode = tarfile.DIRTYPE, 0o755
    return member


def _write_layer(layer: Layer, output: IO[bytes]) -> None:
    with tarfile.open(fileobj=output, mode="w", format=tarfile.GNU_FORMAT) as archive:
        if layer.tar:
            _copy_members(layer.tar, layer, archive)
            return
        parents = {
            str(parent)
            for path in [*layer.files, *layer.links, *(f"{path}/." for path in layer.directories)]
            for parent in Path(path).parents
            if str(parent) != "."
        }
        for path in sorted(parents | set(layer.directories)):
            _add(archive, _directory(path))
        for path, source in sorted(layer.files.items()):
            member = tarfile.TarInfo(path)
            member.size, member.mode = source.stat().st_size, 0o755
            with source.open("rb") as content:
                _add(archive, member, content)
        for path, target in sorted(layer.links.items()):
            member = tarfile.TarInfo(path)
            member.type, member.linkname, member.mode = tarfile.SYMTYPE, target, 0o777
            _add(archive, member)


def _copy_members(tar: Path, layer: Layer, archive: tarfile.TarFile) -> None:
    with tarfile.open(tar) as source:
        for member in source:
            path = member.name.removeprefix("./").strip("/")
            if path in ("", ".") or member.isdev() or (layer.only and not _is_wanted(path, layer.only)):
                continue
            member.name, member.pax_headers = path, {}
            if member.islnk():
                member.linkname = member.linkname.removeprefix("./")
            _add(archive, member, source.extractfile(member) if member.isreg() else None)


def _is_wanted(path: str, wanted: Sequence[str]) -> bool:
    """Whether a path is wanted, below something wanted, or a directory above it."""
    return any(
        path == entry or path.startswith(f"{entry}/") or entry.startswith(f"{path}/") for entry in wanted
    )


class _Hashing(io.RawIOBase):
    """Hashes and counts what passes on its way into a file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._digest.update(data)
        self.size += len(data)
        return self._file.write(data)

    def tell(self) -> int:
        return self.size

    @property
    def digest(self) -> str:
        return f"sha256:{self._digest.hexdigest()}"


class Layout:
    """An OCI image layout in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.blobs = directory / "blobs" / "sha256"
        self.blobs.mkdir(parents=True, exist_ok=True)
        self._layers: dict[str, tuple[str, int]] = {}
        self._manifests: list[dict[str, Any]] = []

    def _put(self, content: bytes) -> tuple[str, int]:
        digest = hashlib.sha256(content).hexdigest()
        (self.blobs / digest).write_bytes(content)
        return f"sha256:{digest}", len(content)

    def _put_layer(self, layer: Layer) -> tuple[str, int]:
        known = repr(layer)
        if known not in self._layers:
            partial = self.blobs / "partial"
            with partial.open("wb") as file:
                hashing = _Hashing(file)
                _write_layer(layer, hashing)  # type: ignore[arg-type]
            partial.rename(self.blobs / hashing.digest.removeprefix("sha256:"))
            self._layers[known] = (hashing.digest, hashing.size)
        return self._layers[known]

    def add(self, image: Image, arch: str) -> str:
        """Adds an image and returns its digest."""
        layers = [self._put_layer(layer) for layer in image.layers]
        config, size = self._put(
            _json(
                {
                    "architecture": arch,
                    "os": "linux",
                    "config": dict(image.config),
                    "rootfs": {"type": "layers", "diff_ids": [digest for digest, _size in layers]},
                    "history": [
                        {"created": "1970-01-01T00:00:00Z", "created_by": "sortie.platform"}
                        for _layer in layers
                    ],
                }
            )
        )
        manifest, manifest_size = self._put(
            _json(
                {
                    "schemaVersion": 2,
                    "mediaType": MANIFEST_TYPE,
                    "config": {"mediaType": CONFIG_TYPE, "digest": config, "size": size},
                    "layers": [
                        {"mediaType": LAYER_TYPE, "digest": digest, "size": length}
                        for digest, length in layers
                    ],
                }
            )
        )
        self._manifests.append(
            {
                "mediaType": MANIFEST_TYPE,
                "digest": manifest,
                "size": manifest_size,
                "annotations": {REFERENCE: image.name, CONTAINERD_NAME: image.name},
            }
        )
        return manifest

    def finish(self) -> None:
        (self.directory / "oci-layout").write_bytes(_json(LAYOUT))
        (self.directory / "index.json").write_bytes(_index(self._manifests))


@dataclass(frozen=True)
class Blob:
    """Content of an artifact: what is kept in a registry beside an image and is none."""

    media_type: str
    content: bytes
    annotations: Mapping[str, str] = field(default_factory=dict)

    def descriptor(self) -> dict[str, Any]:
        digest = hashlib.sha256(self.content).hexdigest()
        described = {
            "mediaType": self.media_type,
            "digest": f"sha256:{digest}",
            "size": len(self.content),
        }
        return {**described, **({"annotations": dict(self.annotations)} if self.annotations else {})}


def write_artifact(
    place: Path, name: str, config: Blob, blobs: Sequence[Blob], further: Mapping[str, Any]
) -> str:
    """Writes the layout of an artifact and returns its digest. `further` are fields of its manifest."""
    content = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": config.descriptor(),
        "layers": [blob.descriptor() for blob in blobs],
        **further,
    }
    manifest = Blob(MANIFEST_TYPE, _json(content))
    directory = place / "blobs" / "sha256"
    directory.mkdir(parents=True, exist_ok=True)
    for blob in (config, *blobs, manifest):
        blob_path(place, blob.descriptor()).write_bytes(blob.content)
    named = {**manifest.descriptor(), "annotations": {REFERENCE: name}}
    (place / "oci-layout").write_bytes(_json(LAYOUT))
    (place / "index.json").write_bytes(_index([named]))
    return str(named["digest"])


def blob_path(layout: Path, descriptor: Mapping[str, Any]) -> Path:
    """Where a layout has what a descriptor describes."""
    return layout / "blobs" / "sha256" / str(descriptor["digest"]).removeprefix("sha256:")


def read_manifest(layout: Path, name: str) -> dict[str, Any]:
    """The manifest of one of a layout's images."""
    manifest: dict[str, Any] = json.loads(blob_path(layout, manifests_of(layout)[name]).read_text())
    return manifest


def _json(content: Any) -> bytes:
    return json.dumps(content, separators=(",", ":"), sort_keys=True).encode()


def _index(manifests: Sequence[Mapping[str, Any]]) -> bytes:
    return _json({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": list(manifests)})


def manifests_of(layout: Path) -> dict[str, dict[str, Any]]:
    """The images of a layout, by name: their descriptors."""
    index = json.loads((layout / "index.json").read_text())
    return {manifest["annotations"][REFERENCE]: manifest for manifest in index["manifests"]}


def _digests(layout: Path, descriptor: Mapping[str, Any]) -> Iterator[str]:
    digest = descriptor["digest"].removeprefix("sha256:")
    yield digest
    manifest = json.loads((layout / "blobs" / "sha256" / digest).read_text())
    for part in [manifest.get("config"), *manifest.get("layers", []), *manifest.get("manifests", [])]:
        if part:
            yield part["digest"].removeprefix("sha256:")


def write_archive(layout: Path, names: Sequence[str], archive: Path) -> None:
    """Some images of a layout as one tar file, as `ctr images import` takes it."""
    descriptors = [
        {**manifest, "annotations": {**manifest["annotations"], CONTAINERD_NAME: name}}
        for name, manifest in manifests_of(layout).items()
        if name in names
    ]
    wanted = sorted({digest for descriptor in descriptors for digest in _digests(layout, descriptor)})
    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as output:
        for name, content in (("oci-layout", _json(LAYOUT)), ("index.json", _index(descriptors))):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            _add(output, member, io.BytesIO(content))
        for digest in wanted:
            source = layout / "blobs" / "sha256" / digest
            member = tarfile.TarInfo(f"blobs/sha256/{digest}")
            member.size, member.mode = source.stat().st_size, 0o644
            with source.open("rb") as blob:
                _add(output, member, blob)
