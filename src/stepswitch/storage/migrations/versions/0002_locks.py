"""The lines in which executions stand for locks."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table of locks."""
    op.create_table(
        "locks",
        sa.Column("place", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("execution_id", sa.String(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("held_since", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("place"),
        sqlite_autoincrement=True,
    )
    op.create_index("locks_by_line", "locks", ["tenant", "key", "place"])
    op.create_index("locks_held", "locks", ["tenant", "key"], unique=True, sqlite_where=sa.text("held_since IS NOT NULL"))
    op.create_index("locks_by_execution", "locks", ["execution_id", "tenant", "key"], unique=True)
