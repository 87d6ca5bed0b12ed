"""What people say of releases, and how each became known."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; those known before were imported, and nobody said anything of them."""
    with op.batch_alter_table("releases") as table:
        table.add_column(sa.Column("status", sa.Text, nullable=False, server_default="accepted"))
        table.add_column(sa.Column("origin", sa.Text, nullable=False, server_default="imported"))
        table.add_column(sa.Column("note", sa.Text, nullable=False, server_default=""))
        table.add_column(sa.Column("changed_by", sa.Text, nullable=False, server_default=""))
        table.add_column(sa.Column("changed_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    """Drop them."""
    with op.batch_alter_table("releases") as table:
        for name in ("changed_at", "changed_by", "note", "origin", "status"):
            table.drop_column(name)
