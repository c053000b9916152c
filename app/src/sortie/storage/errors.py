"""What can be wrong with the storage."""

from __future__ import annotations


class StorageError(Exception):
    """The database cannot be used; says why and what to do."""


class SchemaTooNew(StorageError):  # noqa: N818 - the name says what is wrong
    """The database was made by a newer release."""
