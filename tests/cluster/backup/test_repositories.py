"""Repositories that are no directories: a REST server that takes snapshots and removes none, a store that speaks S3, and OpenSSH's server."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import yaml

from ansible_collections.sortie.platform.plugins.module_utils._debian import TREE, Tree, make_tree
from ansible_collections.sortie.platform.plugins.module_utils._go import Program, build, find_toolchain
from ansible_collections.sortie.platform.plugins.module_utils._store import Store
from ansible_collections.sortie.platform.tests.cluster.live import ROOT, eventually
from ansible_collections.sortie.platform.tests.cluster.tenant import Tenant
from ansible_collections.sortie.platform.tests.playbook import cache_dir

ARCH = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
KEEP_ONE = {f"backup_keep_{name}": 0 for name in ("daily", "weekly", "monthly")} | {"backup_keep_last": 1}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def listening(command: Sequence[object], port: int, environment: Mapping[str, str]) -> Iterator[int]:
    """A server on a port of the loopback."""
    words = [str(word) for word in command]
    with subprocess.Popen(words, env={**os.environ, **environment}, stderr=subprocess.DEVNULL) as server:
        try:
            eventually(lambda: answers(port), f"{words[0]} listens")
            yield port
        finally:
            server.terminate()


def served(kind: str, directory: Path, options: Sequence[str]) -> AbstractContextManager[int]:
    """A directory served by rclone."""
    port = free_port()
    command = ["rclone", "serve", kind, "--addr", f"127.0.0.1:{port}", *options, directory]
    return listening(command, port, {"RCLONE_CONFIG": "/dev/null"})


def store(directory: Path, secret: str) -> AbstractContextManager[int]:
    """The gateway that scenario `litestream` runs in the cluster, here on this machine."""
    (play,) = yaml.safe_load((ROOT / "molecule" / "litestream" / "store.yml").read_text())
    wanted = next(
        task["sortie.platform.go_program"] for task in play["tasks"] if "sortie.platform.go_program" in task
    )
    program = Program(**{name: value for name, value in wanted.items() if name != "cache_dir"})
    gateway = build(Store(cache_dir()), program, find_toolchain("1.24"), ARCH).path / program.name
    port = free_port()
    environment = {"ROOT_ACCESS_KEY": "keeper", "ROOT_SECRET_KEY": secret}
    return listening(
        [gateway, "--port", f"127.0.0.1:{port}", "--quiet", "posix", directory], port, environment
    )


SSHD_CONFIG = """
ListenAddress 127.0.0.1
HostKey /keys/host
AuthorizedKeysFile /keys/user.pub
PasswordAuthentication no
StrictModes no
PidFile none
UsePAM no
Subsystem sftp internal-sftp
"""
SSHD = """
mount --bind "$2" "$1/srv"
mount --bind "$3" "$1/keys"
mount --rbind /dev "$1/dev"
exec chroot "$1" /usr/sbin/sshd -D -e -p "$4" -f /keys/sshd_config
"""
USERS = "sshd:x:100:100::/run/sshd:/usr/sbin/sshd\nkeeper:x:0:0::/srv:/usr/sbin/sshd\n"


@contextmanager
def sshd(place: Path, directory: Path) -> Iterator[tuple[int, Path]]:
    """OpenSSH's server, which sees `directory` as /srv and nothing else of this machine; a directory with an `ssh` that it lets in."""
    tree = make_tree(Store(cache_dir()), Tree("sshd", "bookworm", "extract", ["openssh-server"]), ARCH)
    root, keys, port = place / "root", place / "keys", free_port()
    with tarfile.open(tree.path / TREE) as archive:
        archive.extractall(root, filter="tar")
    for inside in ("srv", "keys", "run/sshd"):
        (root / inside).mkdir(parents=True)
    (root / "etc" / "passwd").write_text(USERS)
    (root / "etc" / "group").write_text("root:x:0:\n")
    keys.mkdir()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys / name], check=True)
    (keys / "sshd_config").write_text(SSHD_CONFIG)
    (keys / "known").write_text(f"[127.0.0.1]:{port} {(keys / 'host.pub').read_text()}")
    options = f"-i {keys}/user -o IdentitiesOnly=yes -o UserKnownHostsFile={keys}/known -o StrictHostKeyChecking=yes"
    (keys / "ssh").write_text(f'#!/bin/sh\nexec /usr/bin/ssh {options} "$@"\n')
    (keys / "ssh").chmod(0o700)
    command = ["unshare", "--mount", "sh", "-euc", SSHD, "sh", root, directory, keys, port]
    with listening(command, port, {}):
        yield port, keys


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
            **variables | KEEP_ONE | {"backup_prune": True},
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


def test_a_store_that_speaks_s3(demo: Tenant, tmp_path: Path) -> None:
    directory, secret = tmp_path / "s3", "only-in-this-test"
    directory.mkdir()
    with store(directory, secret) as port:
        variables: dict[str, object] = {
            "backup_repository": f"s3:http://127.0.0.1:{port}/backups/demo",
            "backup_password_file": str(tmp_path / "key"),
            "backup_environment": {"AWS_ACCESS_KEY_ID": "keeper", "AWS_SECRET_ACCESS_KEY": secret},
        }
        told = demo.good("backup", **variables, backup_new_repository=True)
        told += demo.good("backup", **variables, **KEEP_ONE)
        record = demo.record("backup")
        assert (record["sequence"], record["kept"]) == (2, 1)
        told += demo.good("drill", **variables)
        assert demo.record("drill")["snapshot"] == record["snapshot"]
        wrong = {"AWS_ACCESS_KEY_ID": "keeper", "AWS_SECRET_ACCESS_KEY": "another"}
        refusal = demo.refused("backup", **variables | {"backup_environment": wrong})
        assert "backup_environment" in refusal
        assert secret not in told + refusal + str(record)


def test_a_machine_that_is_reached_by_sftp(demo: Tenant, tmp_path: Path) -> None:
    directory = tmp_path / "sftp"
    directory.mkdir()
    with sshd(tmp_path, directory) as (port, keys):
        variables: dict[str, object] = {
            "backup_repository": f"sftp://keeper@127.0.0.1:{port}//srv/demo",
            "backup_password_file": str(tmp_path / "key"),
            "backup_environment": {"PATH": f"{keys}:{os.environ['PATH']}"},
        }
        demo.good("backup", **variables, backup_new_repository=True)
        demo.good("backup", **variables, **KEEP_ONE)
        record = demo.record("backup")
        assert (record["sequence"], record["kept"]) == (2, 1)
        demo.good("restore", **variables, restore_snapshot=record["snapshot"])
