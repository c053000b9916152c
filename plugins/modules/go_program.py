#!/usr/bin/python
# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Builds a static program from Go modules, once for each content."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: go_program
short_description: Builds a static program from Go modules, once for each content
version_added: 0.1.0
description:
  - Builds from a directory with C(go.mod) and C(go.sum), or from a published module whose hash is given.
  - The result is kept in a cache by the hash of all that went in. What is there already is not built again; what is broken is.
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
    description: Name of the program.
    type: str
    required: true
  directory:
    description: Directory with the sources. Give this or O(module).
    type: path
  module:
    description: Path of a published module, whose own C(go.sum) and C(replace) lines apply.
    type: str
  version:
    description: Its version.
    type: str
    default: ""
  checksum:
    description: Its hash, C(h1:...), as in a C(go.sum).
    type: str
    default: ""
  package:
    description: Package of the program in the module.
    type: str
    default: .
  flags:
    description: Further flags of C(go build).
    type: list
    elements: str
    default: []
  ldflags:
    description: Flags of the linker.
    type: str
    default: ""
  keep:
    description: Files of the sources, by their path, that are wanted beside the program.
    type: list
    elements: str
    default: []
  arch:
    description: Processor architecture, in Go's words.
    type: str
    default: amd64
  go_least:
    description: Oldest version of Go that will do.
    type: str
    default: "1.24"
  go_command:
    description: The C(go) command.
    type: str
    default: go
"""

EXAMPLES = r"""
- name: Build metrics-server
  sortie.platform.go_program:
    cache_dir: ~/.cache/sortie-platform
    name: metrics-server
    module: sigs.k8s.io/metrics-server
    version: v0.7.2
    checksum: h1:0t1FhxdEHKHF/SduSRdkNHIYb24TpHqew2B/64GzOq8=
    package: ./cmd/metrics-server
"""

RETURN = r"""
path:
  description: Path of the program. In check mode, the path that it would have.
  returned: success
  type: str
  sample: /root/.cache/sortie-platform/go/metrics-server-0123456789abcdef/metrics-server
directory:
  description: Directory of the program and of what is kept beside it.
  returned: success
  type: str
  sample: /root/.cache/sortie-platform/go/metrics-server-0123456789abcdef
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sortie.platform.plugins.module_utils._go import Program, build, find_toolchain
from ansible_collections.sortie.platform.plugins.module_utils._store import Store, StoreError

ARGUMENTS: dict[str, Any] = {
    "cache_dir": {"type": "path", "required": True},
    "name": {"type": "str", "required": True},
    "directory": {"type": "path"},
    "module": {"type": "str"},
    "version": {"type": "str", "default": ""},
    "checksum": {"type": "str", "default": ""},
    "package": {"type": "str", "default": "."},
    "flags": {"type": "list", "elements": "str", "default": []},
    "ldflags": {"type": "str", "default": ""},
    "keep": {"type": "list", "elements": "str", "default": []},
    "arch": {"type": "str", "default": "amd64"},
    "go_least": {"type": "str", "default": "1.24"},
    "go_command": {"type": "str", "default": "go"},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        required_one_of=[("directory", "module")],
        mutually_exclusive=[("directory", "module")],
    )
    given = module.params
    store = Store(Path(given["cache_dir"]))
    program = Program(
        name=given["name"],
        directory=Path(given["directory"]) if given["directory"] else None,
        module=given["module"] or "",
        version=given["version"],
        checksum=given["checksum"],
        package=given["package"],
        flags=tuple(given["flags"]),
        ldflags=given["ldflags"],
        keep=tuple(given["keep"]),
    )
    try:
        go = find_toolchain(given["go_least"], given["go_command"])
        if module.check_mode:
            key = program.key(go.version, given["arch"])
            made = store.find("go", program.name, key) is None
            path = store.place("go", program.name, key)
        else:
            entry = build(store, program, go, given["arch"])
            made, path = entry.made, entry.path
    except StoreError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=made, path=str(path / program.name), directory=str(path))


if __name__ == "__main__":
    main()
