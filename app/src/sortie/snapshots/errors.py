"""The one error of this package."""

from __future__ import annotations


class SnapshotError(Exception):
    """Says what happened, in what state things are, and what to do."""
