#!/usr/bin/python
# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Brings the application's image to the state that its sources describe."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: app_image
short_description: Builds, pushes and records the application's image
version_added: 0.1.0
description:
  - Builds the application's image if its content changed, pushes it if the registry does not have it, and
    records its digest in a file.
  - Says what is in the image in a software bill of materials (CycloneDX), and signs the image as cosign does. Both are pushed
    beside it, under tags made of its digest; the bill is also written beside the record.
  - The content is the application's sources with their Containerfile and lock file, the tools that build it,
    and the base. Equal content gives an equal digest, with each of the builders.
  - What is built is kept in a cache by the hash of the content; an entry that was damaged is made again.
author:
  - The Sortie platform maintainers (@sortie-platform)
attributes:
  check_mode:
    description: Can run in check mode and tell what it would do without changing anything.
    support: full
options:
  name:
    description: The image's name, without its registry.
    type: str
    required: true
  source:
    description: Directory of the application, with its C(Containerfile) and C(requirements.lock).
    type: path
    required: true
  prepare:
    description: Path of the script that finishes the Debian base from inside.
    type: path
    required: true
  tools:
    description: Path of the lock file of pip and setuptools, which build the application.
    type: path
    required: true
  base:
    description:
      - Name of the image that both stages stand on; it has Python 3.11 or newer and glibc.
      - Empty for a Debian base that mmdebstrap makes from the package sources of this machine.
      - A name without a digest is resolved once and then kept; see O(refresh_base).
    type: str
    default: ""
  refresh_base:
    description:
      - Makes or pulls the base anew, for newer packages. The image is built again if the base became another.
    type: bool
    default: false
  builder:
    description: The program that builds.
    type: str
    choices: [buildah, podman, docker]
    default: buildah
  version:
    description: The version in the image's tag and label. Read from C(pyproject.toml) if empty.
    type: str
    default: ""
  registry:
    description: Where the image goes, host and port with a path behind them if needed.
    type: str
    required: true
  auth_file:
    description:
      - Path of the registries' credentials, as C(podman login --authfile) writes them. None if empty.
    type: path
    default: ""
  tls_verify:
    description: Whether the registry must have a certificate that this machine trusts.
    type: bool
    default: true
  push:
    description: Whether to push.
    type: bool
    default: true
  sign:
    description: Whether an image that is pushed is signed.
    type: bool
    default: true
  signing_key:
    description: Path of the private key (ECDSA P-256, in PEM form) that signs. Required if O(sign).
    type: path
  signing_key_password:
    description: Its password, if it has one.
    type: str
    default: ""
  make_signing_key:
    description: Makes the key if it is not there, with its public key beside it (C(.pub)).
    type: bool
    default: false
  cache:
    description: Directory of the build cache.
    type: path
    required: true
  record:
    description: Path of the file that holds the result as JSON.
    type: path
    required: true
  python:
    description: Path of a Python interpreter with pip, for the download of the wheels.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Build and push the application's image
  sortie.platform.app_image:
    name: sortie
    source: app
    prepare: roles/image/files/prepare_base.py
    tools: roles/image/files/tools.lock
    registry: localhost:5000
    tls_verify: false
    cache: ~/.cache/sortie-platform
    record: .local/image.json
    signing_key: .local/signing/cosign.key
    make_signing_key: true
    python: "{{ ansible_playbook_python }}"
"""

RETURN = r"""
done:
  description: >-
    What was done, or in check mode would be, of C(built), C(pushed), C(described), C(signed) and C(recorded).
  returned: success
  type: list
  elements: str
  sample: [built, pushed, described, signed, recorded]
image:
  description:
    - The image's names, its digest, and the public key of its signature if it is signed; in check mode before a build, those
      that are recorded.
  returned: success
  type: dict
  sample:
    reference: localhost:5000/sortie@sha256:994904cdde32241ff38cdcd6b472477e65c33a7f6a2c4a7a165d8129fe45ab4f
    tag: localhost:5000/sortie:0.1.0-7daf7896f868
    digest: sha256:994904cdde32241ff38cdcd6b472477e65c33a7f6a2c4a7a165d8129fe45ab4f
    public_key: |
      -----BEGIN PUBLIC KEY-----
      ...
      -----END PUBLIC KEY-----
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sortie.platform.plugins.module_utils._image import Request, ensure
from ansible_collections.sortie.platform.plugins.module_utils._image_registry import Registry
from ansible_collections.sortie.platform.plugins.module_utils._image_run import ImageError

ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "source": {"type": "path", "required": True},
    "prepare": {"type": "path", "required": True},
    "tools": {"type": "path", "required": True},
    "base": {"type": "str", "default": ""},
    "refresh_base": {"type": "bool", "default": False},
    "builder": {"type": "str", "choices": ["buildah", "podman", "docker"], "default": "buildah"},
    "version": {"type": "str", "default": ""},
    "registry": {"type": "str", "required": True},
    "auth_file": {"type": "path", "default": ""},
    "tls_verify": {"type": "bool", "default": True},
    "push": {"type": "bool", "default": True},
    "sign": {"type": "bool", "default": True},
    "signing_key": {"type": "path", "no_log": False},
    "signing_key_password": {"type": "str", "default": "", "no_log": True},
    "make_signing_key": {"type": "bool", "default": False},
    "cache": {"type": "path", "required": True},
    "record": {"type": "path", "required": True},
    "python": {"type": "path", "required": True},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        required_if=[("sign", True, ["signing_key"])],
        supports_check_mode=True,
    )
    given = module.params
    request = Request(
        name=given["name"],
        source=Path(given["source"]),
        prepare=Path(given["prepare"]),
        tools=Path(given["tools"]),
        registry=Registry(
            given["registry"].rstrip("/"),
            Path(given["auth_file"]) if given["auth_file"] else None,
            given["tls_verify"],
        ),
        cache=Path(given["cache"]),
        record=Path(given["record"]),
        python=given["python"],
        builder=given["builder"],
        base=given["base"],
        refresh_base=given["refresh_base"],
        push=given["push"],
        version=given["version"],
        signing_key=Path(given["signing_key"]) if given["sign"] else None,
        signing_key_password=given["signing_key_password"],
        make_signing_key=given["make_signing_key"],
    )
    try:
        outcome = ensure(request, module.check_mode)
    except ImageError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(outcome.done), done=outcome.done, image=outcome.image)


if __name__ == "__main__":
    main()
