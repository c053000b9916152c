# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Tells whether a tenant answers as it should."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.sortie.platform.plugins.module_utils._catalog import verify
from ansible_collections.sortie.platform.plugins.module_utils._http import Client, Endpoint, HttpError


def check(
    endpoint: Endpoint,
    branding: Mapping[str, str],
    timeout: float = 5,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Asks once, as a browser would: `healthy`, the `message` if not, and how many `milliseconds` it took."""
    client, started, message = Client(endpoint, timeout), clock(), ""
    try:
        verify(client, branding)
    except HttpError as error:
        message = str(error)
    finally:
        client.close()
    return {"healthy": not message, "message": message, "milliseconds": round((clock() - started) * 1000)}
