#!/usr/bin/python
# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Verifies that images are signed by the keys that they must be signed by."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: image_verify
short_description: Verifies the signatures of images
version_added: 0.1.0
description:
  - Asks the images' registries for their signatures, which cosign or M(sortie.platform.app_image) made, and fails if one is missing or
    wrong. It tells of all such images at once, and changes nothing.
author:
  - The Sortie platform maintainers (@sortie-platform)
attributes:
  check_mode:
    description: Can run in check mode; it changes nothing in any case.
    support: full
options:
  images:
    description: The images.
    type: list
    elements: dict
    required: true
    suboptions:
      tenant:
        description: Whose image it is.
        type: str
        required: true
      variable:
        description: The variable that names it.
        type: str
        required: true
      image:
        description: The image with its digest, as C(registry/name@sha256:...); a tag may stand before the digest.
        type: str
        required: true
      public_key:
        description: The public key (ECDSA P-256) in PEM form, or the path of its file.
        type: str
        required: true
  registries:
    description:
      - How to speak to registries, by host and port. Of others the credentials of C(podman login) and C(docker login) are used, and
        certificates are checked except on this machine itself.
      - A dictionary of C(auth_file), a path, and C(tls_verify).
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Verify the images of tenants
  sortie.platform.image_verify:
    images:
      - tenant: acme
        variable: sortie_image
        image: registry.example.com/sortie@sha256:994904cdde32241ff38cdcd6b472477e65c33a7f6a2c4a7a165d8129fe45ab4f
        public_key: keys/sortie.pub
    registries:
      registry.example.com:
        auth_file: ~/.config/sortie/auth.json
"""

RETURN = r"""
verified:
  description: The images, each once.
  returned: success
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sortie.platform.plugins.module_utils._image_registry import registry_of
from ansible_collections.sortie.platform.plugins.module_utils._image_signature import (
    PublicKey,
    read_public_key,
    split_reference,
    verify,
)

ARGUMENTS: dict[str, Any] = {
    "images": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "tenant": {"type": "str", "required": True},
            "variable": {"type": "str", "required": True},
            "image": {"type": "str", "required": True},
            "public_key": {"type": "str", "required": True, "no_log": False},
        },
    },
    "registries": {"type": "dict", "default": {}},
}


def problem_of(image: str, public_key: str, registries: dict[str, Any]) -> str:
    """Why an image is not to be used; empty if it may be."""
    try:
        key: PublicKey = read_public_key(public_key)
        host, path, name, digest = split_reference(image)
    except ValueError as error:
        return str(error)
    return verify(registry_of(host, path, registries), name, digest, key)


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    # Tenants mostly share an image.
    wanted = {(each["image"], each["public_key"]) for each in given["images"]}
    problems = {pair: problem_of(*pair, given["registries"]) for pair in sorted(wanted)}
    refused = [each for each in given["images"] if problems[each["image"], each["public_key"]]]
    if refused:
        told = "\n".join(
            f"  {each['tenant']}: {each['variable']} {each['image']}: {problems[each['image'], each['public_key']]}"
            for each in refused
        )
        module.fail_json(
            msg=f"Images that are not signed as they must be; no tenant was changed:\n{told}\n"
            "Next: for images of this collection, run playbooks/image.yml, which signs them; for others, see who pushed them and "
            "sign them (docs/supply-chain.md), or set another image or another key (<variable>_public_key)."
        )
    module.exit_json(changed=False, verified=sorted({image for image, _key in wanted}))


if __name__ == "__main__":
    main()
