"""A connection to SQLite as everybody here opens it, and how statements are written for it. Used by `sqlite` and its readers."""

import sqlite3
from pathlib import Path
from typing import Final

from sqlalchemy import FromClause
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite


class _Compiler(SQLiteCompiler):
    """Writes what a statement says about indexes (`INDEXED BY …`) behind its table."""

    def get_from_hint_text(self, table: FromClause, text: str | None) -> str | None:  # noqa: ARG002 # the signature is SQLAlchemy's
        """Return the hint as it is."""
        return text


class _Dialect(SQLiteDialect_pysqlite):
    """SQLite with hints."""

    supports_statement_cache = False
    statement_compiler = _Compiler


DIALECT: Final = _Dialect(paramstyle="qmark")
_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA cache_spill=OFF",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA cell_size_check=ON",
    "PRAGMA journal_size_limit=67108864",
)


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection in autocommit mode with the settings that durability needs.

    `psow=1`, SQLite's own default unless it was built otherwise, has the frame that commits be the last one of a transaction. Without it others follow to
    fill up a sector; a disk that is full then refuses those although the transaction is committed, which a crash brings to light.
    """
    place = f"{path.absolute().as_uri()}?psow=1"
    connection = sqlite3.connect(place, timeout=5.0, isolation_level=None, check_same_thread=False, cached_statements=256, uri=True)
    try:
        for pragma in _PRAGMAS:
            connection.execute(pragma)
    except BaseException:
        connection.close()
        raise
    return connection


def keep_pages(connection: sqlite3.Connection, mib: int) -> None:
    """Let a connection keep so much of the database at hand; the system keeps the files themselves, so what is read again costs little."""
    connection.execute(f"PRAGMA cache_size=-{mib * 1024}")
