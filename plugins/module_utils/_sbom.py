# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Says what is in an image: a software bill of materials in CycloneDX's JSON, made from the image's layers alone.

Debian packages are read from dpkg's records, Python packages from their `*.dist-info`, Go modules from the build
information that Go's linker leaves in programs. The same image gives the same bill, byte for byte.
"""

from __future__ import annotations

import json
import re
import tarfile
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ansible_collections.sortie.platform.plugins.module_utils._go_build import MAGIC, read_modules
from ansible_collections.sortie.platform.plugins.module_utils._oci import blob_path, read_manifest

MEDIA_TYPE = "application/vnd.cyclonedx+json"
# Counts up when the same image would be described in another way than before.
EDITION = 1
OS_RELEASE = ("etc/os-release", "usr/lib/os-release")
DPKG = re.compile(r"var/lib/dpkg/(status|status\.d/[^/]+)")
PYTHON = re.compile(r"(^|.*/)[^/]+\.dist-info/METADATA")
WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
ELF = b"\x7fELF"


@dataclass(frozen=True)
class Package:
    """A package by its purl, and the file that says that it is there."""

    purl: str
    name: str
    version: str
    path: str


def describe(layout: Path, image: str, name: str) -> bytes:
    """The bill of `image`, one of a layout's; it is called `name` in there."""
    manifest = read_manifest(layout, image)
    digest = json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]
    files = _relevant(layout, manifest["layers"])
    system = _os_release(files)
    packages = [package for path in sorted(files) for package in _packages(path, files[path], system)]
    return _bill(name, digest, system, packages)


def _relevant(layout: Path, layers: list[dict[str, Any]]) -> dict[str, bytes]:
    """The content of those files that say what is in the image, as a container would see them."""
    found: dict[str, bytes] = {}
    for layer in layers:
        with tarfile.open(blob_path(layout, layer)) as archive:
            for member in archive:
                path = member.name.removeprefix("./")
                parent, _, last = path.rpartition("/")
                if last.startswith(WHITEOUT):
                    gone = parent if last == OPAQUE else f"{parent}/{last.removeprefix(WHITEOUT)}".lstrip("/")
                    found = {
                        name: content
                        for name, content in found.items()
                        if name != gone and not name.startswith(f"{gone}/")
                    }
                elif member.isreg():
                    found.pop(path, None)
                    if content := _read(archive, member, path):
                        found[path] = content
    return found


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> bytes:
    """The content of a file that says what is in the image; empty of all others."""
    is_record = path in OS_RELEASE or DPKG.fullmatch(path) or PYTHON.fullmatch(path)
    file = archive.extractfile(member) if is_record or member.mode & 0o111 else None
    if file is None:
        return b""
    content = file.read()
    return content if is_record or (content.startswith(ELF) and MAGIC in content) else b""


def _os_release(files: Mapping[str, bytes]) -> dict[str, str]:
    text = next((files[path].decode() for path in OS_RELEASE if path in files), "")
    return {key: value.strip("\"'") for key, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE)}


def _packages(path: str, content: bytes, system: Mapping[str, str]) -> Iterator[Package]:
    if DPKG.fullmatch(path):
        for record in re.split(rb"\n\s*\n", content.strip()):
            yield from _debian(path, record, system)
    elif PYTHON.fullmatch(path):
        told = BytesHeaderParser().parsebytes(content)
        name, version = str(told["Name"]), str(told["Version"])
        normal = re.sub(r"[-_.]+", "-", name).lower()
        yield Package(f"pkg:pypi/{normal}@{quote(version)}", name, version, path)
    elif content.startswith(ELF):
        for module, version in read_modules(content):
            yield Package(f"pkg:golang/{quote(module)}@{quote(version)}", module, version, path)


def _debian(path: str, record: bytes, system: Mapping[str, str]) -> Iterator[Package]:
    fields = BytesHeaderParser().parsebytes(record)
    # Of dpkg's own list, what was removed but for its settings is not there.
    if "Package" not in fields or not str(fields.get("Status", "install ok installed")).endswith(
        " installed"
    ):
        return
    name, version = str(fields["Package"]), str(fields["Version"])
    qualifiers = {"arch": str(fields["Architecture"])}
    if system.get("VERSION_ID"):
        qualifiers["distro"] = f"{system['ID']}-{system['VERSION_ID']}"
    # Advisories name the source package.
    source, _, source_version = str(fields.get("Source", "")).partition(" ")
    if source:
        built_from = source_version.strip("()")
        qualifiers["upstream"] = f"{source}@{built_from}" if built_from else source
    query = "&".join(f"{key}={quote(value, safe='')}" for key, value in sorted(qualifiers.items()))
    purl = f"pkg:deb/{system.get('ID', 'debian')}/{quote(name)}@{quote(version)}?{query}"
    yield Package(purl, name, version, path)


def _bill(name: str, digest: str, system: Mapping[str, str], packages: list[Package]) -> bytes:
    places: dict[str, list[str]] = {}
    for package in packages:
        places.setdefault(package.purl, []).append(package.path)
    named = {package.purl: package for package in packages}
    components: list[dict[str, Any]] = [
        {
            "type": "library",
            "bom-ref": purl,
            "name": named[purl].name,
            "version": named[purl].version,
            "purl": purl,
            "evidence": {"occurrences": [{"location": f"/{path}"} for path in places[purl]]},
        }
        for purl in sorted(named)
    ]
    if system:
        version = {"version": system["VERSION_ID"]} if "VERSION_ID" in system else {}
        components.insert(
            0, {"type": "operating-system", "bom-ref": "system", "name": system.get("ID", "linux"), **version}
        )
    root = f"pkg:oci/{quote(name)}@{quote(digest, safe='')}"
    content = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, root)}",
        "version": EDITION,
        "metadata": {
            "tools": {"components": [{"type": "application", "name": "sortie.platform"}]},
            "component": {
                "type": "container",
                "bom-ref": root,
                "name": name,
                "version": digest,
                "purl": root,
                "hashes": [{"alg": "SHA-256", "content": digest.removeprefix("sha256:")}],
            },
        },
        "components": components,
        "dependencies": [{"ref": root, "dependsOn": [component["bom-ref"] for component in components]}],
    }
    return f"{json.dumps(content, indent=1)}\n".encode()
