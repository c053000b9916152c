# Copyright: the Sortie platform maintainers
# Apache License 2.0 (see LICENSE)
"""Tells that a long task is still running, and how far it is."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: progress
type: aggregate
short_description: Tells that a long task is still running
description:
  - Prints a line every O(interval) seconds while one task takes longer than that, with the time so far.
  - Modules on the control host that know how far they are write lines to the file that the environment
    variable E(SORTIE_PROGRESS_FILE) names; the last line is printed with it.
author:
  - The Sortie platform maintainers
requirements:
  - Enable it in C(ansible.cfg), C(callbacks_enabled = sortie.platform.progress).
options:
  interval:
    description: Seconds between two lines.
    type: float
    default: 15
    env:
      - name: SORTIE_PROGRESS_INTERVAL
    ini:
      - section: callback_progress
        key: interval
"""


class CallbackModule(CallbackBase):
    """Watches the running task from a thread of its own."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "sortie.platform.progress"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        handle, name = tempfile.mkstemp(prefix="sortie-progress-")
        os.close(handle)
        self._file = Path(name)
        # Set before the workers are forked, so that every module on the control host inherits it.
        os.environ["SORTIE_PROGRESS_FILE"] = name
        self._task = ""
        self._started = time.monotonic()
        self._done = threading.Event()

    def v2_playbook_on_start(self, playbook: Any) -> None:
        threading.Thread(target=self._watch, daemon=True, name="progress").start()

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._task, self._started = task.get_name(), time.monotonic()
        self._file.write_text("")

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self.v2_playbook_on_task_start(task, False)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._done.set()
        self._file.unlink(missing_ok=True)

    def _watch(self) -> None:
        interval = float(self.get_option("interval"))
        told = self._started
        while not self._done.wait(1):
            now = time.monotonic()
            if self._task and now - max(told, self._started) >= interval:
                told = now
                self._display.display(self._line(now), color="dark gray")

    def _line(self, now: float) -> str:
        """The line for the running task: its name, the seconds so far, and the last thing its module told."""
        try:
            told = self._file.read_text().splitlines()[-1:]
        except OSError:
            told = []
        return ": ".join([f"   ... {self._task} ({now - self._started:.0f} s)", *told])
