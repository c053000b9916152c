"""The inventories that come with the repository."""

from __future__ import annotations

from pathlib import Path

import yaml

LOCAL = Path(__file__).resolve().parents[2] / "inventories" / "local" / "hosts.yml"


def test_without_its_comment_signs_the_local_inventory_has_two_workers_more() -> None:
    text = LOCAL.read_text()
    assert "kube_workers" not in yaml.safe_load(text)["kube_nodes"]["children"]
    _before, mark, after = text.partition("take the comment signs away")
    assert mark
    opened = text.replace(after, after.replace("\n    # ", "\n    "))
    nodes = yaml.safe_load(opened)["kube_nodes"]["children"]
    assert list(nodes["kube_control_plane"]["hosts"]) == ["control-plane-1"]
    assert list(nodes["kube_workers"]["hosts"]) == ["worker-1", "worker-2"]
