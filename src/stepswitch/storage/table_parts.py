"""What the tables have in common: the collection that they are in, and the column of what is encrypted. Read by `tables`."""

from typing import Final

from sqlalchemy import Column, Index, Integer, MetaData, text

metadata: Final = MetaData()


def sealed_with() -> Column[int]:
    """Return the column for the generation of the key that the body is encrypted with; NULL where it is not."""
    return Column("sealed_with", Integer)


def sealed_index(table: str) -> Index:
    """Return the index that finds what is encrypted, without a row for what is not."""
    return Index(f"{table}_sealed", "sealed_with", sqlite_where=text("sealed_with IS NOT NULL"))
