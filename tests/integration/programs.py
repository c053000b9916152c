"""Programs of others that judge what the collection makes; built from their Go modules once, and kept in the cache."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ansible_collections.sortie.platform.plugins.module_utils._go import Program, build, find_toolchain
from ansible_collections.sortie.platform.plugins.module_utils._store import Store
from ansible_collections.sortie.platform.tests.playbook import cache_dir


def built(program: Program) -> Path:
    """The program; its first build takes about a minute."""
    arch = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout
    return build(Store(cache_dir()), program, find_toolchain("1.24"), arch.strip()).path / program.name
