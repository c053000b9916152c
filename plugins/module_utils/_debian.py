# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Makes Debian file trees by mmdebstrap, from the package sources that this machine itself uses."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.sortie.platform.plugins.module_utils._go import GIBIBYTE, check_free_space
from ansible_collections.sortie.platform.plugins.module_utils._store import Entry, Store, StoreError, key_of

TREE = "tree.tar"
LAST_LINES = 15


@dataclass(frozen=True)
class Tree:
    """A Debian tree: mmdebstrap's variant (`extract` only unpacks packages), packages, hooks, and what to leave out."""

    name: str
    suite: str
    variant: str
    packages: Sequence[str]
    hooks: Sequence[str] = ()
    excludes: Sequence[str] = ()

    def key(self, arch: str) -> str:
        return key_of(
            [self.suite, self.variant, sorted(self.packages), list(self.hooks), list(self.excludes), arch]
        )


def make_tree(store: Store, tree: Tree, arch: str) -> Entry:
    """The entry with the tree as `tree.tar`."""

    def make(place: Path) -> None:
        command = shutil.which("mmdebstrap")
        if command is None:
            raise StoreError(
                "mmdebstrap is missing, which makes Debian trees. Nothing was changed. Next: apt-get install mmdebstrap"
            )
        check_free_space(place, 2 * GIBIBYTE, "a Debian tree")
        arguments = [command, "--quiet", f"--variant={tree.variant}", f"--include={','.join(tree.packages)}"]
        arguments += [f"--dpkgopt=path-exclude={pattern}" for pattern in tree.excludes]
        # Where packages are only unpacked, mmdebstrap has no other hook than this.
        kind = "extract-hook" if tree.variant == "extract" else "customize-hook"
        arguments += [f"--{kind}={hook}" for hook in tree.hooks]
        arguments += [f"--architectures={arch}", tree.suite, str(place / TREE)]
        # A fixed time: the same packages give the same tree, byte for byte.
        environment = {**os.environ, "SOURCE_DATE_EPOCH": "0", "DEBIAN_FRONTEND": "noninteractive"}
        answer = subprocess.run(arguments, capture_output=True, text=True, check=False, env=environment)
        if answer.returncode:
            told = "\n".join((answer.stderr or answer.stdout).strip().splitlines()[-LAST_LINES:])
            raise StoreError(
                f"the Debian tree '{tree.name}' ({tree.suite}) could not be made. Check that this machine's package sources "
                f"answer (apt-get update), then run this again. mmdebstrap said:\n{told}"
            )

    return store.get("debian", tree.name, tree.key(arch), make)
