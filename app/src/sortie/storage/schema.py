"""The tables. The migrations make them; a test compares the two."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite counts up only in a column that is exactly INTEGER PRIMARY KEY.
Serial = BigInteger().with_variant(Integer, "sqlite")


class Instant(TypeDecorator[datetime]):
    """A moment, always in UTC and always aware of it."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def now() -> datetime:
    return datetime.now(UTC)


categories = Table(
    "categories",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("description", Text, nullable=False),
    Column("tenant_id", String(128), nullable=False),
    Column("managed", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
)

# Who sees a category's `approved` applications. Names, not ids: a catalogue may name users who come later.
category_users = Table(
    "category_users",
    metadata,
    Column("category_id", ForeignKey("categories.id", ondelete="CASCADE"), primary_key=True),
    Column("username", String(200), primary_key=True),
)

applications = Table(
    "applications",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("description", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("icon", Text, nullable=False),
    Column("category_id", ForeignKey("categories.id"), index=True),
    Column("visibility", String(20), nullable=False),
    Column("launch_type", String(20), nullable=False),
    Column("os_type", String(40), nullable=False),
    Column("container_image", Text, nullable=False),
    Column("container_port", Integer, nullable=False),
    Column("container_args", JSON, nullable=False),
    Column("resource_limits", JSON, nullable=False),
    Column("egress_policy", JSON, nullable=False),
    Column("tenant_id", String(128), nullable=False),
    Column("managed", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("username", String(200), nullable=False, unique=True),
    Column("email", String(320), nullable=False),
    Column("display_name", String(200), nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("roles", JSON, nullable=False),
    Column("auth_provider", String(40), nullable=False),
    Column("auth_provider_id", String(255), nullable=False),
    Column("preferences", JSON, nullable=False),
    Column("tenant_id", String(128), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
)

# A signed-in user on one device. Tokens name their session and end with it.
sessions = Table(
    "sessions",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("refresh_hash", String(64), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("timestamp", Instant, nullable=False, index=True),
    Column("user", String(200), nullable=False, index=True),
    Column("action", String(60), nullable=False, index=True),
    Column("details", Text, nullable=False),
    sqlite_autoincrement=True,
)

# Launches. No foreign key: what was launched stays counted when the application is gone.
analytics = Table(
    "analytics",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("app_id", String(128), nullable=False, index=True),
    Column("timestamp", Instant, nullable=False, index=True),
    sqlite_autoincrement=True,
)

settings = Table(
    "settings",
    metadata,
    Column("key", String(60), primary_key=True),
    Column("value", Text, nullable=False),
    Column("updated_at", Instant, nullable=False),
)

# One row for each thing that readers keep in memory; its number grows with each change.
revisions = Table(
    "revisions",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

Index("ix_users_auth_provider", users.c.auth_provider, users.c.auth_provider_id)
