"""Which documents are known, for a log that cannot tell by itself."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "identities",
        sa.Column("id", sa.LargeBinary, primary_key=True),
        sa.Column("claimant", sa.BigInteger, nullable=False),
        sa.Column("noted_s", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("identities")
