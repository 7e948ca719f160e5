"""One file per step; Alembic follows their chain."""
