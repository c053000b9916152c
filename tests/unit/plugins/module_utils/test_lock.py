"""Two runs for one tenant on one host take turns."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.sortie.platform.plugins.module_utils._lock import held

HOLD = """
import fcntl, sys
lock = open(sys.argv[1], "w")
fcntl.flock(lock, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_a_lock_is_free_again_when_its_block_ends(tmp_path: Path) -> None:
    for _ in range(2):
        with held(tmp_path / "locks" / "acme", 0):
            assert (tmp_path / "locks").stat().st_mode & 0o777 == 0o700


def test_a_run_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "acme"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(TimeoutError, match="held by another run"), held(path, 0):
            pass
        other.kill()
        other.wait()
    with held(path, 0):
        pass
