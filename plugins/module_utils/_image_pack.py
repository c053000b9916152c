# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Packs what a builder made into an OCI image layout that depends on its content alone.

Builders put times, their own version, paths of this machine and an order of their own into an image. Here the
files that were added to the base become one layer, sorted and with one time, above the base's layers, under
a configuration that has only what a container needs. So each builder, on any day, gives the same digest.
"""

from __future__ import annotations

import datetime
import gzip
import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from ansible_collections.sortie.platform.plugins.module_utils._image_run import EPOCH, ImageError

NAME = "image"
GZIP_LEVEL = 6
CREATED = datetime.datetime.fromtimestamp(EPOCH, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
CONFIG_KEYS = (
    "Cmd",
    "Entrypoint",
    "Env",
    "ExposedPorts",
    "Labels",
    "StopSignal",
    "User",
    "Volumes",
    "WorkingDir",
)
BUILDER_LABEL = "io.buildah.version"
OCI = "application/vnd.oci.image"

Descriptor = dict[str, Any]


def pack(archive: Path, base: Path, place: Path) -> str:
    """Writes the image of a `docker save` archive into the layout `place` and returns its digest.

    `base` is the layout of the image that it was built from.
    """
    blobs = place / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    base_layers, base_ids = _base_layers(base)
    with tarfile.open(archive) as saved:
        described = json.load(_member(saved, "manifest.json"))[0]
        config = json.load(_member(saved, described["Config"]))
        if config["rootfs"]["diff_ids"][: len(base_ids)] != base_ids:
            raise ImageError(
                "The built image does not stand on its base", "run this again; if it stays so, report it"
            )
        with ExitStack() as stack:
            above = [
                stack.enter_context(tarfile.open(fileobj=_member(saved, name)))
                for name in described["Layers"][len(base_ids) :]
            ]
            with _writing(blobs) as output:
                _merge(above, output)
            added = output.descriptor()
    layers = [_take_layer(layer, base, blobs) for layer in base_layers] + [added]
    config_blob = _put(
        blobs,
        f"{OCI}.config.v1+json",
        {
            "architecture": config["architecture"],
            "os": config["os"],
            "created": CREATED,
            "config": _container_config(config["config"]),
            "rootfs": {"type": "layers", "diff_ids": [*base_ids, output.content_digest]},
            "history": [
                {"created": CREATED, "created_by": f"{part} (sortie.platform)"} for part in _parts(layers)
            ],
        },
    )
    manifest_type = f"{OCI}.manifest.v1+json"
    content = {"schemaVersion": 2, "mediaType": manifest_type, "config": config_blob, "layers": layers}
    manifest = _put(blobs, manifest_type, content)
    named = manifest | {"annotations": {"org.opencontainers.image.ref.name": NAME}}
    (place / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
    (place / "index.json").write_bytes(_json({"schemaVersion": 2, "manifests": [named]}))
    return str(manifest["digest"])


def _parts(layers: list[Descriptor]) -> list[str]:
    return ["base"] * (len(layers) - 1) + ["application"]


def _container_config(config: dict[str, Any]) -> dict[str, Any]:
    labels = {name: value for name, value in (config.get("Labels") or {}).items() if name != BUILDER_LABEL}
    return {key: value for key in CONFIG_KEYS if (value := (config | {"Labels": labels}).get(key))}


def _base_layers(base: Path) -> tuple[list[Descriptor], list[str]]:
    """The base's layers and the digests of their uncompressed content."""
    index = json.loads((base / "index.json").read_text())
    manifest = json.loads(_blob(base, index["manifests"][0]).read_text())
    config = json.loads(_blob(base, manifest["config"]).read_text())
    return manifest["layers"], config["rootfs"]["diff_ids"]


def _take_layer(layer: Descriptor, base: Path, blobs: Path) -> Descriptor:
    """A layer of the base, compressed if it is not."""
    source = _blob(base, layer)
    if not layer["mediaType"].endswith(".tar"):
        shutil.copyfile(source, blobs / source.name)
        return {"mediaType": f"{OCI}.layer.v1.tar+gzip", "digest": layer["digest"], "size": layer["size"]}
    with _writing(blobs) as output, source.open("rb") as content:
        shutil.copyfileobj(content, output, 1 << 20)
    return output.descriptor()


def _merge(layers: list[tarfile.TarFile], output: _LayerWriter) -> None:
    """Writes several layers as one: of a path that several have, the last one's."""
    found: dict[str, tuple[tarfile.TarFile, tarfile.TarInfo]] = {}
    for layer in layers:
        for member in layer:
            name = member.name.removeprefix("./").rstrip("/")
            if Path(name).name.startswith(".wh."):
                raise ImageError(
                    f"The Containerfile's last stage removes {name}", "leave it out of what is copied"
                )
            if name:
                found[name] = (layer, member)
    with tarfile.open(fileobj=output, mode="w|", format=tarfile.PAX_FORMAT) as merged:
        # A hard link comes after the file that it names.
        for name in sorted(found, key=lambda name: (found[name][1].islnk(), name)):
            layer, member = found[name]
            member.name, member.mtime, member.pax_headers = name, EPOCH, {}
            member.uname = member.gname = ""
            merged.addfile(member, layer.extractfile(member) if member.isreg() else None)


class _LayerWriter(io.BufferedIOBase):
    """Compresses a layer into a file, and hashes it before and after."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._before, self._after = hashlib.sha256(), hashlib.sha256()
        self._size = 0
        self._zip = gzip.GzipFile(
            filename="", mode="wb", compresslevel=GZIP_LEVEL, fileobj=_Tee(self), mtime=0
        )

    def write(self, data: Any) -> int:
        self._before.update(data)
        return self._zip.write(data)

    def write_compressed(self, data: bytes) -> int:
        self._after.update(data)
        self._size += len(data)
        return self._file.write(data)

    def finish(self) -> None:
        self._zip.close()

    @property
    def content_digest(self) -> str:
        """The digest of the uncompressed layer."""
        return f"sha256:{self._before.hexdigest()}"

    def descriptor(self) -> Descriptor:
        return {
            "mediaType": f"{OCI}.layer.v1.tar+gzip",
            "digest": f"sha256:{self._after.hexdigest()}",
            "size": self._size,
        }


class _Tee:
    """The file that gzip writes to."""

    def __init__(self, writer: _LayerWriter) -> None:
        self._writer = writer

    def write(self, data: bytes) -> int:
        return self._writer.write_compressed(data)

    def flush(self) -> None:
        """The file below is flushed when it is closed."""


@contextmanager
def _writing(blobs: Path) -> Iterator[_LayerWriter]:
    """A layer that gets its name when it is written."""
    partial = blobs / "partial"
    with partial.open("wb") as file:
        writer = _LayerWriter(file)
        yield writer
        writer.finish()
    partial.rename(blobs / writer.descriptor()["digest"].removeprefix("sha256:"))


def _put(blobs: Path, media_type: str, content: dict[str, Any]) -> Descriptor:
    written = _json(content)
    digest = hashlib.sha256(written).hexdigest()
    (blobs / digest).write_bytes(written)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(written)}


def _blob(layout: Path, descriptor: Descriptor) -> Path:
    return layout / "blobs" / "sha256" / str(descriptor["digest"]).removeprefix("sha256:")


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    file = archive.extractfile(name)
    if file is None:
        raise ImageError(
            f"The builder's archive has no file {name}", "run this again; if it stays so, report it"
        )
    return file


def _json(content: Any) -> bytes:
    return json.dumps(content, separators=(",", ":"), sort_keys=True).encode()
