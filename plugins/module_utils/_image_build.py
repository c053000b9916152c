# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Builds the image from its context with buildah, podman or docker, and leaves it as an OCI image layout."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.sortie.platform.plugins.module_utils._image_base import NAME as BASE_NAME
from ansible_collections.sortie.platform.plugins.module_utils._image_base import Base
from ansible_collections.sortie.platform.plugins.module_utils._image_pack import pack
from ansible_collections.sortie.platform.plugins.module_utils._image_run import (
    CommandError,
    ImageError,
    progress,
    require_tool,
    run,
)

IGNORED = ("__pycache__", "build", "dist", "node_modules")
CONTAINERFILE = "Containerfile"
BASE_IMAGE = "localhost/sortie-build-base:latest"
# The Containerfile puts it on the first stage, which docker without BuildKit leaves behind.
BUILDER_LABEL = "sortie.platform.stage=builder"


@dataclass(frozen=True)
class Sources:
    """The application's files, by their path below its directory."""

    directory: Path
    paths: tuple[str, ...]


def read_sources(directory: Path) -> Sources:
    """What goes into a build: everything but hidden files and what Python, its tools and npm leave behind."""
    paths = []
    for path in sorted(directory.rglob("*")):
        parts = path.relative_to(directory).parts
        hidden = any(part.startswith(".") or part in IGNORED or part.endswith(".egg-info") for part in parts)
        if path.is_file() and not hidden and path.suffix != ".pyc":
            paths.append("/".join(parts))
    return Sources(directory, tuple(paths))


def make_context(context: Path, sources: Sources, wheels: Path, tools: Path) -> None:
    """Lays out what the Containerfile copies, with modes that do not depend on the checkout."""
    for name in sources.paths:
        target = context / "source" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(sources.directory / name, target)
        target.chmod(0o644)
    for origin, directory in ((wheels, context / "wheels"), (tools, context / "tools")):
        directory.mkdir()
        for wheel in origin.glob("*.whl"):
            # The builder has one version of each tool, and its name in the Containerfile needs none.
            name = f"{wheel.name.partition('-')[0]}.whl" if directory.name == "tools" else wheel.name
            shutil.copyfile(wheel, directory / name)


def build(builder: str, context: Path, base: Base, version: str, place: Path) -> None:
    """Builds `context` and puts the image into the layout `place`. Works in the directory above."""
    require_tool(builder, "builds the image")
    progress(f"building with {builder}")
    scratch = context.parent
    archive = scratch / "image.tar"
    arguments = [f"--build-arg=VERSION={version}", "--no-cache", "--network=none"]
    arguments += [f"--file={context}/source/{CONTAINERFILE}", str(context)]
    try:
        if builder == "docker":
            _with_daemon(base, arguments, archive, scratch)
        else:
            _with_own_storage(builder, base, arguments, archive, scratch)
    except CommandError as error:
        raise ImageError(
            f"{builder} could not build the image: {error}",
            "mend what it says; a build that was only cut short can simply be run again",
        ) from error
    progress("packing the image")
    pack(archive, base.path, place)


def _with_own_storage(builder: str, base: Base, arguments: list[str], archive: Path, scratch: Path) -> None:
    """buildah and podman, in a storage that goes with the scratch directory."""
    # podman takes no longer path for it than 50 characters.
    short = "/run" if os.access("/run", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="sortie-", dir=short, ignore_cleanup_errors=True) as state:
        command = [builder, "--root", str(scratch / "storage"), "--runroot", state]
        environment = {"TMPDIR": str(scratch)}
        identity = scratch / "identity"
        # Handed over under a name: the builders would make one up from a layout's path, which not every path allows.
        base_archive = _archive_base(base, scratch, BASE_IMAGE)
        run([*command, "pull", "--quiet", f"docker-archive:{base_archive}"], environment)
        options = [
            f"--build-arg=BASE={BASE_IMAGE}",
            "--pull-never",
            f"--iidfile={identity}",
            "--layers=false",
        ]
        run([*command, "build", *options, *_runtime_options(), *arguments], environment)
        built = identity.read_text().strip()
        run([*command, "push", "--quiet", built, f"docker-archive:{archive}"], environment)


def _archive_base(base: Base, scratch: Path, name: str) -> Path:
    """The base as an archive from which a builder loads it under `name`."""
    require_tool("skopeo", "hands the base to the builder")
    archive = scratch / "base-archive.tar"
    run(["skopeo", "copy", "--quiet", f"oci:{base.path}:{BASE_NAME}", f"docker-archive:{archive}:{name}"])
    return archive


def _with_daemon(base: Base, arguments: list[str], archive: Path, scratch: Path) -> None:
    """docker, in its daemon's storage, from which everything made here is removed again."""
    suffix = base.digest.removeprefix("sha256:")[:16]
    base_name, name = f"localhost/sortie-build-base:{suffix}", f"localhost/sortie-build:{suffix}"
    run(["docker", "load", "--quiet", f"--input={_archive_base(base, scratch, base_name)}"])
    options = ["--quiet", f"--build-arg=BASE={base_name}", f"--tag={name}"]
    try:
        run(["docker", "build", *options, *arguments], {"BUILDX_NO_DEFAULT_ATTESTATIONS": "1"})
        run(["docker", "save", f"--output={archive}", name])
    finally:
        # What cannot be removed was not made.
        with contextlib.suppress(CommandError):
            run(["docker", "rmi", "--force", name])
            run(["docker", "image", "prune", "--force", f"--filter=label={BUILDER_LABEL}"])
            run(["docker", "rmi", "--force", base_name])


def _runtime_options() -> list[str]:
    """crun, the builders' first choice, does not work where cgroup version 1 and 2 are both mounted."""
    unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    return [] if unified or shutil.which("runc") is None else ["--runtime=runc"]
