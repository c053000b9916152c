"""Work on whole databases: say whether a PostgreSQL will do, copy all rows from one database to another.

`check` looks at a PostgreSQL without changing it, `copy` moves every table and proves that it did, `commands` is the
command line of both.
"""

from __future__ import annotations

from .commands import add_commands

__all__ = ["add_commands"]
