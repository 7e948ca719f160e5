"""Alembic's environment and the migrations of Deploy's schema."""
