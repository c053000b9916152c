#!/usr/bin/python
# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Pushes images of an image layout into a registry."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: image_push
short_description: Pushes images of an image layout into a registry
version_added: 0.1.0
description:
  - Pushes those images whose digest the registry does not have under their name, several at a time. The first part of each name is replaced by the registry.
author:
  - The Sortie platform maintainers (@sortie-platform)
attributes:
  check_mode:
    description: Can run in check mode and tell what it would do without changing anything.
    support: full
options:
  layout:
    description: Path of the image layout, from M(sortie.platform.image_set).
    type: path
    required: true
  images:
    description: Names of the images.
    type: list
    elements: str
    required: true
  registry:
    description: The registry.
    type: str
    required: true
  auth_file:
    description: File with its credentials, as container tools write it.
    type: path
    required: true
  tls_verify:
    description: Whether the registry must have a trusted certificate.
    type: bool
    default: false
requirements:
  - skopeo
"""

EXAMPLES = r"""
- name: Push the images of a cluster
  sortie.platform.image_push:
    layout: /root/.cache/sortie-platform/images/cluster-build-0123456789abcdef/layout
    images: [registry.k8s.io/pause:3.10.1]
    registry: localhost:5000
    auth_file: .local/registry/auth.json
"""

RETURN = r"""
pushed:
  description: The images that the registry did not have.
  returned: success
  type: list
  elements: str
"""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sortie.platform.plugins.module_utils._oci import manifests_of
from ansible_collections.sortie.platform.plugins.module_utils._pull import mirrored, push_all

ARGUMENTS: dict[str, Any] = {
    "layout": {"type": "path", "required": True},
    "images": {"type": "list", "elements": "str", "required": True},
    "registry": {"type": "str", "required": True},
    "auth_file": {"type": "path", "required": True},
    "tls_verify": {"type": "bool", "default": False},
}
QUESTIONS_AT_A_TIME = 4


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    layout, registry, auth_file = Path(given["layout"]), given["registry"], Path(given["auth_file"])
    digests = {name: manifest["digest"] for name, manifest in manifests_of(layout).items()}

    def is_missing(name: str) -> bool:
        answer = subprocess.run(
            [
                *("skopeo", "inspect", "--format", "{{.Digest}}", "--authfile", str(auth_file)),
                *(f"--tls-verify={str(given['tls_verify']).lower()}", f"docker://{mirrored(name, registry)}"),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        return bool(answer.stdout.strip() != digests[name])

    with ThreadPoolExecutor(QUESTIONS_AT_A_TIME) as pool:
        answers = dict(zip(given["images"], pool.map(is_missing, given["images"]), strict=True))
    missing = [name for name, is_so in answers.items() if is_so]
    if not module.check_mode:
        problems = push_all(layout, missing, registry, auth_file, tls_verify=given["tls_verify"])
        if problems:
            told = "; ".join(f"{name}: {problem}" for name, problem in problems.items())
            module.fail_json(
                msg=f"Registry {registry} refused {len(problems)} of {len(missing)} images: {told}. The others are there. "
                f"Look at the registry with: curl -i http://{registry}/v2/"
            )
    module.exit_json(changed=bool(missing), pushed=missing)


if __name__ == "__main__":
    main()
