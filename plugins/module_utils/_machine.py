# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""What a machine, or the container that this runs in, allows."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path

CAP_SYS_RESOURCE = 24
INOTIFY = Path("/proc/sys/fs/inotify")
# What all containers of the machine have together. A node takes about 25 of the first; Linux gives 128, and with none left kube-proxy
# ends with "too many open files" and the node reaches no Service.
LEAST_INOTIFY = {"max_user_instances": 1024, "max_user_watches": 524288}


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


def raise_inotify_limits(directory: Path = INOTIFY) -> list[str]:
    """Raise what is too low for several nodes, until the machine is started anew; says what. OSError if it may not be."""
    raised = []
    for name, least in LEAST_INOTIFY.items():
        path = directory / name
        if int(path.read_text(encoding="ascii")) < least:
            path.write_text(f"{least}\n", encoding="ascii")
            raised.append(f"fs.inotify.{name} raised to {least}")
    return raised
