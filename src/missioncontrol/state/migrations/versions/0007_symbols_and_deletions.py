"""Which symbols changed when, for walkers that keep some; and which crashes were deleted by whom."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "symbol_changes",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("debug_file", sa.Text, nullable=False),
        sa.Column("debug_id", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "crash_deletions",
        sa.Column("crash_id", sa.Text, primary_key=True),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False, index=True),
        sa.Column("done_at", sa.DateTime(timezone=True)),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("crash_deletions")
    op.drop_table("symbol_changes")
