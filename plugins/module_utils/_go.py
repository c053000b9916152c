# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Builds static programs from Go modules, each module checked against a known hash."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.sortie.platform.plugins.module_utils._store import (
    Entry,
    Store,
    StoreError,
    key_of,
    tree_hashes,
)

GIBIBYTE = 1 << 30
LAST_LINES = 15


@dataclass(frozen=True)
class Program:
    """What to build: a directory with go.mod and go.sum of ours, or a published module with upstream's own.

    `checksum` is the module's `h1:` hash as in a go.sum; `package` the package of the program in it; `keep` are files
    of the sources that are wanted beside the program.
    """

    name: str
    directory: Path | None = None
    module: str = ""
    version: str = ""
    checksum: str = ""
    package: str = "."
    flags: Sequence[str] = ()
    ldflags: str = ""
    keep: Sequence[str] = ()

    def key(self, go: str, arch: str) -> str:
        return key_of(
            {
                "sources": tree_hashes(self.directory)
                if self.directory
                else [self.module, self.version, self.checksum],
                "build": [self.package, list(self.flags), self.ldflags],
                "go": go,
                "arch": arch,
            }
            | ({"keep": sorted(self.keep)} if self.keep else {})
        )


@dataclass(frozen=True)
class Toolchain:
    """The `go` command and its version, for example 1.24.4."""

    command: str
    version: str


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def find_toolchain(least: str, command: str = "go") -> Toolchain:
    """The Go toolchain. Raises StoreError if there is none, or one older than `least` (for example 1.24)."""
    remedy = (
        f"Install Go {least} or newer and put it into PATH, or set kube_artifacts_source: release to download the "
        "official binaries instead."
    )
    path = shutil.which(command) or shutil.which("/usr/local/go/bin/go")
    if path is None:
        raise StoreError(
            f"Go is missing: building from Go modules needs it, and '{command}' was not found. {remedy}"
        )
    answer = subprocess.run([path, "env", "GOVERSION"], capture_output=True, text=True, check=False)
    version = answer.stdout.strip().removeprefix("go")
    if not version:
        raise StoreError(f"{path} is not a working Go toolchain: {answer.stderr.strip()}. {remedy}")
    if _number(version) < _number(least):
        raise StoreError(f"Go is too old: {path} is {version}, and {least} is needed. {remedy}")
    return Toolchain(path, version)


def build(
    store: Store, program: Program, go: Toolchain, arch: str, *, least_free: int = 8 * GIBIBYTE
) -> Entry:
    """The entry with the program under its name, and what is kept of its sources. `arch` is Go's word (amd64, arm64)."""

    def make(place: Path) -> None:
        _check_space(go, least_free)
        environment = {
            **os.environ,
            "CGO_ENABLED": "0",
            "GOARCH": arch,
            "GOOS": "linux",
            "GOTOOLCHAIN": "local",
        }
        with tempfile.TemporaryDirectory(prefix="sortie-go-") as scratch:
            sources = Path(scratch, "sources")
            origin = program.directory or _download(program, go, environment)
            shutil.copytree(origin, sources)
            for path in [sources, *sources.rglob("*")]:
                path.chmod(path.stat().st_mode | 0o200)
            output = place / program.name
            _run(
                program.name,
                [
                    *(go.command, "build", *program.flags, "-trimpath", "-buildvcs=false"),
                    *("-ldflags", f"-s -w {program.ldflags}".strip(), "-o", str(output), program.package),
                ],
                sources,
                environment,
            )
            for name in program.keep:
                shutil.copy(sources / name, place / Path(name).name)

    return store.get("go", program.name, program.key(go.version, arch), make)


def _download(program: Program, go: Toolchain, environment: dict[str, str]) -> Path:
    answer = subprocess.run(
        [go.command, "mod", "download", "-json", f"{program.module}@{program.version}"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd="/",
    )
    try:
        found = json.loads(answer.stdout)
    except ValueError:
        found = {"Error": answer.stderr.strip()}
    if problem := found.get("Error"):
        raise StoreError(
            f"Go module {program.module}@{program.version} could not be downloaded: {problem}. "
            "Nothing was built. Check that GOPROXY names a module proxy that answers (go env GOPROXY), then run this again."
        )
    if found["Sum"] != program.checksum:
        raise StoreError(
            f"Go module {program.module}@{program.version} is not what it should be: its hash is {found['Sum']}, expected "
            f"{program.checksum}. Nothing was built. Whatever GOPROXY names (go env GOPROXY) must not be trusted."
        )
    return Path(found["Dir"])


def _run(name: str, command: Sequence[str], directory: Path, environment: dict[str, str]) -> None:
    answer = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, check=False
    )
    if answer.returncode:
        told = "\n".join(answer.stderr.strip().splitlines()[-LAST_LINES:])
        raise StoreError(
            f"{name} could not be built; the cache keeps what other builds have made. Run this again once the reason is mended:\n{told}"
        )


def _check_space(go: Toolchain, least: int) -> None:
    answer = subprocess.run([go.command, "env", "GOCACHE"], capture_output=True, text=True, check=False)
    directory = Path(answer.stdout.strip() or Path.home())
    check_free_space(directory, least, "the Go build cache")


def check_free_space(directory: Path, least: int, purpose: str) -> None:
    """Raises StoreError where the file system of a directory (which need not exist yet) has less than `least` bytes free."""
    existing = next(path for path in [directory, *directory.parents] if path.exists())
    free = shutil.disk_usage(existing).free
    if free < least:
        raise StoreError(
            f"the disk is nearly full: {existing} has {free / GIBIBYTE:.1f} GiB free, and {purpose} needs {least / GIBIBYTE:.0f} GiB. "
            f"Nothing was changed. Free some space (du -xh --max-depth=2 {existing} | sort -h), then run this again."
        )
