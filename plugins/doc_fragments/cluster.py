# Copyright: The Sortie platform maintainers
# Apache-2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""The options of every module that asks a cluster."""

from __future__ import annotations


class ModuleDocFragment:
    """What AUTH_ARGUMENTS of the module utility `_cluster` are for."""

    DOCUMENTATION = r"""
options:
  kubeconfig:
    description: Path of the cluster's kubeconfig.
    type: path
    required: true
  context:
    description: Context in it; its own current one if left out.
    type: str
"""
