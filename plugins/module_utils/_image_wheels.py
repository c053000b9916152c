# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""The wheels that go into the image: downloaded on the control host, each checked against its lock file."""

from __future__ import annotations

import platform
import re
from pathlib import Path

from ansible_collections.sortie.platform.plugins.module_utils._image_run import (
    CommandError,
    ImageError,
    progress,
    run,
)

# manylinux_2_N stands for glibc 2.N: Debian bookworm has 2.36. manylinux2014 is 2.17.
GLIBC = range(17, 37)
HASH_ERROR = "DO NOT MATCH THE HASHES"


def download(python: str, target: str, lock: Path, place: Path) -> None:
    """Puts a lock file's wheels into `place`, for Python `target` (for example 3.11) on this processor.

    `python` is an interpreter that has pip; it need not be of the version that the wheels are for.
    """
    progress(f"downloading the wheels of {lock.name}")
    machine = platform.machine()
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in GLIBC] + [f"manylinux2014_{machine}"]
    command = [python, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--require-hashes", "--no-deps", "--only-binary=:all:", "--implementation=cp"]
    command += [
        f"--python-version={target}",
        f"--abi=cp{target.replace('.', '')}",
        "--abi=abi3",
        "--abi=none",
    ]
    command += [f"--platform={name}" for name in platforms]
    try:
        run([*command, f"--requirement={lock}", f"--dest={place}"])
    except CommandError as error:
        raise _explain(lock, target, str(error)) from error


def _explain(lock: Path, target: str, said: str) -> ImageError:
    if HASH_ERROR in said:
        package = re.findall(r"^\s*(\S+==\S+|\S+) from \S+", said, re.MULTILINE)
        return ImageError(
            f"A downloaded wheel is not what {lock} names{f' ({package[0]})' if package else ''}: {said}",
            "make the lock file again if you changed it; if not, do not trust this package index",
        )
    if "No module named pip" in said:
        return ImageError(
            "The control host's Python has no pip", "apt-get install python3-venv, then bin/deploy"
        )
    return ImageError(
        f"The wheels of {lock} for Python {target} cannot be downloaded: {said}",
        "check that `pip download` reaches its package index (pip config list), then run this again",
    )
