#!/usr/bin/python
# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Makes the credentials of the cluster's own registry."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: registry_credentials
short_description: Makes the credentials of the cluster's own registry
version_added: 0.1.0
description:
  - Makes a password once, and keeps it as C(auth.json), as container tools read it, and as C(htpasswd) for the registry. Both are for their owner alone.
  - The result contains the password in two forms. Run it with C(no_log=true).
author:
  - The Sortie platform maintainers (@sortie-platform)
attributes:
  check_mode:
    description: Can run in check mode and tell what it would do without changing anything.
    support: full
options:
  directory:
    description: Directory on the control host that holds the files.
    type: path
    required: true
  registry:
    description: Name under which the registry is reached, for example V(localhost:5000).
    type: str
    required: true
requirements:
  - bcrypt
"""

EXAMPLES = r"""
- name: Make the registry's credentials
  sortie.platform.registry_credentials:
    directory: .local/registry
    registry: localhost:5000
  no_log: true
"""

RETURN = r"""
authorization:
  description: Value of the HTTP header with which the registry is used.
  returned: success
  type: str
htpasswd:
  description: Content of the file that the registry checks it by.
  returned: success
  type: str
"""

import base64
import json
import secrets
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

USER = "sortie"
ARGUMENTS: dict[str, Any] = {
    "directory": {"type": "path", "required": True},
    "registry": {"type": "str", "required": True},
}


def read(directory: Path, registry: str) -> tuple[str, str] | None:
    """(authorization, htpasswd), if both files are there and of this registry."""
    try:
        auth = json.loads((directory / "auth.json").read_text())["auths"][registry]["auth"]
        return f"Basic {auth}", (directory / "htpasswd").read_text()
    except (OSError, ValueError, KeyError):
        return None


def hashed(password: str) -> str:
    import bcrypt  # noqa: PLC0415 (only needed once in the life of an installation)

    digest: bytes = bcrypt.hashpw(password.encode(), bcrypt.gensalt(10))
    return f"{USER}:{digest.decode()}\n"


def make(directory: Path, registry: str) -> tuple[str, str]:
    password = secrets.token_urlsafe(24)
    auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
    htpasswd = hashed(password)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, content in (
        ("htpasswd", htpasswd),
        ("auth.json", json.dumps({"auths": {registry: {"auth": auth}}})),
    ):
        partial = directory / f".{name}.partial"
        partial.touch(mode=0o600)
        partial.write_text(content)
        partial.replace(directory / name)
    return f"Basic {auth}", htpasswd


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    directory, registry = Path(module.params["directory"]), module.params["registry"]
    found = read(directory, registry)
    if found is None and module.check_mode:
        module.exit_json(changed=True, authorization="", htpasswd="")
    authorization, htpasswd = found or make(directory, registry)
    module.exit_json(changed=found is None, authorization=authorization, htpasswd=htpasswd)


if __name__ == "__main__":
    main()
