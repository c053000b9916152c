"""The progress callback tells of long tasks, and of nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.sortie.platform.plugins.callback.progress import CallbackModule


class Lines:
    """Collects what a callback displays."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def display(self, line: str, color: str | None = None) -> None:
        self.lines.append(line)


@pytest.fixture
def callback() -> Any:
    made = CallbackModule()
    made._display = Lines()
    made.get_option = lambda name: 0.1
    yield made
    made.v2_playbook_on_stats(None)


def run_task(callback: Any, name: str) -> None:
    callback.v2_playbook_on_task_start(SimpleNamespace(get_name=lambda: name), False)


def wait_for_lines(callback: Any) -> list[str]:
    for _ in range(100):
        if callback._display.lines:
            break
        callback._done.wait(0.1)
    return list(callback._display.lines)


def test_a_long_task_is_told_with_its_name_and_time(callback: Any) -> None:
    callback.v2_playbook_on_start(None)
    run_task(callback, "Build everything")
    line = wait_for_lines(callback)[0]
    assert line.startswith("   ... Build everything (")
    assert line.endswith(" s)")


def test_what_a_module_wrote_last_is_told_with_it(callback: Any) -> None:
    callback.v2_playbook_on_start(None)
    run_task(callback, "Build everything")
    Path(os.environ["SORTIE_PROGRESS_FILE"]).write_text("compiling etcd\ncompiling kubelet\n")
    assert wait_for_lines(callback)[0].endswith(": compiling kubelet")


def test_a_new_task_forgets_what_the_last_one_told(callback: Any) -> None:
    run_task(callback, "First")
    progress = Path(os.environ["SORTIE_PROGRESS_FILE"])
    progress.write_text("half done\n")
    run_task(callback, "Second")
    assert progress.read_text() == ""


def test_the_progress_file_goes_with_the_run() -> None:
    made = CallbackModule()
    progress = Path(os.environ["SORTIE_PROGRESS_FILE"])
    assert progress.exists()
    made.v2_playbook_on_stats(None)
    assert not progress.exists()
