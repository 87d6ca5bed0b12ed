"""Alerts: where they go, by which rules, which changes there were, and how each was told."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "alert_channels",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("owner_email", sa.Text, nullable=False),
        sa.Column("quiet", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "alert_rules",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("channel_id", sa.Integer, nullable=False),
        sa.Column("application", sa.Text, nullable=False),
        sa.Column("release_channel", sa.Text, nullable=False),
        sa.Column("measure", sa.Text, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.UniqueConstraint(
            "channel_id", "application", "release_channel", "measure", name="alert_rules_once"
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "alert_events",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("application", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("measure", sa.Text, nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("before", sa.Text, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("alert", sa.Text, nullable=False),
        sa.UniqueConstraint(
            "application", "channel", "version", "measure", "as_of", name="alert_events_once"
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "alert_tellings",
        sa.Column("channel_id", sa.Integer, primary_key=True),
        sa.Column("event_id", sa.Integer, primary_key=True),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delivery", sa.Text, nullable=False),
    )
    op.create_table(
        "alert_deliveries",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("channel_id", sa.Integer, nullable=False),
        sa.Column("channel_name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tried_at", sa.DateTime(timezone=True)),
        sa.Column("answer", sa.Text, nullable=False),
    )
    op.create_index("ix_alert_events_taken_at", "alert_events", ["taken_at"])
    op.create_index("ix_alert_tellings_status", "alert_tellings", ["status"])
    op.create_index("ix_alert_tellings_delivery", "alert_tellings", ["delivery"])
    op.create_index("ix_alert_deliveries_created_at", "alert_deliveries", ["created_at"])
    op.create_index("alert_deliveries_next", "alert_deliveries", ["status", "due_at"])


def downgrade() -> None:
    """Drop them."""
    for name in ("alert_deliveries", "alert_tellings", "alert_events", "alert_rules", "alert_channels"):
        op.drop_table(name)
