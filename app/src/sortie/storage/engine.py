"""Connections to SQLite and PostgreSQL that behave alike.

Python's driver of SQLite would open transactions on its own; it is told not to, and SQLAlchemy's `begin`
opens them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pysqlite3 import dbapi2
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool, QueuePool

from ..settings import Settings

BUSY_SECONDS = 10


def sqlite_connection(path: Path) -> Any:
    """A raw connection with the pragmas that every one of ours has."""
    connection = dbapi2.connect(
        str(path), timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    try:
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "temp_store = MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def read_only_connection(path: Path) -> Any:
    """A raw connection that changes nothing, not even how the file is written."""
    connection = dbapi2.connect(
        f"{path.as_uri()}?mode=ro",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    connection.execute("PRAGMA temp_store = MEMORY").fetchone()
    return connection


def sqlite_engine(path: Path, pool_size: int) -> Engine:
    return _engine(lambda: sqlite_connection(path), poolclass=QueuePool, pool_size=pool_size, max_overflow=0)


def read_only_engine(connect: Callable[[], Any]) -> Engine:
    """Opens a connection for each use, and keeps none."""
    return _engine(connect, poolclass=NullPool)


def _engine(connect: Callable[[], Any], **pool: Any) -> Engine:
    engine = create_engine("sqlite://", module=dbapi2, creator=connect, json_serializer=compact_json, **pool)
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("sortie_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def postgres_connection(settings: Settings) -> Any:
    """A raw connection."""
    import psycopg  # noqa: PLC0415 - SQLite's users do not need it

    if settings.db_dsn:
        return psycopg.connect(settings.db_dsn, **_postgres_options())
    return psycopg.connect(
        host=settings.db_host,
        port=settings.db_port,
        dbname=settings.db_name,
        user=settings.db_user,
        password=settings.db_password or None,
        sslmode=settings.db_sslmode,
        **_postgres_options(),
    )


def postgres_engine(settings: Settings, pool_size: int) -> Engine:
    return create_engine(
        "postgresql+psycopg://",
        creator=lambda: postgres_connection(settings),
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=False,
        pool_use_lifo=True,
        json_serializer=compact_json,
    )


def _postgres_options() -> dict[str, Any]:
    return {
        "connect_timeout": 5,
        "application_name": "sortie",
        "keepalives_idle": 30,
        "tcp_user_timeout": 20_000,
    }


def compact_json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
