"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_moment = sa.DateTime(timezone=True)
_serial = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _name(kind: str) -> str:
    """A name that Alembic shall take as it is."""
    return str(op.f(kind))


def upgrade() -> None:
    _catalogue()
    _people()
    _records()


def _catalogue() -> None:
    op.create_table(
        "categories",
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("tenant_id", sa.String(128), nullable=False),
        sa.Column("managed", sa.Boolean, nullable=False),
        sa.Column("created_at", _moment, nullable=False),
        sa.Column("updated_at", _moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name=_name("pk_categories")),
        sa.UniqueConstraint("name", name=_name("uq_categories_name")),
    )
    op.create_table(
        "category_users",
        sa.Column("category_id", sa.String(128), nullable=False),
        sa.Column("username", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("category_id", "username", name=_name("pk_category_users")),
        sa.ForeignKeyConstraint(
            ["category_id"],
            ["categories.id"],
            ondelete="CASCADE",
            name=_name("fk_category_users_category_id"),
        ),
    )
    op.create_table(
        "applications",
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("icon", sa.Text, nullable=False),
        sa.Column("category_id", sa.String(128)),
        sa.Column("visibility", sa.String(20), nullable=False),
        sa.Column("launch_type", sa.String(20), nullable=False),
        sa.Column("os_type", sa.String(40), nullable=False),
        sa.Column("container_image", sa.Text, nullable=False),
        sa.Column("container_port", sa.Integer, nullable=False),
        sa.Column("container_args", sa.JSON, nullable=False),
        sa.Column("resource_limits", sa.JSON, nullable=False),
        sa.Column("egress_policy", sa.JSON, nullable=False),
        sa.Column("tenant_id", sa.String(128), nullable=False),
        sa.Column("managed", sa.Boolean, nullable=False),
        sa.Column("created_at", _moment, nullable=False),
        sa.Column("updated_at", _moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name=_name("pk_applications")),
        sa.ForeignKeyConstraint(
            ["category_id"], ["categories.id"], name=_name("fk_applications_category_id")
        ),
    )
    op.create_index(_name("ix_applications_category_id"), "applications", ["category_id"])


def _people() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("username", sa.String(200), nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("display_name", sa.String(200), nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("roles", sa.JSON, nullable=False),
        sa.Column("auth_provider", sa.String(40), nullable=False),
        sa.Column("auth_provider_id", sa.String(255), nullable=False),
        sa.Column("preferences", sa.JSON, nullable=False),
        sa.Column("tenant_id", sa.String(128), nullable=False),
        sa.Column("created_at", _moment, nullable=False),
        sa.Column("updated_at", _moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name=_name("pk_users")),
        sa.UniqueConstraint("username", name=_name("uq_users_username")),
    )
    op.create_index("ix_users_auth_provider", "users", ["auth_provider", "auth_provider_id"])
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(128), nullable=False),
        sa.Column("refresh_hash", sa.String(64), nullable=False),
        sa.Column("created_at", _moment, nullable=False),
        sa.Column("expires_at", _moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name=_name("pk_sessions")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], ondelete="CASCADE", name=_name("fk_sessions_user_id")
        ),
    )
    op.create_index(_name("ix_sessions_user_id"), "sessions", ["user_id"])


def _records() -> None:
    op.create_table(
        "audit_log",
        sa.Column("id", _serial, nullable=False, autoincrement=True),
        sa.Column("timestamp", _moment, nullable=False),
        sa.Column("user", sa.String(200), nullable=False),
        sa.Column("action", sa.String(60), nullable=False),
        sa.Column("details", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name=_name("pk_audit_log")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "analytics",
        sa.Column("id", _serial, nullable=False, autoincrement=True),
        sa.Column("app_id", sa.String(128), nullable=False),
        sa.Column("timestamp", _moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name=_name("pk_analytics")),
        sqlite_autoincrement=True,
    )
    for table, column in (
        ("audit_log", "timestamp"),
        ("audit_log", "user"),
        ("audit_log", "action"),
        ("analytics", "app_id"),
        ("analytics", "timestamp"),
    ):
        op.create_index(_name(f"ix_{table}_{column}"), table, [column])
    op.create_table(
        "settings",
        sa.Column("key", sa.String(60), nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("updated_at", _moment, nullable=False),
        sa.PrimaryKeyConstraint("key", name=_name("pk_settings")),
    )
    revisions = op.create_table(
        "revisions",
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("value", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name=_name("pk_revisions")),
    )
    op.bulk_insert(revisions, [{"name": name, "value": 0} for name in ("access", "catalogue", "settings")])
