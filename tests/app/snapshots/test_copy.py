"""A copy holds what was committed before it began, is whole, and leaves nothing behind."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from pysqlite3 import dbapi2 as sqlite3

from sortie.cli import main
from sortie.snapshots import copy
from sortie.snapshots.check import check_file
from sortie.snapshots.errors import SnapshotError


def make_database(path: Path, rows: int, size: int = 500) -> Any:
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, body BLOB NOT NULL)")
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO notes (body) VALUES (randomblob(?))", [(size,)] * rows)
    connection.execute("COMMIT")
    return connection


def unframe(stream: bytes) -> tuple[dict[str, Any], bytes, dict[str, Any]]:
    line, _, rest = stream.partition(b"\n")
    header = json.loads(line)
    body, trailer = rest[: header["bytes"]], rest[header["bytes"] :]
    return header, body, json.loads(trailer)


def count(path: Path) -> int:
    connection = sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)
    try:
        return int(connection.execute("SELECT count(*) FROM notes").fetchone()[0])
    finally:
        connection.close()


def test_a_stream_says_its_size_and_its_hash(tmp_path: Path) -> None:
    make_database(tmp_path / "sortie.db", 50)
    output = io.BytesIO()
    copy.stream_copy(tmp_path / "sortie.db", output)
    header, body, trailer = unframe(output.getvalue())
    assert header["format"] == copy.FORMAT
    assert len(body) == header["bytes"]
    assert hashlib.sha256(body).hexdigest() == trailer["sha256"]


def test_rows_that_are_still_in_the_wal_are_in_the_copy(tmp_path: Path) -> None:
    connection = make_database(tmp_path / "sortie.db", 50)
    assert (tmp_path / "sortie.db-wal").stat().st_size > 0
    copy.write_copy(tmp_path / "sortie.db", tmp_path / "copy.db")
    assert count(tmp_path / "copy.db") == 50
    connection.close()


def test_a_copy_beside_a_writer_ends_and_holds_what_was_acknowledged_before(tmp_path: Path) -> None:
    make_database(tmp_path / "sortie.db", 20_000).close()
    acknowledged, stop = [20_000], threading.Event()

    def write() -> None:
        connection = sqlite3.connect(tmp_path / "sortie.db", isolation_level=None, timeout=30)
        while not stop.is_set():
            connection.execute("INSERT INTO notes (body) VALUES (randomblob(500))")
            acknowledged[0] += 1
        connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(5):
            time.sleep(0.05)
            before = acknowledged[0]
            target = tmp_path / f"copy-{number}.db"
            copy.write_copy(tmp_path / "sortie.db", target)
            assert before <= count(target) <= acknowledged[0] + 1
            assert check_file(target)["problems"] == []
    finally:
        stop.set()
        writer.join()


def test_nothing_is_left_in_the_directory(tmp_path: Path) -> None:
    connection = make_database(tmp_path / "sortie.db", 50)
    copy.stream_copy(tmp_path / "sortie.db", io.BytesIO())
    assert {path.name for path in tmp_path.iterdir()} == {"sortie.db", "sortie.db-wal", "sortie.db-shm"}
    connection.close()


def test_a_killed_copy_gives_its_space_back(tmp_path: Path) -> None:
    make_database(tmp_path / "sortie.db", 20_000).close()
    script = (
        "import sys; from pathlib import Path; from sortie.snapshots.copy import stream_copy\n"
        "stream_copy(Path(sys.argv[1]), sys.stdout.buffer)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "sortie.db")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": ":".join(sys.path)}
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(100_000)
        process.send_signal(signal.SIGKILL)
    assert [path.name for path in tmp_path.iterdir() if "snapshot" in path.name] == []


def test_a_leftover_of_a_killed_process_is_removed(tmp_path: Path) -> None:
    make_database(tmp_path / "sortie.db", 5).close()
    leftover = tmp_path / f".sortie.db.snapshot-{2**22 + 1}"
    leftover.write_bytes(b"old")
    copy.stream_copy(tmp_path / "sortie.db", io.BytesIO())
    assert not leftover.exists()


def test_a_volume_without_space_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_database(tmp_path / "sortie.db", 5).close()
    monkeypatch.setattr(copy, "_SPARE_BYTES", 1 << 60)
    with pytest.raises(SnapshotError, match="sortie_storage_size"):
        copy.stream_copy(tmp_path / "sortie.db", io.BytesIO())


def test_a_missing_database_is_named(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match=r"no database at .*missing\.db"):
        copy.stream_copy(tmp_path / "missing.db", io.BytesIO())


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    make_database(tmp_path / "sortie.db", 5).close()
    with pytest.raises(SnapshotError, match="cannot write"):
        copy.write_copy(tmp_path / "sortie.db", tmp_path / "no-such-directory" / "copy.db")


def test_files_are_named_from_where_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_database(tmp_path / "sortie.db", 5).close()
    monkeypatch.chdir(tmp_path)
    for command in (["backup", "copy.db", "--db", "sortie.db"], ["check", "copy.db"]):
        assert main(command) == 0
        assert json.loads(capsys.readouterr().out)["tables"] == {"notes": 5}


def test_check_finds_rows_schema_and_broken_references(tmp_path: Path) -> None:
    connection = make_database(tmp_path / "sortie.db", 3)
    connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
    connection.execute("INSERT INTO alembic_version VALUES ('0007')")
    connection.execute("CREATE TABLE child (note INTEGER REFERENCES notes (id))")
    connection.execute("INSERT INTO child VALUES (99)")
    connection.close()
    report = check_file(tmp_path / "sortie.db")
    assert report["tables"] == {"alembic_version": 1, "child": 1, "notes": 3}
    assert report["schema"] == "0007"
    assert report["problems"] == ["row 1 of child refers to a missing row of notes"]


@pytest.mark.parametrize("full", [False, True])
def test_check_finds_a_damaged_page(tmp_path: Path, full: bool) -> None:
    make_database(tmp_path / "sortie.db", 2000).close()
    with (tmp_path / "sortie.db").open("r+b") as file:
        file.seek(4096 * 20)
        file.write(b"\xff" * 4096)
    assert check_file(tmp_path / "sortie.db", full=full)["problems"] != []


def test_check_of_something_else_is_a_problem_not_a_crash(tmp_path: Path) -> None:
    (tmp_path / "sortie.db").write_bytes(b"not a database, but long enough to look" * 100)
    assert check_file(tmp_path / "sortie.db")["problems"] == ["file is not a database"]
