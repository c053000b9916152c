"""Limits how often something may be tried. Counts in memory, so each replica counts for itself."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

from .problems import Problem

_REMEMBERED = 20_000


class Limiter:
    """`most` tries at once, and as many again over `seconds`. 0 is no limit."""

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._refill = most / seconds
        self._clock = clock
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def require(self, key: Hashable) -> None:
        """Problem 429 if `key` has no try left; it is not used up by this."""
        with self._lock:
            left = self._now(key)
        if self._most and left < 1:
            wait = math.ceil((1 - left) / self._refill)
            raise Problem(
                429,
                "too_many_attempts",
                f"too many attempts; try again in {wait} s",
                headers=(("Retry-After", str(wait)),),
            )

    def use(self, key: Hashable) -> None:
        """Use up a try."""
        with self._lock:
            self._left[key] = (self._now(key) - 1, self._clock())
            self._left.move_to_end(key)
            while len(self._left) > _REMEMBERED:
                self._left.popitem(last=False)

    def forgive(self, key: Hashable) -> None:
        """Give all tries back."""
        with self._lock:
            self._left.pop(key, None)

    def _now(self, key: Hashable) -> float:
        left, seen = self._left.get(key, (float(self._most), 0.0))
        return min(float(self._most), left + (self._clock() - seen) * self._refill)
