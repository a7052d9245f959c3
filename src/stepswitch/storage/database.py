"""The seam between the stores and a database: units of work as values. Implemented by `sqlite`; used by every store.

A store never holds a transaction open: it hands over a list of operations that succeed or fail together, or a list of queries
that see one state of the data.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

from sqlalchemy import LargeBinary
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.elements import ClauseElement

from stepswitch.domain.changed import quickly_made
from stepswitch.domain.errors import StoreError
from stepswitch.engine.audit import Entry
from stepswitch.engine.encryption import Sealer

Row = tuple[Any, ...]
Params = Mapping[str, Any]
Found = TypeVar("Found")
SEALED_WITH: Final = "sealed_with"
"""The parameter that says with which key the bytes of a row are encrypted; nothing where they are in clear."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """The SQL of a statement, the names of its parameters in their order, and the values that stand in it.

    The driver is given values in their order: for a name it looks through all names, each time that the statement is executed.
    """

    text: str
    names: Sequence[str]
    constants: Mapping[str, Any]
    binary: Sequence[Sequence[int]]
    """Of each parameter that is bytes the places at which it stands."""
    key: Sequence[int]
    """The places of `sealed_with`."""

    def values(self, given: Params) -> list[Any]:
        """Return the values of all parameters: those that are given, and those that stand in the statement itself; raises StoreError where one is missing."""
        all_given = {**self.constants, **given} if self.constants else given
        try:
            return [all_given[name] for name in self.names]
        except KeyError as error:
            raise StoreError(f"a statement was not given its parameter {error}") from error


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement of SQLAlchemy Core, compiled once per dialect to the text that the driver takes."""

    element: ClauseElement
    _compiled: dict[str, Compiled] = field(default_factory=dict, compare=False)

    def compiled(self, dialect: Dialect) -> Compiled:
        """Return the statement as the driver takes it."""
        found = self._compiled.get(dialect.name)
        if found is None:
            found = self._compiled[dialect.name] = _driven(self.element.compile(dialect=dialect))
        return found


def _driven(compiled: Any) -> Compiled:
    """Return a statement that SQLAlchemy has compiled as the driver takes it."""
    names = tuple(getattr(compiled, "positiontup", None) or ())
    constants = {name: value for name, value in (compiled.params or {}).items() if value is not None}
    if SEALED_WITH in names:
        constants.setdefault(SEALED_WITH, None)  # of what is stored in clear
    binary = [name for name, bound in getattr(compiled, "binds", {}).items() if name in names and isinstance(bound.type, LargeBinary)]
    return Compiled(str(compiled), names, constants, [_places(names, name) for name in binary], _places(names, SEALED_WITH))


def _places(names: Sequence[str], name: str) -> list[int]:
    return [place for place, each in enumerate(names) if each == name]


@quickly_made
@dataclass(frozen=True, slots=True)
class Op:
    """One statement of a unit of work. `expect` is the number of rows that it has to change, else all of it is undone."""

    statement: Statement
    params: Params
    expect: int | None = None
    place: bytes | None = None
    """Where its bytes stand, where they are to be encrypted; the parameter `sealed_with` then says with which key."""


@dataclass(frozen=True, slots=True)
class Query:
    """One statement that reads."""

    statement: Statement
    params: Params = field(default_factory=dict)
    limit_seconds: float | None = None
    """How long it may run; a read with such a query keeps no other read waiting."""
    place: Callable[[Row], bytes] | None = None
    """Says of a row where it stands, where its bytes may be encrypted."""


class Database(Protocol):
    """A database that can be written by one unit of work at a time, and read beside it."""

    @property
    def sealer(self) -> Sealer:
        """What encrypts the bytes of operations that have a place."""
        ...

    async def write(self, ops: Sequence[Op], entry: Entry | None = None) -> Sequence[int]:
        """Carry out `ops` together, with `entry` as the next record of the audit trail, and return the rows that each changed, after COMMIT.

        Raises VersionConflictError where one changed another number of rows than expected or met an existing key, CommitInDoubtError
        where COMMIT failed and nobody knows, StoreError otherwise. Whatever it raises but CommitInDoubtError: nothing of `ops` was written.
        """
        ...

    async def read(self, queries: Sequence[Query]) -> Sequence[Sequence[Row]]:
        """Return the rows of each query, all as of one moment; raises StoreError, QueryTooSlowError where one ran over its limit.

        A query for a key that the database cannot even hold (a lone surrogate, a number over 64 bits) finds no row.
        """
        ...

    def moment(self) -> AbstractAsyncContextManager["Moment"]:
        """Let several reads see what is committed now, however long they take; raises StoreError. Others wait for the end of it."""
        ...

    async def close(self) -> None:
        """Finish what is waiting and let go of the files."""
        ...


ReadNow = Callable[[Sequence[Query]], Sequence[Sequence[Row]]]
"""Reads in the thread that asks."""


class Moment(Protocol):
    """The database as it stood at one moment."""

    @property
    def readers(self) -> int:
        """How many reads go on beside each other; further ones wait."""
        ...

    async def read(self, queries: Sequence[Query]) -> Sequence[Sequence[Row]]:
        """Return the rows of each query as of the moment, otherwise as `Database.read`."""
        ...

    async def work(self, task: Callable[[ReadNow], Found]) -> Found:
        """Return what `task` comes to, in a reader's thread: it is given what reads right there, and stops at what that raises."""
        ...
