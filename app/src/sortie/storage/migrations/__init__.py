"""Alembic's environment and the steps."""
