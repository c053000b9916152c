# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Downloads official release binaries: resumable, and checked against the sha256 that is published beside each."""

from __future__ import annotations

import re
import shutil
import time
import urllib.error
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path

from ansible.module_utils.urls import open_url

from ansible_collections.sortie.platform.plugins.module_utils._store import (
    Entry,
    Store,
    StoreError,
    file_sha256,
    key_of,
)

CHUNK = 1 << 20
TRIES = 4
SHA256 = re.compile(r"\b[0-9a-f]{64}\b")
PARTIAL = "partial"


@dataclass(frozen=True)
class Release:
    """Where binaries are published: `URL/VERSION/bin/linux/ARCH/NAME`, and its hash at the same address with `.sha256`."""

    url: str
    version: str
    arch: str

    def address(self, name: str) -> str:
        if not re.match(r"https?://", self.url):
            raise StoreError(f"kube_artifacts_release_url is {self.url!r}; expected an address http(s)://...")
        return f"{self.url.rstrip('/')}/{self.version}/bin/linux/{self.arch}/{name}"


def _open(address: str, start: int = 0, timeout: float = 20) -> HTTPResponse:
    answer: HTTPResponse = open_url(
        address, headers={"Range": f"bytes={start}-"} if start else {}, timeout=timeout
    )
    return answer


def published_sha256(release: Release, name: str, timeout: float = 20) -> str:
    address = release.address(name) + ".sha256"
    try:
        with _open(address, timeout=timeout) as answer:
            text = answer.read(4096).decode(errors="replace")
    except (OSError, ValueError) as error:
        raise StoreError(f"{address} does not answer: {error}") from error
    found = SHA256.search(text)
    if not found:
        raise StoreError(f"{address} holds no sha256 but {text[:60]!r}")
    return found[0]


def answers(release: Release, names: Sequence[str]) -> str:
    """Why the release server cannot be used; empty if it has all the names."""
    try:
        for name in names:
            published_sha256(release, name, timeout=5)
    except StoreError as error:
        return str(error)
    return ""


def _fetch(address: str, path: Path) -> None:
    """One try to get the rest of a file."""
    have = path.stat().st_size if path.exists() else 0
    try:
        answer = _open(address, have)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        # Nothing follows what is there: it is complete, or wrong, which its hash will tell.
        return
    with answer, path.open("ab" if have and answer.status == 206 else "wb") as file:
        shutil.copyfileobj(answer, file, CHUNK)
        if answer.length:
            raise OSError(f"the connection ended {answer.length} bytes too early")


def download(
    store: Store, release: Release, name: str, *, sleep: Callable[[float], None] = time.sleep
) -> Entry:
    """The entry with one binary under its name. A download that is cut off goes on where it ended, in this run or the next."""
    expected = published_sha256(release, name)
    address = release.address(name)

    def make(place: Path) -> None:
        waiting = store.directory / PARTIAL
        waiting.mkdir(parents=True, exist_ok=True)
        part = waiting / f"{name}-{expected[:16]}"
        for attempt in range(TRIES):
            try:
                _fetch(address, part)
                break
            except (OSError, ValueError) as error:
                if attempt == TRIES - 1:
                    raise StoreError(
                        f"{address} could not be downloaded: {error}. What has arrived is kept, and the next run goes on from there"
                    ) from error
                sleep(2**attempt)
        found = file_sha256(part)
        if found != expected:
            part.unlink()
            raise StoreError(
                f"{address} is not what was published: its sha256 is {found}, expected {expected}. It was thrown away, nothing "
                "was installed. Check kube_artifacts_release_url and whoever answers there, then run this again"
            )
        part.chmod(0o755)
        shutil.move(part, place / name)

    return store.get("release", name, key_of([address, expected]), make)
