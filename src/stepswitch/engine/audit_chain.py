"""The chain of the audit trail: how a record is bound to the one before it, and how that is checked. Called by `storage` and by the commands.

A record's hash is SHA-256 over the canonical JSON (`domain.canonical`) of its number, the hash of the one before, and what it says:

    {"number":7,"previous":"…","record":{…}}

So whoever changes, removes or moves a record has to write every later one anew, and no hash that somebody has noted fits any more.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from stepswitch.engine.audit import Record

BEGINNING: Final = "0" * 64
"""What stands before the first record."""
FARTHEST: Final = 100_000
"""So many places on either side are tried, to say where a record belongs that is out of order."""


class Break(StrEnum):
    """How a chain can be broken."""

    CHANGED = "changed"
    MISSING = "missing"
    OUT_OF_ORDER = "out of order"
    HEAD_UNKNOWN = "head unknown"
    """No record has the hash that somebody has noted: the end was cut off, or all of it was written anew."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Where a chain is broken, and how, in a sentence."""

    number: int
    kind: Break
    text: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as it stands in the store, with what lists search by, which has to say the same."""

    record: Record
    searched: Sequence[object]


def chained(number: int, previous: str, text: str) -> str:
    """Return the hash of a record, in hex. `text` is the canonical JSON of what it says."""
    return hashlib.sha256(f'{{"number":{number},"previous":"{previous}","record":{text}}}'.encode()).hexdigest()


def searched_of(record: Mapping[str, Any]) -> tuple[object, ...]:
    """Return what lists search by: it stands in columns of its own beside what the record says."""
    return (record["tenant"], record["time"], record["actor"]["user"], record["operation"], record["object"]["id"], record["outcome"])


class ChainCheck:
    """Goes through a chain from its start to its end, in constant memory."""

    def __init__(self, expected_head: str | None = None, pruned: tuple[int, str] | None = None) -> None:
        self._pruned = pruned
        """Up to which record the beginning may be missing, and the hash of that: the record of a pruning says so, and stands in the chain itself."""
        self.missing = 0
        """So many records are missing at the beginning."""
        self.number = 0
        self.head = BEGINNING
        self.count = 0
        self.finding: Finding | None = None
        self._expected = expected_head
        self._is_found = expected_head in (None, BEGINNING) or (pruned is not None and expected_head == pruned[1])

    def begin_behind(self, record: Record) -> None:
        """Take a record on trust, and check what comes after it."""
        self.number, self.head = record.number, record.hash
        self._is_found = self._is_found or record.hash == self._expected

    def take(self, rows: Iterable[Stored]) -> bool:
        """Check the next records; return whether all is well so far."""
        for stored in rows:
            self.finding = self._fault_of(stored)
            if self.finding is not None:
                return False
            record = stored.record
            self.number, self.head, self.count = record.number, record.hash, self.count + 1
            self._is_found = self._is_found or record.hash == self._expected
        return True

    def end(self) -> Finding | None:
        """Return what is broken, now that there are no more records; None where nothing is."""
        if self.finding is None and not self._is_found:
            text = "no record has the hash that was noted: records are missing at the end, or all of it was written anew"
            text += f"; it may be that of one of the {self.missing} that were pruned" if self.missing else ""
            self.finding = Finding(self.number, Break.HEAD_UNKNOWN, text)
        return self.finding

    def _fault_of(self, stored: Stored) -> Finding | None:
        record = stored.record
        if self.number == 0 and record.number > 1 and self._pruned is not None and record.number <= self._pruned[0] + 1:
            self.missing = self.number = record.number - 1
            self.head = self._pruned[1] if record.number == self._pruned[0] + 1 else record.previous
        expected = self.number + 1
        if record.number != expected:
            last = record.number - 1
            text = f"record {last} is missing" if last == expected else f"records {expected} to {last} are missing"
            return Finding(expected, Break.MISSING, text)
        if chained(record.number, record.previous, record.text) != record.hash:
            return self._changed_or_moved(record)
        if self._pruned is not None and record.number == self._pruned[0] and record.hash != self._pruned[1]:
            return Finding(
                record.number, Break.CHANGED, f"record {record.number} was changed: the record of the pruning up to it says another hash"
            )
        if record.previous != self.head:
            text = f"record {record.number} does not follow record {self.number}: its number was kept, and what stands before it was not"
            return Finding(record.number, Break.OUT_OF_ORDER, text)
        if not _says_the_same(stored):
            return Finding(record.number, Break.CHANGED, f"record {record.number} was changed: what lists search by is not what it says")
        return None

    def _changed_or_moved(self, record: Record) -> Finding:
        for distance in range(1, FARTHEST + 1):
            for number in (record.number - distance, record.number + distance):
                if number > 0 and chained(number, record.previous, record.text) == record.hash:
                    text = f"in the place of record {record.number} stands record {number}"
                    return Finding(record.number, Break.OUT_OF_ORDER, text)
        return Finding(record.number, Break.CHANGED, f"record {record.number} was changed: its hash is not that of what it says")


def _says_the_same(stored: Stored) -> bool:
    try:
        return tuple(stored.searched) == searched_of(json.loads(stored.record.text))
    except (ValueError, KeyError, TypeError):
        return False
