"""How Alembic reaches the database. Run by Alembic only."""

from alembic import context
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.pool import NullPool

from stepswitch.storage.tables import metadata


def run() -> None:
    """Bring the database named in the configuration to the wanted revision, all in one transaction."""
    path = context.config.attributes["database"]
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool, connect_args={"timeout": 30.0})

    @event.listens_for(engine, "connect")
    def _durable(connection: object, _record: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")  # type: ignore[attr-defined] # the driver's own connection
        connection.execute("PRAGMA synchronous=FULL")  # type: ignore[attr-defined]

    with engine.connect() as connection:
        _migrate(connection)
    engine.dispose()


def _migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()


run()
