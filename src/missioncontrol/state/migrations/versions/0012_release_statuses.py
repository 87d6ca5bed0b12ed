"""Which statuses a release had, from when on, and who gave them."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_BY_A_VERDICT = "status = 'worse' AND changed_by = '' AND changed_at IS NOT NULL"


def upgrade() -> None:
    """Create the table. When a status was given is known of verdicts alone; others count from ever, as they did."""
    op.create_table(
        "release_statuses",
        sa.Column("application", sa.Text, primary_key=True),
        sa.Column("channel", sa.Text, primary_key=True),
        sa.Column("version", sa.Text, primary_key=True),
        sa.Column("nth", sa.Integer, primary_key=True),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True)),
        sa.Column("said_by", sa.Text, nullable=False),
    )
    insert = "INSERT INTO release_statuses (application, channel, version, nth, status, since, said_by) "
    of_version = "GROUP BY application, channel, version"
    op.execute(
        f"{insert}SELECT application, channel, version, 0, "
        f"min(CASE WHEN {_BY_A_VERDICT} THEN 'accepted' ELSE status END), NULL, min(changed_by) "
        f"FROM releases {of_version}"
    )
    op.execute(
        f"{insert}SELECT application, channel, version, 1, 'worse', min(changed_at), '' "
        f"FROM releases WHERE {_BY_A_VERDICT} {of_version}"
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("release_statuses")
