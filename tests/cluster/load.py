"""A bounded load on a tenant through the ingress on loopback, which remembers every answer."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from ansible_collections.sortie.platform.plugins.module_utils._http import Client, Endpoint, HttpError
from ansible_collections.sortie.platform.tests.cluster.live import Live

MOST_SECONDS = 240.0


@dataclass
class Seen:
    """An answer: when it came (monotonic), to what, its status, and when to come back; 0 is none at all, with the reason."""

    at: float
    method: str
    status: int
    words: str = ""
    retry_after: str = ""


class Load:
    """Clients that ask for the catalogue and launch an application, in turn, until the block ends."""

    def __init__(self, live: Live, tenant: str, app: str, *, clients: int = 3, pause: float = 0.02) -> None:
        self._endpoint = Endpoint(
            f"{tenant}.localhost",
            live.variables["common_https_port"],
            "127.0.0.1",
            ca_file=str(live.local / "ca" / "ca.crt"),
        )
        self._app, self._pause = app, pause
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._work) for _ in range(clients)]
        self.seen: list[Seen] = []

    def __enter__(self) -> Load:
        self._deadline = time.monotonic() + MOST_SECONDS
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        client = Client(self._endpoint, timeout=20)
        requests: list[tuple[str, str, Any]] = [
            ("GET", "/api/apps", None),
            ("POST", "/api/analytics/launch", {"app_id": self._app}),
        ]
        while not self._end.is_set() and time.monotonic() < self._deadline:
            for method, path, body in requests:
                try:
                    answer = client.request(method, path, body)
                    words = "" if answer.status < 400 else answer.body[:120].decode(errors="replace")
                    retry_after = answer.headers.get("retry-after", "")
                    self.seen.append(Seen(time.monotonic(), method, answer.status, words, retry_after))
                except HttpError as error:
                    self.seen.append(Seen(time.monotonic(), method, 0, str(error)))
            self._end.wait(self._pause)
        client.close()

    def failures(self, method: str | None = None) -> list[Seen]:
        return [seen for seen in self.seen if not 200 <= seen.status < 300 and method in (None, seen.method)]

    @property
    def acknowledged(self) -> int:
        """Launches that were acknowledged."""
        return sum(seen.method == "POST" and 200 <= seen.status < 300 for seen in self.seen)

    def longest_gap(self, method: str) -> float:
        """Seconds between the last good answer before a failure and the first good one after it; the longest."""
        longest, last_good, failing = 0.0, 0.0, False
        for seen in sorted(self.seen, key=lambda seen: seen.at):
            if seen.method != method:
                continue
            if 200 <= seen.status < 300:
                if failing:
                    longest = max(longest, seen.at - last_good)
                last_good, failing = seen.at, False
            else:
                failing = True
        return longest
