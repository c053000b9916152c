# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Runs inside the extracted Debian packages of the image's base, before mmdebstrap packs them.

No package is configured there. This does the little of it that Python needs, and leaves the list of packages
for scanners, one file each in /var/lib/dpkg/status.d.
"""

from __future__ import annotations

import compileall
import py_compile
import shutil
import subprocess
import sys
from pathlib import Path

USERS = ("root:x:0:0:root:/root:/nonexistent", "sortie:x:1000:1000:Sortie:/data:/nonexistent")
GROUPS = ("root:x:0:", "sortie:x:1000:")
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
# Conversions between character sets that Python does by itself, engines, headers, examples, second copies.
UNUSED = (
    "/usr/lib/*-linux-gnu/engines-3",
    "/usr/lib/*-linux-gnu/gconv",
    f"/usr/lib/{PYTHON}/config-*",
    f"/usr/lib/{PYTHON}/ensurepip",
    f"/usr/lib/{PYTHON}/lib2to3",
    f"/usr/lib/{PYTHON}/pydoc_data",
    f"/usr/lib/{PYTHON}/turtledemo",
    "/usr/lib/ssl/misc",
    "/usr/share/zoneinfo/posix",
    "/usr/share/zoneinfo/right",
)


def certificates() -> None:
    """The bundle that update-ca-certificates would make."""
    texts = sorted(Path("/usr/share/ca-certificates").rglob("*.crt"))
    bundle = "".join(path.read_text().rstrip("\n") + "\n" for path in texts)
    Path("/etc/ssl/certs/ca-certificates.crt").write_text(bundle)


def accounts() -> None:
    Path("/etc/passwd").write_text("".join(f"{line}\n" for line in USERS))
    Path("/etc/group").write_text("".join(f"{line}\n" for line in GROUPS))
    Path("/etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")


def package_list() -> None:
    status = Path("/var/lib/dpkg/status.d")
    status.mkdir(parents=True)
    for package in sorted(Path("/var/cache/apt/archives").glob("*.deb")):
        control = subprocess.run(["/usr/bin/dpkg-deb", "--field", package], check=True, capture_output=True)
        (status / package.name.split("_")[0]).write_bytes(control.stdout)


def byte_code() -> None:
    """Compiled once, so that a container with a read-only root starts quickly."""
    library = f"/usr/lib/{PYTHON}"
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    if not compileall.compile_dir(library, quiet=1, force=True, invalidation_mode=mode):
        raise SystemExit(f"{library} could not be compiled")


def only_what_is_used() -> None:
    """Removes what nothing in the image uses, and every document but the licenses."""
    for pattern in UNUSED:
        for path in Path("/").glob(pattern.lstrip("/")):
            shutil.rmtree(path)
    for path in Path("/usr/share/doc").rglob("*"):
        if path.name != "copyright" and not path.is_dir():
            path.unlink()
    Path("/usr/bin/python3").symlink_to(PYTHON)


certificates()
accounts()
package_list()
only_what_is_used()
byte_code()
