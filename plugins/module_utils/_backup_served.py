# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""What an application serves, asked from inside its own container: no network, ingress or name is needed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.sortie.platform.plugins.module_utils._exec import (
    Container,
    StreamApi,
    run,
)

_ASK = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=10)
for path in ("/readyz", "/api/apps"):
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        sys.exit(f"{path} answers {answer.status}: {body[:300].decode(errors='replace')}")
sys.stdout.buffer.write(body)
"""


def served_applications(api: StreamApi, container: Container) -> list[dict[str, Any]]:
    """What /api/apps answers without signing in; ExecError if the application is not ready."""
    found: list[dict[str, Any]] = json.loads(run(api, container, "python3", "-c", _ASK))
    return found


def catalogue_digest(applications: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How many applications there are, and a sha256 of what every release shows in the same way."""
    shown = sorted([app["id"], app["name"], app["url"]] for app in applications)
    text = json.dumps(shown, ensure_ascii=False, separators=(",", ":"))
    return {"applications": len(shown), "sha256": hashlib.sha256(text.encode()).hexdigest()}
