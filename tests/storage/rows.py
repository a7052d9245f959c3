"""Looks at the rows of a database behind the stores' backs, in words that every implementation understands."""

from sqlalchemy import Table, bindparam, func, select

from stepswitch.storage.database import Database, Query, Row, Statement
from stepswitch.storage.tables import metadata


async def rows_of(database: Database, table: Table) -> list[Row]:
    """Return every row of `table`."""
    (found,) = await database.read([Query(Statement(select(*table.c)))])
    return list(found)


async def bodies_of(database: Database, table: Table) -> list[bytes]:
    """Return the body of every row of `table`."""
    (found,) = await database.read([Query(Statement(select(table.c.body)))])
    return [body for (body,) in found]


async def count(database: Database, table: Table, execution_id: str | None = None) -> int:
    """Return how many rows `table` has, or how many belong to one execution."""
    counted = select(func.count()).select_from(table)
    if execution_id is None:
        (found,) = await database.read([Query(Statement(counted))])
    else:
        column = table.c.id if table.name == "executions" else table.c.execution_id
        (found,) = await database.read([Query(Statement(counted.where(column == bindparam("e"))), {"e": execution_id})])
    return int(found[0][0])


async def everything(database: Database) -> dict[str, list[Row]]:
    """Return all that is stored, so that a test can say that nothing has changed."""
    return {name: sorted(await rows_of(database, table), key=repr) for name, table in metadata.tables.items()}
