# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""What a machine, or the container that this runs in, allows."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path

CAP_SYS_RESOURCE = 24


@dataclass(frozen=True)
class Machine:
    """What the control host lets a container have."""

    cgroup_version: int
    may_raise_limits: bool
    open_files: int

    @classmethod
    def detect(cls) -> Machine:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        capabilities = next(
            int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff")
        )
        return cls(
            cgroup_version=2 if Path("/sys/fs/cgroup/cgroup.controllers").exists() else 1,
            may_raise_limits=bool(capabilities >> CAP_SYS_RESOURCE & 1),
            open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        )
