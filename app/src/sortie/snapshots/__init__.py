"""Snapshots of the SQLite database: take one while the application writes, check one, put one in place.

`copy` makes a consistent copy, `check` says what a database file holds and whether it is whole, `volume`
swaps a restored file in and out of the data directory so that it can be interrupted anywhere, `commands` is
the command line of all three.
"""

from __future__ import annotations

from .commands import add_commands
from .volume import recover

__all__ = ["add_commands", "recover"]
