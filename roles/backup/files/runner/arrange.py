# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Runs inside the runner's build: puts the collection and the programs where they belong."""

from __future__ import annotations

import shutil
from pathlib import Path

SOURCE = Path("source")
COLLECTION = Path("/app/collections/ansible_collections/sortie/platform")
PROGRAMS = Path("/runner/usr/local/bin")
SETTINGS = """[defaults]
collections_path = /app/collections
inject_facts_as_vars = false
interpreter_python = auto_silent
retry_files_enabled = false
callback_result_format = yaml
display_skipped_hosts = false
local_tmp = /tmp/.ansible/tmp
remote_tmp = /tmp/.ansible/tmp

[connection]
pipelining = true
"""

shutil.copytree(SOURCE / "collection", COLLECTION)
Path("/app/ansible.cfg").write_text(SETTINGS)
PROGRAMS.mkdir(parents=True)
for program in ("busybox", "restic"):
    shutil.copyfile(SOURCE / "bin" / program, PROGRAMS / program)
    (PROGRAMS / program).chmod(0o755)
# Ansible's local connection asks for /bin/sh and these.
Path("/runner/bin").mkdir()
for name in ("sh", "sleep", "mkdir", "chmod", "rm", "env", "ls", "cat", "uname"):
    Path("/runner/bin", name).symlink_to("/usr/local/bin/busybox")
shutil.copytree(SOURCE / "status.d", "/runner/var/lib/dpkg/status.d")
shutil.copytree(SOURCE / "locale", "/runner/usr/lib/locale/C.utf8")
