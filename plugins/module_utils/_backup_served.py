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

_ASK = (
    "import sys, urllib.request; "
    "urllib.request.urlopen('http://127.0.0.1:8080/readyz', timeout=10).read(); "
    "sys.stdout.buffer.write(urllib.request.urlopen('http://127.0.0.1:8080/api/apps', timeout=10).read())"
)


def served_applications(api: StreamApi, container: Container) -> list[dict[str, Any]]:
    """What /api/apps answers without signing in; ExecError if the application is not ready."""
    found: list[dict[str, Any]] = json.loads(run(api, container, "python3", "-c", _ASK))
    return found


def catalogue_digest(applications: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How many applications there are, and a sha256 of what every release shows in the same way."""
    shown = sorted([app["id"], app["name"], app["url"]] for app in applications)
    text = json.dumps(shown, ensure_ascii=False, separators=(",", ":"))
    return {"applications": len(shown), "sha256": hashlib.sha256(text.encode()).hexdigest()}
