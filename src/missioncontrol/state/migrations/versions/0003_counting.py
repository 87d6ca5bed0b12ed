"""How many of the pings of a built day count."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; for days built before, every ping is taken to count."""
    with op.batch_alter_table("built_days") as table:
        table.add_column(sa.Column("counting", sa.BigInteger, nullable=False, server_default="0"))
    op.execute("UPDATE built_days SET counting = pings")


def downgrade() -> None:
    """Drop it."""
    with op.batch_alter_table("built_days") as table:
        table.drop_column("counting")
