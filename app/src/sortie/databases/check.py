"""Whether a PostgreSQL can hold the application's data, in words, without changing anything in it."""

from __future__ import annotations

import re
from typing import Any

import psycopg
from psycopg import sql

from ..settings import Settings
from ..storage.engine import postgres_connection
from ..storage.migrate import STEPS

# Older servers get no fixes any more.
LEAST_SERVER = 14
_SHOWN_TABLES = 3
_PASSWORD = re.compile(r"(://[^:/@\s]*:)[^@\s]*@|(password=)\S+", re.IGNORECASE)

# What a server or the driver says, and what it means here; the first that fits.
_MEANINGS = (
    (r"password authentication failed", "the server refuses the user or the password"),
    (
        r"no pg_hba.conf entry.*no encryption",
        "the server takes no connection without TLS; add sslmode=require",
    ),
    (r"no pg_hba.conf entry", "the server's pg_hba.conf does not let this user in from here"),
    (r"server does not support SSL", "the server speaks no TLS, and sslmode wants it"),
    (
        r"certificate verify failed|root certificate|does not match host name",
        "the server's certificate is not trusted",
    ),
    (r'database ".*" does not exist', "there is no database of that name"),
    (r'role ".*" does not exist', "there is no user of that name"),
    (
        r"could not translate host name|failed to resolve host|Name or service not known",
        "there is no host of that name",
    ),
    (r"Connection refused", "nothing listens at that host and port"),
    (r"timeout|timed out", "the server does not answer"),
    (r"too many (clients|connections)", "the server has no connection left"),
)


def check(settings: Settings) -> dict[str, Any]:
    """The report: `problems` (none: it will do), `server`, `tls`, `user`, `database`, `schema`, `tables`, `in_use`."""
    report: dict[str, Any] = {"problems": []}
    try:
        with postgres_connection(settings) as connection:
            connection.read_only = True
            _look(connection, report)
    except (psycopg.Error, UnicodeError) as error:
        report["problems"].append(_meaning(error))
    return report


def _meaning(error: BaseException) -> str:
    said = _PASSWORD.sub(r"\1\2***@", " ".join(str(error).split())).replace("***@", "***")
    for pattern, meaning in _MEANINGS:
        if re.search(pattern, said, re.IGNORECASE):
            return f"{meaning} ({said})"
    if isinstance(error, psycopg.ProgrammingError) and not error.sqlstate:
        return "the connection string cannot be read: postgresql://USER:PASSWORD@HOST/NAME is expected"
    return f"the server cannot be used ({said})"


def _look(connection: psycopg.Connection[Any], report: dict[str, Any]) -> None:
    problems = report["problems"]
    version = connection.info.server_version
    report["server"] = f"{version // 10000}.{version % 10000}"
    report["tls"] = bool(connection.pgconn.ssl_in_use)
    report["user"], report["database"], schema, encoding, standby, read_only = (
        connection.execute(
            "SELECT current_user, current_database(), current_schema(), pg_encoding_to_char(encoding), pg_is_in_recovery(),"
            " current_setting('default_transaction_read_only') FROM pg_database WHERE datname = current_database()"
        ).fetchone()
        or (None,) * 6
    )
    if version < LEAST_SERVER * 10000:
        problems.append(
            f"the server is PostgreSQL {report['server']}, and {LEAST_SERVER} is the oldest that will do"
        )
    if encoding != "UTF8":
        problems.append(
            f"the database has encoding {encoding}, and UTF8 is needed: CREATE DATABASE ... ENCODING 'UTF8'"
        )
    if standby or read_only == "on":
        problems.append("the server takes no writes: it is a standby or read-only; name the primary")
    if schema is None:
        problems.append(
            f"user {report['user']} has no schema to work in: GRANT USAGE, CREATE ON SCHEMA public TO ..."
        )
        return
    _look_at_schema(connection, report, schema)


def _look_at_schema(connection: psycopg.Connection[Any], report: dict[str, Any], schema: str) -> None:
    problems, user = report["problems"], report["user"]
    tables = [
        (name, owned)
        for name, owned in connection.execute(
            "SELECT relname, pg_has_role(relowner, 'USAGE') FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE nspname = %s AND relkind IN ('r', 'p') ORDER BY relname",
            (schema,),
        )
    ]
    report["tables"] = len(tables)
    report["schema"] = _step(connection, schema) if ("alembic_version", True) in tables else None
    rights = connection.execute("SELECT has_schema_privilege(%s, 'CREATE')", (schema,)).fetchone()
    if not (rights and rights[0]):
        problems.append(
            f"user {user} may not make tables: GRANT CREATE ON SCHEMA {schema} TO {user}, or make {user} the owner"
        )
    report["in_use"] = False
    if report["schema"] in STEPS:
        found = connection.execute(
            "SELECT EXISTS (SELECT FROM users) OR EXISTS (SELECT FROM applications) OR EXISTS (SELECT FROM audit_log)"
        ).fetchone()
        report["in_use"] = bool(found and found[0])
        foreign = [name for name, owned in tables if not owned]
        if foreign:
            problems.append(f"{_some(foreign)} of this database belong to somebody else than {user}")
    elif tables:
        problems.append(
            f"the database is not empty and not the application's own: it has {_some([name for name, _ in tables])}; "
            "give the tenant a database of its own"
        )


def _step(connection: psycopg.Connection[Any], schema: str) -> str | None:
    query = sql.SQL("SELECT version_num FROM {}").format(sql.Identifier(schema, "alembic_version"))
    row = connection.execute(query).fetchone()
    return row[0] if row else None


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN_TABLES} more" if len(names) > _SHOWN_TABLES else ""
    return f"{'table' if len(names) == 1 else 'tables'} {', '.join(names[:_SHOWN_TABLES])}{more}"
