"""A repository that is no directory: a REST server that takes snapshots and removes none."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from ansible_collections.sortie.platform.tests.cluster.live import eventually
from ansible_collections.sortie.platform.tests.cluster.tenant import Tenant


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def served(kind: str, directory: Path, options: Sequence[str]) -> Iterator[int]:
    """A directory served by rclone on a port of the loopback."""
    port = free_port()
    command = ["rclone", "serve", kind, "--addr", f"127.0.0.1:{port}", *options, str(directory)]
    environment = {**os.environ, "RCLONE_CONFIG": "/dev/null"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as server:
        try:
            eventually(lambda: answers(port), f"rclone serve {kind} listens")
            yield port
        finally:
            server.terminate()


@pytest.fixture(autouse=True)
def own_repository_again(demo: Tenant) -> Iterator[None]:
    yield
    demo.good("backup")


def test_an_append_only_rest_server_takes_snapshots_and_gives_them_back(demo: Tenant, tmp_path: Path) -> None:
    directory = tmp_path / "rest"
    directory.mkdir()
    options = ("--append-only", "--user", "keeper", "--pass", "only-in-this-test")
    with served("restic", directory, options) as port:
        variables: dict[str, object] = {
            "backup_repository": f"rest:http://keeper:only-in-this-test@127.0.0.1:{port}/demo",
            "backup_password_file": str(tmp_path / "key"),
            "backup_prune": False,
        }
        told = demo.good("backup", **variables, backup_new_repository=True)
        told += demo.good("backup", **variables)
        record = demo.record("backup")
        assert (record["sequence"], record["kept"]) == (2, 2)
        assert "only-in-this-test" not in told + str(record)
        demo.good("drill", **variables)
        demo.good("restore", **variables, restore_snapshot=record["snapshot"])
        # With pruning switched on by mistake the snapshots stay, and what to do is told.
        kept = sorted(path.name for path in (directory / "demo" / "snapshots").rglob("*") if path.is_file())
        told = demo.refused(
            "backup",
            **{
                **variables,
                "backup_prune": True,
                "backup_keep_last": 1,
                "backup_keep_daily": 0,
                "backup_keep_weekly": 0,
                "backup_keep_monthly": 0,
            },
        )
        assert "backup_prune" in told
        there = {path.name for path in (directory / "demo" / "snapshots").rglob("*") if path.is_file()}
        assert there >= set(kept)


def test_a_wrong_password_of_the_server_is_told(demo: Tenant, tmp_path: Path) -> None:
    with served("restic", tmp_path, ("--user", "keeper", "--pass", "right")) as port:
        told = demo.refused(
            "backup",
            backup_repository=f"rest:http://keeper:wrong-one@127.0.0.1:{port}/demo",
            backup_password_file=str(tmp_path / "key"),
            backup_new_repository=True,
        )
    assert "backup_environment" in told
    assert "wrong-one" not in told
