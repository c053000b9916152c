# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""The error of everything that makes, keeps or restores snapshots."""

from __future__ import annotations


class BackupError(Exception):
    """What happened, the state things are in, and what to do next: one message for a person at 3 a.m."""

    def __init__(self, happened: str, *, state: str, next_step: str) -> None:
        super().__init__(f"{happened.rstrip('.')}. State: {state.rstrip('.')}. Next: {next_step}")
        self.happened = happened
        self.state = state
        self.next_step = next_step


class UnsuitableError(BackupError):
    """What is asked for does not go with this tenant. No run of its own that failed, so it is not recorded as one."""
