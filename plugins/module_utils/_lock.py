# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Holds something against other runs on this host. The kernel lets go of it when a run ends, however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path

_PAUSE_SECONDS = 1.0


@contextlib.contextmanager
def held(path: Path, seconds: float) -> Iterator[None]:
    """The lock of file `path`, made with its directory for their owner alone; TimeoutError if another run has it for longer."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("w") as lock:
        deadline = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{path} is held by another run") from error
                time.sleep(_PAUSE_SECONDS)
        yield
