# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Tells whether a tenant answers as it should."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.sortie.platform.plugins.module_utils._catalog import wait_until_served
from ansible_collections.sortie.platform.plugins.module_utils._http import Client, Endpoint, HttpError


def check(
    endpoint: Endpoint,
    branding: Mapping[str, str],
    *,
    timeout: float = 5,
    wait: float = 0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Asks as a browser would: `healthy`, the `message` if not, and how many `milliseconds` it took.

    `timeout`: seconds for each answer. `wait`: seconds for which a tenant is asked again that is not reached yet.
    """
    client, started, message = Client(endpoint, timeout), clock(), ""
    try:
        wait_until_served(client, branding, wait, clock, sleep)
    except HttpError as error:
        message = str(error)
    finally:
        client.close()
    return {"healthy": not message, "message": message, "milliseconds": round((clock() - started) * 1000)}
