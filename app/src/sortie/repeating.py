"""Work that is done again and again on a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from .storage.errors import StorageError

_log = logging.getLogger("sortie.repeating")


class Repeating:
    """Calls `job` at once and every so many seconds, until `stop`. `trouble` begins the warning when the database fails it."""

    def __init__(self, name: str, job: Callable[[], object], seconds: float, trouble: str) -> None:
        self._job, self._seconds, self._trouble = job, seconds, trouble
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stopped.is_set():
            try:
                self._job()
            except StorageError as error:
                _log.warning("%s: %s", self._trouble, error)
            self._stopped.wait(self._seconds)
