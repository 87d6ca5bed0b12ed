"""How far a run is, and whether somebody said that what it could not make may stay as it is."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; of runs before, none of it is known."""
    with op.batch_alter_table("runs") as table:
        table.add_column(sa.Column("days", sa.Integer))
        table.add_column(sa.Column("made", sa.Integer))
        table.add_column(sa.Column("left_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    """Drop them."""
    with op.batch_alter_table("runs") as table:
        for name in ("left_at", "made", "days"):
            table.drop_column(name)
