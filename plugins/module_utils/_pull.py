# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Copies images between registries and image layouts by skopeo."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ansible_collections.sortie.platform.plugins.module_utils._store import StoreError

COPIES_AT_A_TIME = 4


def mirrored(name: str, registry: str) -> str:
    """An image's name in a registry that mirrors others: the first part, which names the registry, is replaced."""
    return f"{registry.rstrip('/')}/{name.partition('/')[2]}" if registry else name


def skopeo(arguments: Sequence[str], timeout: float = 1800) -> str:
    """Runs skopeo and returns why it failed; empty if it did not."""
    try:
        answer = subprocess.run(
            ["skopeo", *arguments], capture_output=True, text=True, check=False, timeout=timeout
        )
    except FileNotFoundError:
        return "skopeo is missing; next: apt-get install skopeo"
    except subprocess.TimeoutExpired:
        return f"no end after {timeout:.0f} s"
    if answer.returncode == 0:
        return ""
    lines = answer.stderr.strip().splitlines() or ["no reason given"]
    return lines[-1].partition("msg=")[2].strip('"') or lines[-1]


def pull(name: str, registry: str, layout: Path, arch: str, *, tls_verify: bool = True) -> None:
    """Copies an image into a layout, under its own name. Raises StoreError."""
    source = mirrored(name, registry)
    problem = skopeo(
        [
            *("--override-arch", arch, "--override-os", "linux"),
            *("copy", "--quiet", "--retry-times", "3", f"--src-tls-verify={str(tls_verify).lower()}"),
            *(f"docker://{source}", f"oci:{layout}:{name}"),
        ]
    )
    if problem:
        raise StoreError(f"image {source} could not be pulled: {problem}")


def push_all(
    layout: Path, names: Sequence[str], registry: str, auth_file: Path, *, tls_verify: bool = False
) -> dict[str, str]:
    """Copies images of a layout into a registry, as `mirrored` names them; returns the reasons of those that failed."""

    def push(name: str) -> str:
        return skopeo(
            [
                *(
                    "copy",
                    "--quiet",
                    "--retry-times",
                    "3",
                    "--preserve-digests",
                    "--authfile",
                    str(auth_file),
                ),
                f"--dest-tls-verify={str(tls_verify).lower()}",
                *(f"oci:{layout}:{name}", f"docker://{mirrored(name, registry)}"),
            ]
        )

    with ThreadPoolExecutor(COPIES_AT_A_TIME) as pool:
        problems = dict(zip(names, pool.map(push, names), strict=True))
    return {name: problem for name, problem in problems.items() if problem}
