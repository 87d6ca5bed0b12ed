"""Which bugs signatures have, and who said so."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "signature_bugs",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("signature", sa.Text, nullable=False),
        sa.Column("tracker", sa.Text, nullable=False),
        sa.Column("bug", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("signature", "tracker", "bug", name="signature_bugs_once"),
        sqlite_autoincrement=True,
    )
    op.create_index("signature_bugs_by_bug", "signature_bugs", ["bug", "tracker"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("signature_bugs")
