"""A restored database replaces the present one whole, whenever the work is killed."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pysqlite3 import dbapi2 as sqlite3

from sortie.snapshots import recover, volume
from sortie.snapshots.errors import SnapshotError
from sortie.snapshots.volume import Volume


class Killed(BaseException):
    """The process ends here."""


def make(path: Path, text: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE word (text TEXT)")
    connection.execute("INSERT INTO word VALUES (?)", (text,))
    connection.close()


def read(path: Path) -> str:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return str(connection.execute("SELECT text FROM word").fetchone()[0])
    finally:
        connection.close()


@pytest.fixture
def replacement(tmp_path: Path) -> bytes:
    path = tmp_path / "elsewhere.db"
    make(path, "new")
    return path.read_bytes()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    directory = tmp_path / "data"
    directory.mkdir()
    make(directory / "sortie.db", "old")
    return directory / "sortie.db"


def receive(place: Volume, content: bytes) -> dict[str, Any]:
    return place.receive(io.BytesIO(content), len(content), hashlib.sha256(content).hexdigest(), "abc")


@contextmanager
def killed_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Every change of the directory counts; the `step`th does not happen and kills the process."""
    done = [0]

    def guard(original: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*arguments: Any, **named: Any) -> Any:
            done[0] += 1
            if done[0] == step:
                raise Killed
            return original(*arguments, **named)

        return guarded

    with monkeypatch.context() as patch:
        for name in ("replace", "unlink", "hardlink_to", "rmdir"):
            patch.setattr(Path, name, guard(getattr(Path, name)))
        patch.setattr(volume, "_sync", guard(volume._sync))
        yield done


def names(database: Path) -> set[str]:
    return {path.name for path in database.parent.iterdir()}


def test_swap_and_commit_leave_the_new_database_alone(database: Path, replacement: bytes) -> None:
    place = Volume(database)
    assert receive(place, replacement)["tables"] == {"word": 1}
    place.swap()
    assert read(database) == "new"
    assert read(place.previous) == "old"
    place.commit()
    assert names(database) == {"sortie.db"}


def test_swap_and_rollback_leave_the_old_database_alone(database: Path, replacement: bytes) -> None:
    place = Volume(database)
    receive(place, replacement)
    place.swap()
    with sqlite3.connect(database) as connection:
        connection.execute("INSERT INTO word VALUES ('written by the new application')")
    place.rollback()
    assert names(database) == {"sortie.db"}
    assert read(database) == "old"


def test_a_stale_wal_is_never_applied_to_the_new_database(database: Path, replacement: bytes) -> None:
    writer = sqlite3.connect(database, isolation_level=None)
    writer.execute("PRAGMA wal_autocheckpoint = 0")
    writer.execute("UPDATE word SET text = 'old, still in the wal'")
    wal, main = database.with_name("sortie.db-wal").read_bytes(), database.read_bytes()
    writer.close()
    database.write_bytes(main)
    database.with_name("sortie.db-wal").write_bytes(wal)
    place = Volume(database)
    receive(place, replacement)
    place.swap()
    assert read(database) == "new"
    place.rollback()
    assert read(database) == "old, still in the wal"


def test_a_damaged_database_is_kept_with_its_wal(database: Path, replacement: bytes) -> None:
    damaged = b"damaged" * 5000
    database.write_bytes(damaged)
    database.with_name("sortie.db-wal").write_bytes(b"its wal")
    place = Volume(database)
    receive(place, replacement)
    place.swap()
    assert read(database) == "new"
    place.rollback()
    assert database.read_bytes() == damaged
    assert database.with_name("sortie.db-wal").read_bytes() == b"its wal"


def test_an_application_that_still_runs_is_noticed(database: Path, replacement: bytes) -> None:
    running = sqlite3.connect(database, isolation_level=None)
    running.execute("SELECT * FROM word").fetchall()
    place = Volume(database)
    receive(place, replacement)
    with pytest.raises(SnapshotError, match="stop the application"):
        place.swap()
    running.close()
    assert read(database) == "old"
    place.swap()
    assert read(database) == "new"


def test_an_empty_volume_takes_a_database(tmp_path: Path, replacement: bytes) -> None:
    database = tmp_path / "empty" / "sortie.db"
    database.parent.mkdir()
    place = Volume(database)
    receive(place, replacement)
    place.swap()
    with pytest.raises(SnapshotError, match="none to put back"):
        place.rollback()
    place.commit()
    assert read(database) == "new"


@pytest.mark.parametrize("wrong", ["short", "changed"])
def test_bytes_that_did_not_arrive_well_are_refused(database: Path, replacement: bytes, wrong: str) -> None:
    place = Volume(database)
    sent = replacement[:-10] if wrong == "short" else b"x" + replacement[1:]
    with pytest.raises(SnapshotError, match="was not touched"):
        place.receive(io.BytesIO(sent), len(replacement), hashlib.sha256(replacement).hexdigest(), "abc")
    assert place.state() == {"phase": "none"}
    assert read(database) == "old"


def test_a_volume_without_space_is_told_first(
    database: Path, replacement: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(volume, "_SPARE_BYTES", 1 << 60)
    with pytest.raises(SnapshotError, match="sortie_storage_size"):
        receive(Volume(database), replacement)


def test_killed_anywhere_in_a_restore_it_can_be_run_again(
    tmp_path: Path, replacement: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, finished = 0, False
    while not finished:
        step += 1
        database = tmp_path / str(step) / "sortie.db"
        database.parent.mkdir()
        make(database, "old")
        try:
            with killed_at(step, monkeypatch):
                receive(Volume(database), replacement)
                Volume(database).swap()
                Volume(database).commit()
            finished = True
        except Killed:
            pass
        if Volume(database).state()["phase"] in ("none", "received"):
            receive(Volume(database), replacement)
        Volume(database).swap()
        Volume(database).commit()
        assert read(database) == "new"
        assert names(database) == {"sortie.db"}
    assert step > 15


def test_killed_anywhere_the_application_starts_on_the_old_or_the_new_database(
    tmp_path: Path, replacement: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, seen, finished = 0, set(), False
    while not finished:
        step += 1
        database = tmp_path / str(step) / "sortie.db"
        database.parent.mkdir()
        make(database, "old")
        try:
            with killed_at(step, monkeypatch):
                receive(Volume(database), replacement)
                Volume(database).swap()
                Volume(database).commit()
            finished = True
        except Killed:
            pass
        recover(database)
        seen.add(read(database))
        assert seen <= {"old", "new"}
    assert seen == {"old", "new"}


@pytest.mark.parametrize("then", ["rollback", "recover"])
def test_killed_anywhere_in_a_rollback_the_old_database_comes_back(
    tmp_path: Path, replacement: bytes, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    step, finished = 0, False
    while not finished:
        step += 1
        database = tmp_path / str(step) / "sortie.db"
        database.parent.mkdir()
        make(database, "old")
        receive(Volume(database), replacement)
        Volume(database).swap()
        try:
            with killed_at(step, monkeypatch):
                Volume(database).rollback()
            finished = True
        except Killed:
            pass
        if then == "recover":
            recover(database)
            assert read(database) == ("new" if Volume(database).state()["phase"] == "swapped" else "old")
        Volume(database).rollback()
        assert read(database) == "old"
        assert names(database) == {"sortie.db"}
