"""Which hours of crashes are to be counted again, and which days cannot be any more."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "crash_recounts",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("hour", sa.Integer, primary_key=True),
        sa.Column("stamp", sa.Text, nullable=False),
    )
    op.create_table("crash_days_gone", sa.Column("before", sa.Date, primary_key=True))


def downgrade() -> None:
    """Drop them."""
    op.drop_table("crash_days_gone")
    op.drop_table("crash_recounts")
