"""Alembic's entry: migrate on the connection that `state.database` hands over."""

from alembic import context

from missioncontrol.state.database import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
