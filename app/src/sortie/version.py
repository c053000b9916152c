"""The version of the application, which is the collection's."""

from __future__ import annotations

VERSION = "0.1.0"
