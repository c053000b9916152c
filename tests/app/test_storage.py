"""Migrations and the writer."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, select, text

from sortie import settings
from sortie.problems import Problem, conflict
from sortie.storage import migrate, schema
from sortie.storage.database import Database, open_database

from .server import Starter, command_environment, run_command


def opened(environment: dict[str, str]) -> Database:
    return open_database(settings.read(environment))


def test_the_migrations_make_the_tables_that_the_code_expects(start: Starter) -> None:
    database = opened(start.database())
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
    database.close()


def test_the_list_of_steps_is_the_directory() -> None:
    scripts = ScriptDirectory(str(Path(migrate.__file__).parent / "migrations"))
    steps = [script.revision for script in scripts.walk_revisions()]
    assert tuple(reversed(steps)) == migrate.STEPS


def test_several_that_start_together_migrate_once(start: Starter) -> None:
    database = start.database()
    code = (
        "import os; from sortie import settings; from sortie.storage.database import open_database;"
        "input(); open_database(settings.read(os.environ)).close()"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, env=command_environment(database)
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    again = opened(database)
    with again.read() as connection:
        assert migrate.current_step(connection) == migrate.STEPS[-1]
    again.close()


def test_a_newer_schema_is_refused_and_left_alone(start: Starter) -> None:
    environment = start.database()
    database = opened(environment)
    database.write(
        lambda connection: (
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'")).rowcount
        )
    )
    database.close()
    result = run_command("serve", **environment)
    assert result.returncode == 1
    assert "schema 9999" in result.stderr
    assert "Nothing was changed" in result.stderr


def test_a_job_that_fails_takes_back_only_its_own(start: Starter) -> None:
    database = opened(start.database())
    results: list[Any] = []

    def job(number: int) -> None:
        def work(connection: Connection) -> int:
            connection.execute(
                schema.settings.insert(), {"key": f"k{number}", "value": "v", "updated_at": schema.now()}
            )
            if number % 3 == 0:
                raise conflict("on purpose")
            return number

        try:
            results.append(database.write(work))
        except Problem:
            results.append(None)

    threads = [threading.Thread(target=job, args=(number,)) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as connection:
        kept = set(connection.execute(select(schema.settings.c.key)).scalars())
    assert kept == {f"k{number}" for number in range(30) if number % 3}
    assert results.count(None) == 10
    database.close()


def test_two_that_write_the_same_at_the_same_time_get_one_conflict(start: Starter) -> None:
    database = opened(start.database())
    row = {"key": "same", "value": "v", "updated_at": schema.now()}
    database.append(schema.settings, row)
    with pytest.raises(Problem) as caught:
        database.write(lambda connection: connection.execute(schema.settings.insert(), row).rowcount)
    assert caught.value.status == 409
    database.close()


def test_sqlite_is_set_up_for_durability(start_sqlite: Starter) -> None:
    database = opened(start_sqlite.database())
    with database.read() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}
    database.close()
