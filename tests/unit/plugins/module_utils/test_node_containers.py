"""Which arguments node containers get, and what stops them from being made."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest

from ansible_collections.sortie.platform.plugins.module_utils import _node_containers
from ansible_collections.sortie.platform.plugins.module_utils._go import check_free_space
from ansible_collections.sortie.platform.plugins.module_utils._machine import Machine, raise_inotify_limits
from ansible_collections.sortie.platform.plugins.module_utils._node_containers import (
    VOLUMES,
    Node,
    NodeError,
    Plan,
    Podman,
    ensure,
    port_problem,
    run_arguments,
)

LIMITED = Machine(cgroup_version=1, may_raise_limits=False, open_files=20000)
FREE = Machine(cgroup_version=2, may_raise_limits=True, open_files=1048576)


def plan(port: int = 1) -> Plan:
    node = Node("control-plane-1", "10.91.0.11", {443: port})
    return Plan("sortie", "10.91.0.0/24", Path("/cache/debian/node-0123456789abcdef/tree.tar"), [node])


def arguments(machine: Machine) -> str:
    return " ".join(run_arguments(plan(8443), plan(8443).nodes[0], machine))


def test_a_node_survives_stop_kill_and_neighbours() -> None:
    given = arguments(LIMITED)
    for part in (
        "--ip 10.91.0.11",
        "--cgroupns=private",
        "--stop-signal 37",
        "--tmpfs /run",
        "--pids-limit=-1",
        "--privileged",
    ):
        assert part in given
    for name, path in VOLUMES.items():
        assert f"--volume sortie-control-plane-1-{name}:{path}" in given


def test_limits_of_inotify_are_raised_and_never_lowered(tmp_path: Path) -> None:
    (tmp_path / "max_user_instances").write_text("128\n")
    (tmp_path / "max_user_watches").write_text("9000000\n")
    assert raise_inotify_limits(tmp_path) == ["fs.inotify.max_user_instances raised to 1024"]
    assert raise_inotify_limits(tmp_path) == []
    assert (tmp_path / "max_user_watches").read_text() == "9000000\n"


def test_ports_are_published_on_the_loopback_address_alone() -> None:
    assert "--publish 127.0.0.1:8443:443" in arguments(LIMITED)


def test_what_the_machine_does_not_allow_is_not_asked_for() -> None:
    assert "--systemd=false" in arguments(LIMITED)
    assert "--ulimit nofile=20000:20000" in arguments(LIMITED)
    assert "--systemd=always" in arguments(FREE)
    assert "--ulimit" not in arguments(FREE)


class Commands:
    """Answers podman's commands, and notes them."""

    def __init__(self, containers: list[dict[str, object]] | None = None) -> None:
        self.containers = containers or []
        self.noted: list[str] = []

    def __call__(
        self, *given: str, check: bool = True, timeout: float = 600
    ) -> subprocess.CompletedProcess[str]:
        self.noted.append(" ".join(given))
        output = ""
        if given[0] == "ps":
            output = json.dumps(self.containers)
        if "is-system-running" in given:
            output = "running"
        return subprocess.CompletedProcess(given, 0, output, "")


def present(
    monkeypatch: pytest.MonkeyPatch, commands: Commands, *, port: int = 1, dry_run: bool = False
) -> list[str]:
    monkeypatch.setattr(_node_containers, "podman", commands)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(_node_containers, "check_free_space", lambda *_arguments: None)
    monkeypatch.setattr(_node_containers, "raise_inotify_limits", list)
    monkeypatch.setattr(_node_containers, "port_problem", lambda asked: "nginx" if asked == 8443 else "")
    return Podman(plan(port), LIMITED, dry_run=dry_run).present()


def container(state: str, spec: str) -> dict[str, object]:
    return {"Names": ["sortie-control-plane-1"], "State": state, "Labels": {"sortie.platform/spec": spec}}


SPEC = Podman(plan(), LIMITED)._spec(plan().nodes[0])


def test_a_missing_node_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = Commands()
    assert present(monkeypatch, commands) == ["sortie-control-plane-1 made"]
    assert any(" run --detach " in command for command in commands.noted)


def test_a_stopped_node_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = Commands([container("exited", SPEC)])
    assert present(monkeypatch, commands) == ["sortie-control-plane-1 started"]
    assert "start sortie-control-plane-1" in commands.noted


def test_a_node_of_other_settings_is_made_anew_on_its_volumes(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = Commands([container("running", "other")])
    assert present(monkeypatch, commands) == ["sortie-control-plane-1 made anew, with its data"]
    assert any(command.startswith("rm --force") for command in commands.noted)
    assert not any("volume rm" in command for command in commands.noted)


def test_a_running_node_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = Commands([container("running", SPEC)])
    assert present(monkeypatch, commands) == []
    assert len(commands.noted) == 1


def test_check_mode_only_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = Commands()
    assert present(monkeypatch, commands, dry_run=True) == ["sortie-control-plane-1 made"]
    assert len(commands.noted) == 1


def test_a_port_that_is_taken_is_told_before_anything_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = Commands()
    with pytest.raises(
        NodeError,
        match=r"port 8443 of 127\.0\.0\.1 is taken by nginx\. Nothing was changed\..*common_https_port",
    ):
        present(monkeypatch, commands, port=8443)
    assert len(commands.noted) == 1


def test_who_has_a_port_is_found_out() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert port_problem(port) != ""
    assert port_problem(port) == ""


def test_without_root_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(
        NodeError,
        match=r"needs root, and this runs as another user\. Nothing was changed\. Next: sudo bin/deploy",
    ):
        Podman(plan(), LIMITED).present()


def test_a_nearly_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_node_containers, "podman", Commands())
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(_node_containers, "port_problem", lambda _port: "")
    monkeypatch.setattr(
        _node_containers,
        "check_free_space",
        lambda path, _least, purpose: check_free_space(path, 1 << 60, purpose),
    )
    with pytest.raises(NodeError, match="the disk is nearly full"):
        ensure(Podman(plan(), LIMITED), "present")
