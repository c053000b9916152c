"""Counters and histograms in Prometheus' text format."""

from __future__ import annotations

import bisect
import threading
from collections.abc import Iterable, Mapping

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Labels = tuple[tuple[str, str], ...]


class Requests:
    """How many requests each route answered with which status, and how long that took."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str, int], int] = {}
        self._buckets: dict[tuple[str, str], list[int]] = {}
        self._seconds: dict[tuple[str, str], float] = {}

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        key = (method, route)
        with self._lock:
            counted = (method, route, status)
            self._counts[counted] = self._counts.get(counted, 0) + 1
            buckets = self._buckets.get(key)
            if buckets is None:
                buckets = self._buckets[key] = [0] * (len(BUCKETS) + 1)
                self._seconds[key] = 0.0
            buckets[bisect.bisect_left(BUCKETS, seconds)] += 1
            self._seconds[key] += seconds

    def lines(self) -> list[str]:
        with self._lock:
            counts, seconds = dict(self._counts), dict(self._seconds)
            buckets = {key: list(values) for key, values in self._buckets.items()}
        samples = [
            ((("method", method), ("route", route), ("status", str(status))), float(count))
            for (method, route, status), count in sorted(counts.items())
        ]
        lines = family("sortie_http_requests_total", "counter", "Requests answered.", samples)
        lines += header(
            "sortie_http_request_seconds", "histogram", "Time from the request's arrival to its answer."
        )
        for (method, route), values in sorted(buckets.items()):
            lines += _histogram((("method", method), ("route", route)), values, seconds[(method, route)])
        return lines


def _histogram(labels: Labels, values: list[int], seconds: float) -> list[str]:
    name, total, lines = "sortie_http_request_seconds", 0, []
    for bound, count in zip([*map(str, BUCKETS), "+Inf"], values, strict=True):
        total += count
        lines.append(sample(f"{name}_bucket", (*labels, ("le", bound)), total))
    return [*lines, sample(f"{name}_sum", labels, seconds), sample(f"{name}_count", labels, total)]


def header(name: str, kind: str, meaning: str) -> list[str]:
    return [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]


def sample(name: str, labels: Labels, value: float) -> str:
    shown = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
    return f"{name}{{{shown}}} {value!r}" if shown else f"{name} {value!r}"


def family(name: str, kind: str, meaning: str, samples: Iterable[tuple[Labels, float]]) -> list[str]:
    return header(name, kind, meaning) + [sample(name, labels, value) for labels, value in samples]


def gauges(name: str, meaning: str, values: Mapping[Labels, float]) -> list[str]:
    return family(name, "gauge", meaning, values.items())


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
