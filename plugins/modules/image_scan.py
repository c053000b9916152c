#!/usr/bin/python
# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Looks for known vulnerabilities in what an image's bill of materials names."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: image_scan
short_description: Looks for known vulnerabilities in an image
version_added: 0.1.0
description:
  - Looks up what a bill of materials (CycloneDX) names in databases of osv.dev that lie on this machine, by osv-scanner.
  - An ecosystem without a database counts as not checked, and is told.
author:
  - The Sortie platform maintainers (@sortie-platform)
attributes:
  check_mode:
    description: Can run in check mode; it then writes no record.
    support: full
options:
  bill:
    description: Path of the bill of materials, as M(sortie.platform.app_image) writes it.
    type: path
    required: true
  program:
    description: Path of osv-scanner, version 2.
    type: path
    required: true
  database:
    description: Directory with the databases, each as C(osv-scanner/ECOSYSTEM/all.zip).
    type: path
    required: true
  severity:
    description: The least severity that counts. What nobody has scored counts with V(low) alone.
    type: str
    choices: [low, medium, high, critical]
    default: high
  allowed:
    description: Vulnerabilities that do not count for a while. An entry whose time is over is an error.
    type: list
    elements: dict
    default: []
    suboptions:
      id:
        description: Name of the vulnerability, or one of its other names.
        type: str
        required: true
      reason:
        description: Why it does not count.
        type: str
        required: true
      until:
        description: The last day, as C(YYYY-MM-DD).
        type: str
        required: true
  required:
    description: Fails if something was found, or not everything could be checked; otherwise it is only told.
    type: bool
    default: false
  record:
    description: Path of the file that holds the result as JSON.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Scan the application's image
  sortie.platform.image_scan:
    bill: .local/image.cdx.json
    program: /usr/local/bin/osv-scanner
    database: ~/.cache/sortie-platform/osv
    severity: high
    allowed:
      - id: CVE-2030-12345
        reason: the function is not called
        until: "2030-01-31"
    required: true
    record: .local/image.scan.json
"""

RETURN = r"""
summary:
  description: The result in one line.
  returned: success
  type: str
  sample: "98 packages checked; vulnerabilities of severity high or above: 0, below: 3, allowed: 1 (databases: Debian of 2030-01-02)"
result:
  description: The result as it is recorded; C(state) is C(checked), C(partly checked) or C(no database).
  returned: success
  type: dict
"""

import datetime
import json
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sortie.platform.plugins.module_utils._image import write_whole
from ansible_collections.sortie.platform.plugins.module_utils._vulnerabilities import (
    SEVERITIES,
    ScanError,
    Verdict,
    read_allowances,
    read_packages,
    scan,
)

ARGUMENTS: dict[str, Any] = {
    "bill": {"type": "path", "required": True},
    "program": {"type": "path", "required": True},
    "database": {"type": "path", "required": True},
    "severity": {"type": "str", "choices": list(SEVERITIES), "default": "high"},
    "allowed": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "id": {"type": "str", "required": True},
            "reason": {"type": "str", "required": True},
            "until": {"type": "str", "required": True},
        },
    },
    "required": {"type": "bool", "default": False},
    "record": {"type": "path", "required": True},
}


def refusal(verdict: Verdict, given: dict[str, Any]) -> str:
    """Why the image must not be used; empty if it may be."""
    if verdict.not_checked:
        missing = [f"{given['database']}/osv-scanner/{name}/all.zip" for name in verdict.not_checked]
        return (
            f"The image could not be checked: {verdict.summary(given['severity'])}. It was not pushed. "
            f"Next: bring {', '.join(missing)} (docs/supply-chain.md says from where), or set image_scan: report"
        )
    if verdict.found:
        listed = "\n".join(f"  {one}" for one in verdict.found)
        return (
            f"The image has known vulnerabilities of severity {given['severity']} or above; it was not pushed:\n{listed}\n"
            "Next: take newer packages (-e image_base_refresh=true, app/requirements.lock), or allow one for a while with a "
            "reason (image_scan_allowed)"
        )
    return ""


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    today = datetime.datetime.now(datetime.UTC).date()
    try:
        allowances = read_allowances(given["allowed"], today)
    except ScanError as error:
        module.fail_json(
            msg=f"image_scan_allowed has entries that are no good; nothing was scanned and nothing pushed:\n{error}\n"
            "Next: mend or remove them, then run this again"
        )
    try:
        packages = read_packages(json.loads(Path(given["bill"]).read_text()))
        verdict = scan(
            Path(given["program"]), packages, Path(given["database"]), given["severity"], allowances
        )
    except (ScanError, OSError, ValueError, KeyError) as error:
        module.fail_json(
            msg=f"The image could not be scanned: {error}. It was not pushed. "
            "Next: mend that and run this again, or set image_scan: none"
        )
    result = verdict.as_record()
    content = f"{json.dumps(result, indent=2)}\n".encode()
    record = Path(given["record"])
    changed = not record.is_file() or record.read_bytes() != content
    if changed and not module.check_mode:
        write_whole(record, content)
    problem = refusal(verdict, given) if given["required"] else ""
    if problem:
        module.fail_json(msg=problem, result=result)
    module.exit_json(changed=changed, result=result, summary=verdict.summary(given["severity"]))


if __name__ == "__main__":
    main()
