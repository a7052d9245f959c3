"""What a list is asked for, as values: conditions, an order, a page. Made by `api.list_requests`, carried out by `storage.lists`."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Generic, TypeVar

from stepswitch.domain.filters import Operator

Item = TypeVar("Item")
Key = str | int | float | None
PAGE_SIZE: Final = 100
LARGEST_PAGE: Final = 1_000
LAST_ROW: Final = 10_000
"""How far a page that is asked for by its number may reach."""


class Kind(StrEnum):
    """What values an attribute has. ANY: whatever JSON value stands there; TEXTS: several texts, of which one has to fit."""

    TEXT = "text"
    TIME = "time"
    FLAG = "flag"
    ANY = "any"
    TEXTS = "texts"


INDEXED: Final = frozenset({Kind.TEXT, Kind.TIME, Kind.FLAG})
"""The kinds whose equality, `in` and ranges use an index."""
CONTEXT: Final = "context"
EXECUTION_ATTRIBUTES: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "id": Kind.TEXT,
        "status": Kind.TEXT,
        "workflow/id": Kind.TEXT,
        "workflow/name": Kind.TEXT,
        "creationUser": Kind.TEXT,
        "creationTime": Kind.TIME,
        "endTime": Kind.TIME,
        "contextType": Kind.TEXT,
        "aborted": Kind.FLAG,
        "retainedTil": Kind.TIME,
        CONTEXT: Kind.ANY,
    }
)
"""What executions are filtered and sorted by; `context` with the name of an entry, as in `context/vnfId`."""
WORKFLOW_ATTRIBUTES: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "id": Kind.TEXT,
        "name": Kind.TEXT,
        "version": Kind.TEXT,
        "createdAt": Kind.TIME,
        "creationUser": Kind.TEXT,
        "owner/id": Kind.TEXT,
        "owner/subId": Kind.TEXT,
        "owner/type": Kind.TEXT,
        "readOnly": Kind.FLAG,
        "hierarchy": Kind.TEXTS,
        "tags/name": Kind.TEXTS,
    }
)
"""What workflows are filtered and sorted by."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison whose values have the attribute's type: text, milliseconds, or a flag. `entry` is the name within `context`."""

    attribute: str
    operator: Operator
    values: tuple[str | int | bool, ...]
    entry: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """What a list is sorted by; what is equal is sorted by its creation, then by its id, in the same direction."""

    attribute: str
    entry: str = ""
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A row of a sorted list. `part` 0 holds the rows that have the attribute (1 those that have not), `keys` what they are sorted by."""

    part: int
    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Reach:
    """What of a tenant may be shown: what `user` created, and what belongs to workflows called as `names` say (see `privileges`)."""

    user: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Selection:
    """One page: what fits all of the conditions (or any), from behind a place or from the start."""

    order: Order
    conditions: tuple[Condition, ...] = ()
    any_match: bool = False
    size: int = PAGE_SIZE
    after: Place | None = None
    skip: int = 0
    """Rows to leave out at the start."""
    is_counted: bool = False
    reach: Reach | None = None
    """None: all that the tenant has."""


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """The rows of a page, the last one's place where more follow, and how many fit in all where that was asked."""

    items: tuple[Item, ...]
    last: Place | None = None
    total: int | None = None
