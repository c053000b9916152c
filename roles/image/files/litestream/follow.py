# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Keeps a copy of a replicated database up to date, in the pod of a read replica.

    follow CONFIG DATABASE LINK --stalled-after SECONDS --metrics URL

`litestream restore -f` brings the database into a file of its own and every change after that; LINK then leads to that
file. It cannot take up a file that an earlier run left, and it may stop to advance without saying so, so every start, and
every time that the application says that it is too far behind, begins anew beside the file that is being read.
"""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

PAUSE_SECONDS = 1.0
LAG = re.compile(r"^sortie_replica_lag_seconds (\S+)$", re.MULTILINE)


def say(words: str) -> None:
    sys.stdout.write(f"follow: {words}\n")
    sys.stdout.flush()


def lag(url: str) -> float:
    """How many seconds the application is behind, by its own metrics; 0 where it does not tell."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 (the pod's own address)
            found = LAG.search(answer.read().decode())
    except OSError:
        return 0.0
    return float(found[1]) if found else 0.0


class Copy:
    """A file that Litestream brings and follows."""

    def __init__(self, config: str, database: str, link: Path) -> None:
        self.link = link
        self.path = link.with_name(f"{link.stem}-{time.time_ns()}{link.suffix}")
        command = ["litestream", "restore", "-config", config, "-f", "-o", str(self.path), database]
        self._process = subprocess.Popen(command)

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def wait(self) -> bool:
        """Whether the database is there; not if Litestream has ended before."""
        while not self.path.with_name(f"{self.path.name}-txid").exists():
            if self.ended:
                return False
            time.sleep(PAUSE_SECONDS / 10)
        return True

    def publish(self) -> None:
        """Have the link lead here, and remove every other copy. Who reads one reads on."""
        partial = self.link.with_name(f".{self.link.name}")
        partial.unlink(missing_ok=True)
        partial.symlink_to(self.path.name)
        partial.replace(self.link)
        for other in self.link.parent.glob(f"{self.link.stem}-*"):
            if not other.name.startswith(self.path.name):
                other.unlink()
        say(f"{self.link} is {self.path.name}")

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def follow(given: argparse.Namespace) -> int:
    copy = Copy(given.config, given.database, given.link)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        while not copy.wait():
            say("the database could not be restored, see above; trying again")
            time.sleep(PAUSE_SECONDS)
            copy = Copy(given.config, given.database, given.link)
        copy.publish()
        began = time.monotonic()
        while not copy.ended:
            time.sleep(PAUSE_SECONDS)
            if time.monotonic() - began < given.stalled_after:
                continue
            began = time.monotonic()
            if (behind := lag(given.metrics)) > given.stalled_after:
                say(f"{behind:.0f} s behind: beginning anew")
                fresh = Copy(given.config, given.database, given.link)
                if fresh.wait():
                    copy.stop()
                    copy = fresh
                    copy.publish()
                else:
                    say("the database could not be restored; the old copy stays")
    finally:
        copy.stop()
    say("Litestream has ended")
    return 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="follow", description=__doc__)
    parser.add_argument("config")
    parser.add_argument("database")
    parser.add_argument("link", type=Path)
    parser.add_argument("--stalled-after", type=float, default=120)
    parser.add_argument("--metrics", default="http://127.0.0.1:8080/metrics")
    return follow(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
