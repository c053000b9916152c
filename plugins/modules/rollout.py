#!/usr/bin/python
# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Waits until workloads have become what was applied."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rollout
short_description: Waits until workloads have become what was applied
version_added: 0.1.0
description:
  - Waits for all given Deployments, DaemonSets, Jobs and Clusters of CloudNativePG at once.
  - A Deployment is there when its controller has seen the newest generation, every pod is of the newest
    template and available, and no older pod is left, which holds for the strategy C(Recreate) as well. A Job
    is there when it is complete, a Cluster when its operator calls it healthy and all instances are ready.
  - What no waiting mends is told as soon as it is certain - a failed Job, an image that cannot be pulled, a
    container that keeps crashing - with the pod's reason and its last log lines.
  - One workload's failure ends the wait for no other. The task does not fail; the result tells each one's
    outcome.
author:
  - The Sortie platform maintainers (@sortie-platform)
attributes:
  check_mode:
    description: Can run in check mode and tell what it would do without changing anything.
    support: full
extends_documentation_fragment: [sortie.platform.cluster]
options:
  workloads:
    description: What to wait for.
    type: list
    elements: dict
    required: true
    suboptions:
      tenant:
        description: The tenant it belongs to, by which the result is told.
        type: str
        required: true
      namespace:
        description: Its namespace.
        type: str
        required: true
      name:
        description: Its name.
        type: str
        required: true
      kind:
        description: Its kind.
        type: str
        choices: [Cluster, DaemonSet, Deployment, Job]
        default: Deployment
      timeout:
        description: Seconds to wait for it.
        type: float
        default: 180
requirements:
  - kubernetes
"""

EXAMPLES = r"""
- name: Wait until acme runs what was applied
  sortie.platform.rollout:
    kubeconfig: .local/kubeconfig
    workloads:
      - tenant: acme
        namespace: sortie-acme
        name: sortie
  register: rollout
  failed_when: rollout.failures | length > 0
"""

RETURN = r"""
failures:
  description: Why a tenant's workloads are not there, by tenant; empty if all are.
  returned: always
  type: dict
  sample:
    acme: "Deployment sortie-acme/sortie: pod sortie-6d4 cannot have its image sortie:1: ErrImagePull: ..."
logs:
  description: The last log lines of the container that failed, by tenant.
  returned: always
  type: dict
  sample: {}
waited:
  description: Seconds it took.
  returned: always
  type: float
  sample: 6.1
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sortie.platform.plugins.module_utils._cluster import (
    AUTH_ARGUMENTS,
    Cluster,
    ClusterError,
)
from ansible_collections.sortie.platform.plugins.module_utils._rollout import (
    JUDGES,
    Workload,
    wait,
)

ARGUMENTS: dict[str, Any] = {
    **AUTH_ARGUMENTS,
    "workloads": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "tenant": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
            "kind": {"type": "str", "choices": sorted(JUDGES), "default": "Deployment"},
            "timeout": {"type": "float", "default": 180},
        },
    },
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    workloads = [Workload(**workload) for workload in module.params["workloads"]]
    try:
        waited = wait(Cluster(module.params["kubeconfig"], module.params["context"]), workloads)
    except ClusterError as error:
        module.fail_json(msg=f"The cluster does not tell how the workloads are: {error}")
    failed = [workload for workload in workloads if workload.failed]
    failures: dict[str, list[str]] = {}
    logs: dict[str, list[str]] = {}
    for workload in failed:
        failures.setdefault(workload.tenant, []).append(f"{workload}: {workload.message}")
        if workload.log:
            logs.setdefault(workload.tenant, []).extend(workload.log)
    module.exit_json(
        changed=False,
        failures={tenant: "; ".join(messages) for tenant, messages in failures.items()},
        logs=logs,
        waited=round(waited, 1),
    )


if __name__ == "__main__":
    main()
