# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""What the image stands on: a small Debian with Python and nothing else, or any image that a registry has.

Either is kept as an OCI image layout whose only image is called `base`.
"""

from __future__ import annotations

import json
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.sortie.platform.plugins.module_utils._image_run import (
    EPOCH,
    CommandError,
    ImageError,
    progress,
    require_tool,
    run,
)
from ansible_collections.sortie.platform.plugins.module_utils._oci import Image, Layer, Layout, manifests_of
from ansible_collections.sortie.platform.plugins.module_utils._store import key_of

SUITE = "bookworm"
SUITES = (SUITE, f"{SUITE}-updates", f"{SUITE}-security")
PYTHON = "3.11"
PACKAGES = (
    "base-files",
    "ca-certificates",
    "libgcc-s1",
    f"libpython{PYTHON}-stdlib",
    "libstdc++6",
    "media-types",
    "netbase",
    f"python{PYTHON}-minimal",
    "tzdata",
)
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
NAME = "base"


@dataclass(frozen=True)
class Base:
    """A base that is there: its layout's directory, its digest, and the Python in it (for example 3.11)."""

    path: Path
    digest: str
    python: str


def read_base(path: Path) -> Base:
    """Reads what a base's layout says about itself."""
    blobs = path / "blobs" / "sha256"
    digest = str(manifests_of(path)[NAME]["digest"])
    manifest = json.loads((blobs / digest.removeprefix("sha256:")).read_text())
    config = json.loads((blobs / manifest["config"]["digest"].removeprefix("sha256:")).read_text())
    # The official Python images tell their version this way.
    told = re.findall(
        r"^PYTHON_VERSION=(\d+\.\d+)", "\n".join(config["config"].get("Env") or []), re.MULTILINE
    )
    return Base(path, digest, told[0] if told else PYTHON)


def base_key(reference: str, prepare: Path) -> str:
    """What decides that a base is made anew: the recipe of the Debian base, or the name of another one."""
    if reference:
        return key_of(["pulled", reference, platform.machine()])
    return key_of(
        ["debian", PACKAGES, SUITE, EPOCH, prepare.read_text(), kept_paths("triplet"), platform.machine()]
    )


def kept_paths(triplet: str) -> list[str]:
    """What of the extracted packages goes into the base; the rest (dpkg, tar, openssl, awk) stays out."""
    return [
        *(
            f"etc/{name}"
            for name in ("debian_version", "group", "mime.types", "nsswitch.conf", "os-release", "passwd")
        ),
        *(f"etc/{name}" for name in ("protocols", f"python{PYTHON}", "services", "ssl")),
        *("dev", "home", "proc", "root", "run", "sys", "tmp", "var/tmp"),
        *(f"lib/{triplet}", "lib/ld-linux-aarch64.so.1", "lib64"),
        *("usr/bin/python3", f"usr/bin/python{PYTHON}"),
        *(f"usr/lib/{name}" for name in ("os-release", f"python{PYTHON}", "ssl", triplet)),
        *("usr/share/doc", "usr/share/zoneinfo", "var/lib/dpkg/status.d"),
    ]


def make_debian(place: Path, scratch: Path, prepare: Path) -> None:
    """Makes the Debian base in `place`. The packages come from where this machine's own come from."""
    require_tool("mmdebstrap", "makes the Debian base of the image")
    progress("making the Debian base")
    machine = platform.machine()
    tree, sources = scratch / "base.tar", scratch / "debian.sources"
    sources.write_text(debian_sources())
    enter = f'chroot "$1" /usr/bin/python{PYTHON} -I /prepare_base.py'
    hook = f'cp "{prepare}" "$1/prepare_base.py" && {enter} && rm "$1/prepare_base.py"'
    command = [
        "mmdebstrap",
        "--quiet",
        "--variant=extract",
        f"--include={','.join(PACKAGES)}",
        f"--extract-hook={hook}",
    ]
    mirror = [str(sources)] if sources.stat().st_size else []
    environment = {"SOURCE_DATE_EPOCH": str(EPOCH), "TMPDIR": str(scratch), "PYTHONHASHSEED": "0"}
    try:
        run([*command, SUITE, str(tree), *mirror], environment)
    except CommandError as error:
        raise ImageError(
            f"mmdebstrap could not make the Debian base: {error}",
            "apt-get update (this machine's package sources are used), or set image_base to an image",
        ) from error
    layout = Layout(place)
    layer = Layer(tar=tree, only=kept_paths(f"{machine}-linux-gnu"))
    config = {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin"]}
    layout.add(Image(NAME, [layer], config), ARCHITECTURES.get(machine, machine))
    layout.finish()


def debian_sources(directory: Path = Path("/etc/apt")) -> str:
    """The entries of this machine's package sources with the base's suites; empty text if it has none."""
    found = []
    for path in sorted([directory / "sources.list", *directory.glob("sources.list.d/*")]):
        if path.suffix == ".sources":
            stanzas = re.split(r"\n\s*\n", _without_comments(path.read_text()))
            found += [stanza.strip() for stanza in stanzas if _is_ours(stanza)]
        elif path.suffix == ".list" and path.exists():
            found += [
                _as_stanza(line) for line in _without_comments(path.read_text()).splitlines() if line.strip()
            ]
    return "\n\n".join(stanza for stanza in found if stanza and _is_ours(stanza))


def _without_comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))


def _is_ours(stanza: str) -> bool:
    fields = {
        name.lower(): value.split()
        for name, _, value in (line.partition(":") for line in stanza.splitlines())
    }
    return (
        "deb" in fields.get("types", [])
        and "main" in fields.get("components", [])
        and bool(set(SUITES) & set(fields.get("suites", [])))
        and fields.get("enabled") != ["no"]
    )


def _as_stanza(line: str) -> str:
    """A line of sources.list in the form of a .sources file; empty if it is none."""
    found = re.fullmatch(r"deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)\s+(.+)", line.strip())
    if not found:
        return ""
    options, uri, suite, components = found.groups()
    signed = dict(option.partition("=")[::2] for option in (options or "").split()).get("signed-by")
    stanza = f"Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: {components}"
    return f"{stanza}\nSigned-By: {signed}" if signed else stanza


def pull_base(place: Path, reference: str, options: list[str]) -> None:
    """Copies an image from its registry. `options` are skopeo's, for credentials and TLS."""
    require_tool("skopeo", "copies images")
    progress(f"pulling {reference}")
    try:
        run(["skopeo", "copy", "--quiet", *options, f"docker://{reference}", f"oci:{place}:{NAME}"])
    except CommandError as error:
        raise ImageError(
            f"The base image {reference} cannot be pulled: {error}",
            "check image_base and image_auth_file, or leave image_base empty for the Debian base",
        ) from error
