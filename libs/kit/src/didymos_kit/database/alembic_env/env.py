"""Alembic's environment, one for all services: a service has nothing but its `migrations/versions`.

`didymos_kit.database.migrate` runs it with a connection in `config.attributes`.
"""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    render_as_batch=True,
    transaction_per_migration=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
