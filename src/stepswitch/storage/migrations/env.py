"""How Alembic reaches the database. Run by Alembic only."""

import sqlite3

from alembic import context
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.pool import NullPool

from stepswitch.storage.tables import metadata


def run() -> None:
    """Bring the database named in the configuration to the wanted revision, all in one transaction."""
    path = context.config.attributes["database"]
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool, connect_args={"timeout": 30.0})
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    with engine.connect() as connection:
        _migrate(connection)
    engine.dispose()


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    """Make commits durable, and take transactions out of the driver's hands: it would begin none before a CREATE TABLE."""
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


def _begin(connection: Connection) -> None:
    """Begin to write at once, so that two processes that migrate do so one after the other."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()


run()
