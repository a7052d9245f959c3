"""Rows of the audit trail, as the writer adds them at the end of each transaction. Called by `sqlite`.

All records of a batch are bound to each other here, in one go: one after the other, in the order of the changes that they tell of.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from stepswitch.domain.canonical import canonical_json
from stepswitch.engine.audit import Entry, bounded
from stepswitch.engine.audit_chain import BEGINNING, chained, searched_of

SEARCHED: Final = ("tenant", "time", "user", "operation", "object", "outcome")
"""The columns that lists search by, in the order of `searched_of`."""
SHORT_BYTES: Final = 2 * 1024
"""A record that is no longer is stored as it is; in a longer one, texts and lists are cut."""
_END: Final = "SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1"
_ADD: Final = f"INSERT INTO audit (number, previous, hash, record, {', '.join(SEARCHED)}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - names of ours


@dataclass(frozen=True, slots=True)
class Prepared:
    """A record that only needs its place: its canonical JSON, and what lists search by."""

    text: str
    searched: tuple[object, ...]


def prepared(entry: Entry | None) -> Prepared | None:
    """Return what the writer adds for an entry. Made for whoever asks and not in the writer, so that no entry can be the end of that."""
    if entry is None:
        return None
    record, text = written(entry.record())
    return Prepared(text, searched_of(record))


def add_records(connection: sqlite3.Connection, asked: Iterable[Prepared | None]) -> None:
    """Add records behind the last one, in the transaction that is open; raises sqlite3.Error, and then all of that is of no use.

    Nothing is added where SQLite has undone the transaction by itself.
    """
    records = [record for record in asked if record is not None]
    if records and connection.in_transaction:
        number, previous = connection.execute(_END).fetchone() or (0, BEGINNING)
        connection.executemany(_ADD, list(_rows(number, previous, records)))


def _rows(number: int, previous: str, records: Sequence[Prepared]) -> Iterable[tuple[object, ...]]:
    for record in records:
        number += 1
        hashed = chained(number, previous, record.text)
        yield (number, previous, hashed, record.text, *record.searched)
        previous = hashed


def written(record: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """Return a record within its bounds, and its canonical JSON.

    orjson writes the same as `canonical_json`, in a tenth of the time, as long as there is nothing but printable ASCII.
    """
    try:
        text = orjson.dumps(record, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        pass
    else:
        if len(text) <= SHORT_BYTES and text.isascii() and b"\\u" not in text and b"\x7f" not in text:
            return record, text.decode("ascii")
    record = bounded(record)
    return record, canonical_json(record).decode("ascii")
