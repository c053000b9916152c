#!/usr/bin/env python3
"""Looks for secrets where none may be, while the tests run.

    PYTHONPATH=.local/collections tests/secret_watch.py LOGS LOCAL

Until SIGTERM it notes, in memory alone, the command lines of all processes of this machine and the secrets of every cluster
under LOCAL (each subdirectory is one cluster's SORTIE_LOCAL_DIR): the values of its Secrets, the keys of its backups and of its
certificate authority. Then it looks for each secret, as it is and in base64, in the command lines and in every file of LOGS, says
where it found which (never the secret itself), and exits 1 if it found any, 2 if there was nothing to look for.

Values that stand in the repository are the tests' own and not secret.
"""

from __future__ import annotations

import base64
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from ansible_collections.sortie.platform.plugins.module_utils._cluster import (
    KINDS,
    Cluster,
    ClusterError,
    items,
)

ROOT = Path(__file__).resolve().parents[1]
LOOK_SECONDS, ASK_SECONDS = 0.25, 15
# Shorter values are words: a name, a number.
LEAST_CHARACTERS = 12
PUBLIC_KEYS = {
    *("ca.crt", "tls.crt", "namespace"),
    *("description", "expiration", "auth-extra-groups"),
    # Of a database's address, beside its password.
    *("dbname", "host", "port", "user", "username"),
}
# Secrets that a test makes and looks for itself, by command lines too.
LOOKED_FOR = "sortie.platform/looked-for"


def command_lines() -> Iterator[bytes]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_bytes().replace(b"\0", b" ")
        except OSError:
            continue


def of_cluster(local: Path) -> Iterator[tuple[str, bytes]]:
    """(where it is kept, value) of each secret of one cluster."""
    for directory in ("backup-keys", "registry"):
        for path in (local / directory).glob("*"):
            if path.is_file():
                yield f"{directory}/{path.name}", path.read_bytes()
    authority = local / "ca" / "ca.key"
    if authority.is_file():
        yield "ca/ca.key", authority.read_bytes()
    if not (local / "kubeconfig").is_file():
        return
    try:
        for secret in items(Cluster(str(local / "kubeconfig"), timeout=5), KINDS["Secret"].path()):
            if LOOKED_FOR in (secret["metadata"].get("labels") or {}):
                continue
            name = f"{secret['metadata']['namespace']}/{secret['metadata']['name']}"
            for key, value in (secret.get("data") or {}).items():
                if key not in PUBLIC_KEYS:
                    yield f"Secret {name}: {key}", base64.b64decode(value)
    except ClusterError:
        # It is being made, or is gone; the next time may be better.
        return


def as_written(value: bytes) -> Iterator[bytes]:
    """The forms in which a value would be seen: a key in PEM form by one of its lines."""
    text = value.strip()
    lines = text.splitlines()
    yield lines[len(lines) // 2] if len(lines) > 1 else text
    yield base64.b64encode(value).rstrip(b"=")[:-1]


class Watch:
    """What was seen so far."""

    def __init__(self, logs: Path, local: Path) -> None:
        self._logs, self._local = logs, local
        self._ended = threading.Event()
        self._commands: set[bytes] = set()
        self._secrets: dict[bytes, str] = {}

    def end(self) -> None:
        self._ended.set()

    def run(self) -> None:
        asking = threading.Thread(target=self._ask)
        asking.start()
        while not self._ended.wait(LOOK_SECONDS):
            self._commands.update(command_lines())
        asking.join()

    def _ask(self) -> None:
        while True:
            for local in self._local.glob("*"):
                for where, value in of_cluster(local):
                    if len(value.strip()) >= LEAST_CHARACTERS:
                        self._secrets.setdefault(value, where)
            if self._ended.wait(ASK_SECONDS):
                return

    def verdict(self) -> int:
        """Prints what was found; the exit code."""
        own = b"\n".join(path.read_bytes() for path in _repository() if path.is_file())
        patterns = {
            form: where
            for value, where in self._secrets.items()
            for form in as_written(value)
            if value.strip() not in own
        }
        places: Mapping[str, bytes] = {
            "a command line": b"\n".join(self._commands),
            **{path.name: path.read_bytes() for path in sorted(self._logs.glob("*.log"))},
        }
        found = {
            f"{where} is in {place}"
            for form, where in patterns.items()
            for place, content in places.items()
            if form in content
        }
        for line in sorted(found):
            print(f"FAILED {line}")
        size = sum(len(content) for content in places.values()) >> 20
        print(
            f"looked for {len(patterns) // 2} secrets in {len(self._commands)} command lines and {len(places) - 1} logs"
            f" ({size} MiB); found {len(found)}"
        )
        if not patterns:
            return 2
        return 1 if found else 0


def _repository() -> Iterator[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return (ROOT / name for name in listed.decode().split("\0") if name)


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    watch = Watch(Path(sys.argv[1]), Path(sys.argv[2]))
    signal.signal(signal.SIGTERM, lambda *_: watch.end())
    watch.run()
    return watch.verdict()


if __name__ == "__main__":
    sys.exit(main())
