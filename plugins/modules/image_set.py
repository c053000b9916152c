#!/usr/bin/python
# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Collects container images in one image layout, once for each content."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: image_set
short_description: Collects container images in one image layout, once for each content
version_added: 0.1.0
description:
  - Assembles images from programs and files, or pulls them from a registry, into one OCI image layout in the cache.
  - Writes those that a node needs before it has a registry into one archive as well, as C(ctr images import) takes it.
author:
  - The Sortie platform maintainers (@sortie-platform)
attributes:
  check_mode:
    description: Can run in check mode and tell what it would do without changing anything.
    support: full
options:
  cache_dir:
    description: Directory of the cache.
    type: path
    required: true
  name:
    description: Name of the set.
    type: str
    required: true
  images:
    description: The images. One without O(images[].layers) is pulled.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Full name, with tag.
        type: str
        required: true
      layers:
        description: Its layers.
        type: list
        elements: dict
        default: []
        suboptions:
          files:
            description: Files of the control host, by their path in the image.
            type: dict
            default: {}
          links:
            description: Symbolic links, by their path in the image.
            type: dict
            default: {}
          directories:
            description: Directories.
            type: list
            elements: str
            default: []
          tar:
            description: A tar file with what is in the layer.
            type: path
          only:
            description: Which parts of it to take; all if left out.
            type: list
            elements: str
            default: []
      config:
        description: How it starts, with the keys of the image specification (C(Entrypoint), C(Cmd), C(Env), C(User)).
        type: dict
        default: {}
  archived:
    description: Names of those that belong into the archive.
    type: list
    elements: str
    default: []
  registry:
    description: Registry from which images are pulled instead of the one that their names begin with.
    type: str
    default: ""
  tls_verify:
    description: Whether that registry must have a trusted certificate.
    type: bool
    default: true
  arch:
    description: Processor architecture.
    type: str
    default: amd64
"""

EXAMPLES = r"""
- name: Collect the images of a cluster
  sortie.platform.image_set:
    cache_dir: ~/.cache/sortie-platform
    name: cluster
    images:
      - name: registry.k8s.io/pause:3.10.1
    archived:
      - registry.k8s.io/pause:3.10.1
"""

RETURN = r"""
layout:
  description: Path of the image layout.
  returned: success
  type: str
archive:
  description: Path of the archive.
  returned: success
  type: str
digests:
  description: Digest of each image, by name. Empty in check mode where the set would be made.
  returned: success
  type: dict
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sortie.platform.plugins.module_utils._go import GIBIBYTE, check_free_space
from ansible_collections.sortie.platform.plugins.module_utils._oci import (
    Image,
    Layer,
    Layout,
    manifests_of,
    write_archive,
)
from ansible_collections.sortie.platform.plugins.module_utils._pull import pull
from ansible_collections.sortie.platform.plugins.module_utils._store import Store, StoreError, key_of

LAYER: dict[str, Any] = {
    "files": {"type": "dict", "default": {}},
    "links": {"type": "dict", "default": {}},
    "directories": {"type": "list", "elements": "str", "default": []},
    "tar": {"type": "path"},
    "only": {"type": "list", "elements": "str", "default": []},
}
ARGUMENTS: dict[str, Any] = {
    "cache_dir": {"type": "path", "required": True},
    "name": {"type": "str", "required": True},
    "images": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "layers": {"type": "list", "elements": "dict", "default": [], "options": LAYER},
            "config": {"type": "dict", "default": {}},
        },
    },
    "archived": {"type": "list", "elements": "str", "default": []},
    "registry": {"type": "str", "default": ""},
    "tls_verify": {"type": "bool", "default": True},
    "arch": {"type": "str", "default": "amd64"},
}


def layer_of(given: dict[str, Any]) -> Layer:
    return Layer(
        files={path: Path(source) for path, source in given["files"].items()},
        links=given["links"],
        directories=tuple(given["directories"]),
        tar=Path(given["tar"]) if given["tar"] else None,
        only=tuple(given["only"]),
    )


def make(given: dict[str, Any], place: Path) -> None:
    check_free_space(place, 3 * GIBIBYTE, "the cluster's images")
    layout = Layout(place / "layout")
    assembled = [image for image in given["images"] if image["layers"]]
    for image in assembled:
        layers = [layer_of(layer) for layer in image["layers"]]
        layout.add(Image(image["name"], layers, image["config"]), given["arch"])
    layout.finish()
    for image in given["images"]:
        if image not in assembled:
            pull(
                image["name"],
                given["registry"],
                place / "layout",
                given["arch"],
                tls_verify=given["tls_verify"],
            )
    write_archive(place / "layout", given["archived"], place / "archive.tar")


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    store = Store(Path(given["cache_dir"]))
    # Programs and trees lie in the cache under the hash of what went into them, so their paths tell their content.
    key = key_of({name: given[name] for name in ("images", "archived", "registry", "arch")})
    place = store.place("images", given["name"], key)
    try:
        if module.check_mode:
            made = store.find("images", given["name"], key) is None
        else:
            made = store.get("images", given["name"], key, lambda partial: make(given, partial)).made
    except StoreError as error:
        module.fail_json(
            msg=f"The images of the set '{given['name']}' are not complete, nothing was changed: {error}"
        )
    layout = place / "layout"
    digests = (
        {name: image["digest"] for name, image in manifests_of(layout).items()} if layout.is_dir() else {}
    )
    module.exit_json(changed=made, layout=str(layout), archive=str(place / "archive.tar"), digests=digests)


if __name__ == "__main__":
    main()
