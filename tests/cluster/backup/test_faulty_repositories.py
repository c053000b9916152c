"""A repository that is full, gone, read-only, locked or damaged, or has another key: the last good snapshot stays, and the message says what
to do."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.sortie.platform.tests.cluster.live import eventually
from ansible_collections.sortie.platform.tests.cluster.tenant import Tenant
from ansible_collections.sortie.platform.tests.restic_key import make_repository

MEGABYTES = 48


class Faulty:
    """A repository of tenant `demo` on a small file system of its own."""

    def __init__(self, tenant: Tenant, directory: Path) -> None:
        self.tenant, self.disk = tenant, directory / "disk"
        self.repository, self.key = self.disk / "repository", directory / "key"

    @property
    def variables(self) -> dict[str, object]:
        return {
            "backup_repository": str(self.repository),
            "backup_password_file": str(self.key),
            "backup_lock_timeout": 1,
        }

    def fails(self, *words: str, playbook: str = "backup") -> None:
        """It is told, nothing that was good is lost, and the tenant serves."""
        last = self.tenant.record(playbook)
        told = self.tenant.refused(playbook, **self.variables)
        for word in (*words, "State: ", "Next: "):
            assert word in told
        record = self.tenant.record(playbook)
        assert (record["ok"], record["snapshot"], record["time"]) == (False, last["snapshot"], last["time"])
        assert self.tenant.serves()

    def restic(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Restic as the documentation has it."""
        return subprocess.run(
            ["restic", "--no-cache", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": "/usr/bin:/bin",
            "RESTIC_PASSWORD_FILE": str(self.key),
            "RESTIC_REPOSITORY": str(self.repository),
        }


@pytest.fixture(scope="module")
def faulty(demo: Tenant, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    directory = tmp_path_factory.mktemp("faulty")
    made = Faulty(demo, directory)
    made.disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", made.disk], check=True)
    try:
        made.key.touch(mode=0o600)
        made.key.write_text("a key of the tests\n")
        make_repository(made.repository, "a key of the tests")
        demo.good("backup", **made.variables, backup_new_repository=True)
        demo.good("drill", **made.variables)
        yield made
    finally:
        subprocess.run(["umount", made.disk], check=True)
    # Its next backup goes to its own repository again.
    demo.good("backup")


def test_a_full_one(faulty: Faulty) -> None:
    fill = faulty.disk / "fill"
    filled = subprocess.run(["dd", "if=/dev/zero", f"of={fill}", "bs=4k"], capture_output=True, check=False)
    assert b"No space left" in filled.stderr
    faulty.fails("no space left", "free space", "snapshots made earlier are as they were")
    fill.unlink()


def test_one_that_is_gone(faulty: Faulty) -> None:
    away = faulty.repository.with_name("away")
    faulty.repository.rename(away)
    faulty.fails("is gone", "is its disk mounted?", "backup_new_repository=true")
    away.rename(faulty.repository)


def test_a_read_only_one(faulty: Faulty) -> None:
    subprocess.run(["mount", "-o", "remount,ro", faulty.disk], check=True)
    faulty.fails("read-only file system", "writable")
    subprocess.run(["mount", "-o", "remount,rw", faulty.disk], check=True)


def test_another_key_and_none(faulty: Faulty) -> None:
    right = faulty.key.read_text()
    faulty.key.write_text("not the key\n")
    faulty.fails("wrong password", str(faulty.key))
    faulty.key.unlink()
    faulty.fails("there is no key", "copy the key back")
    faulty.key.touch(mode=0o600)
    faulty.key.write_text(right)


def test_one_that_a_dead_run_has_locked(faulty: Faulty) -> None:
    locks = faulty.repository / "locks"
    command = ["restic", "--no-cache", "backup", "--stdin"]
    with subprocess.Popen(command, env=faulty.environment, stdin=subprocess.PIPE) as dead:
        eventually(lambda: any(locks.iterdir()), "the run holds its lock")
        dead.kill()
    assert list(locks.iterdir())
    # Removing older snapshots needs the repository for itself.
    keep = {f"backup_keep_{name}": 0 for name in ("daily", "weekly", "monthly")}
    faulty.tenant.good(
        "backup", **faulty.variables | keep | {"backup_keep_last": 1, "backup_lock_timeout": 60}
    )
    assert faulty.tenant.record("backup")["kept"] == 1
    assert not list(locks.iterdir())


def test_a_flipped_byte_is_found_by_the_drill_and_mended_as_the_documentation_says(faulty: Faulty) -> None:
    packs = [path for path in (faulty.repository / "data").rglob("*") if path.is_file()]
    damaged = max(packs, key=lambda path: path.stat().st_size)
    content = bytearray(damaged.read_bytes())
    content[len(content) // 3] ^= 1
    damaged.chmod(0o600)
    damaged.write_bytes(content)
    faulty.fails("ciphertext verification failed", "A damaged repository", playbook="drill")
    faulty.fails("ciphertext verification failed", "A damaged repository")

    checked = faulty.restic("check", "--read-data")
    assert f"Pack ID does not match, want {damaged.name}" in checked.stdout + checked.stderr
    damaged.rename(faulty.disk / damaged.name)
    assert faulty.restic("rebuild-index").returncode == 0
    faulty.tenant.good("backup", **faulty.variables)
    faulty.tenant.good("drill", **faulty.variables)
    # The older snapshots are whole again as well.
    assert faulty.restic("check", "--read-data").returncode == 0
