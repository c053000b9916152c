# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""What the steps of the image's build share: errors that say what to do, commands, progress, disk space."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

# A build takes about 0.5 GiB: the base unpacked, the layers unpacked and packed, the wheels.
NEEDED_BYTES = 1 << 30
LAST_LINES = 12
BUILDERS = ("buildah", "podman", "docker")
# Every time stamp in the image, in seconds since 1970 (2025-01-01), so that equal inputs make an equal image.
EPOCH = 1735689600


class ImageError(Exception):
    """Ends the work: what is wrong, what state things are in, and what to do next."""

    def __init__(self, wrong: str, todo: str, state: str = "Nothing was changed.") -> None:
        super().__init__(f"{wrong.rstrip('.')}. {state} Next: {todo}")
        self.wrong = wrong


class CommandError(Exception):
    """A command ended with an error; its text is the end of what the command said."""


def progress(text: str) -> None:
    """Tells the progress callback what is under way."""
    if name := os.environ.get("SORTIE_PROGRESS_FILE"):
        with Path(name).open("a") as file:
            file.write(f"{text}\n")


def run(command: Sequence[str], environment: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """Runs a command and returns its output. Raises CommandError, and ImageError on a full disk."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "LC_ALL": "C.UTF-8", **(environment or {})},
        text=True,
        errors="replace",
    )
    if done.returncode == 0:
        return done.stdout
    said = done.stderr.strip() or done.stdout.strip()
    if "no space left on device" in said.lower():
        raise disk_full(f"{command[0]} found no space left")
    lines = [line for line in said.splitlines() if "level=warning" not in line]
    raise CommandError("\n".join(lines[-LAST_LINES:]) or f"exit code {done.returncode}")


def require_tool(tool: str, purpose: str) -> None:
    """Raises ImageError if a program is not installed."""
    if shutil.which(tool) is None:
        raise ImageError(
            f"{tool} is not installed; it {purpose}",
            f"apt-get install {tool}, or set image_builder to one that is installed ({', '.join(BUILDERS)})"
            if tool in BUILDERS
            else f"apt-get install {tool}",
        )


def require_space(directory: Path) -> None:
    """Raises ImageError if the file system of a directory has less room than a build takes."""
    free = shutil.disk_usage(directory).free
    if free < NEEDED_BYTES:
        raise disk_full(
            f"The disk of {directory} is nearly full: {free >> 20} MiB are free, "
            f"a build needs {NEEDED_BYTES >> 20} MiB"
        )


def disk_full(wrong: str) -> ImageError:
    return ImageError(
        wrong,
        "free some space (podman system prune, or remove old entries below the cache's image directory), "
        "or set XDG_CACHE_HOME to a directory on a larger disk; then run this again",
        "Unfinished files were removed; the last good image is as it was.",
    )
