"""What the audit trail says of one act: who, when, from where, what, allowed or refused, before and after. Values that cross the seams.

A use case makes the entry of its change (`Caller.entry`), and the store writes it in the transaction of that change. Nothing secret comes in here:
what goes into `before` and `after` is named field by field, and a password only ever as `********`. Times are milliseconds since 1970 in UTC.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from stepswitch.domain.canonical import canonical_json
from stepswitch.domain.changed import quickly_made

FORMAT: Final = 1
"""Format number of a record."""
MASK: Final = "********"
LONGEST_TEXT: Final = 256
MOST_ITEMS: Final = 50
LARGEST_CHANGE_BYTES: Final = 8 * 1024
NOTHING: Final[Mapping[str, Any]] = {}


class Actor(StrEnum):
    """What kind of somebody acts."""

    SESSION = "session"
    TOKEN = "token"
    ACCESS_TOKEN = "access token"
    """Whoever came with an access token of the provider of logins."""
    PROVIDER = "provider"
    """The provider of logins or the directory, which said of the user what is recorded."""
    UNKNOWN = "unknown"
    """Nobody who has logged in: a login that was refused."""
    COMMAND_LINE = "command line"
    """Whoever may write the data directory; the user is the one of the operating system."""
    SYSTEM = "system"


class Judgement(StrEnum):
    """What became of it."""

    ALLOWED = "allowed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Thing:
    """What is acted on."""

    kind: str = ""
    id: str = ""
    name: str = ""


class Act:
    """One request for an operation, from when it came until its record is on disk."""

    __slots__ = ("address", "is_recorded", "kind", "operation", "status", "tenant", "time", "user")

    def __init__(self, operation: str, time: int, kind: Actor | None = None, address: str = "", status: int = 200) -> None:
        self.operation = operation
        self.time = time
        self.kind = kind
        """None: as whoever asks has come."""
        self.address = address
        self.status = status
        """What it is answered with where it is allowed."""
        self.is_recorded = False
        self.user = self.tenant = ""
        """Whom the record names, where that is not the caller: whom a login is for, where there is such a user (what else is typed there may be a
        password), or the user of the operating system."""


@quickly_made
@dataclass(frozen=True, slots=True)
class Entry:
    """A record before it has its place in the chain."""

    operation: str
    time: int
    tenant: str
    user: str
    kind: Actor
    session: str = ""
    address: str = ""
    thing: Thing = field(default_factory=Thing)
    judgement: Judgement = Judgement.ALLOWED
    status: int = 200
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    count: int = 1
    """How many alike it stands for."""
    act: Act | None = field(default=None, compare=False, repr=False)

    def settle(self) -> None:
        """Note that it is on disk."""
        if self.act is not None:
            self.act.is_recorded = True

    def record(self) -> dict[str, Any]:
        """Return what is stored, in the words of the export; `recorded` bounds it."""
        return {
            "actor": {"kind": self.kind.value, "session": self.session, "user": self.user},
            "after": self.after,
            "before": self.before,
            "count": self.count,
            "format": FORMAT,
            "from": self.address,
            "object": {"id": self.thing.id, "kind": self.thing.kind, "name": self.thing.name},
            "operation": self.operation,
            "outcome": self.judgement.value,
            "status": self.status,
            "tenant": self.tenant,
            "time": written_time(self.time),
        }


def at_the_command_line(user: str, operation: str, time: int, thing: Thing, after: Mapping[str, Any] = NOTHING) -> Entry:
    """Return the record of what a user of the operating system does to a data directory."""
    return Entry(operation, time, "", user, Actor.COMMAND_LINE, thing=thing, after=after)


@dataclass(frozen=True, slots=True)
class Record:
    """A record in its place: `text` is the canonical JSON of what it says."""

    number: int
    previous: str
    hash: str
    text: str

    @property
    def line(self) -> str:
        """The record as a line of an export: what its hash is made of, and the hash; in ASCII, whatever it says."""
        return f'{{"hash":"{self.hash}","number":{self.number},"previous":"{self.previous}","record":{self.text}}}'


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return of two states the fields that differ, as they were and as they are."""
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return {name: before.get(name) for name in names}, {name: after.get(name) for name in names}


def bounded(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record that takes no more room than one may: long texts and lists are cut, and a change that is still large says only how large it is."""
    short: dict[str, Any] = _bounded(record)
    for side in ("before", "after"):
        size = len(canonical_json(short[side]))
        if size > LARGEST_CHANGE_BYTES:
            short[side] = {"tooLarge": size}
    return short


def _bounded(value: Any) -> Any:
    if isinstance(value, str):
        return _short(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Mapping):
        return {_short(str(name)): _bounded(each) for name, each in list(value.items())[:MOST_ITEMS]}
    if isinstance(value, Sequence | frozenset | set):
        items = [_bounded(each) for each in (sorted(value) if isinstance(value, frozenset | set) else value)]
        return items if len(items) <= MOST_ITEMS else [*items[:MOST_ITEMS], f"and {len(items) - MOST_ITEMS} more"]
    return _short(str(value))


def _short(text: str) -> str:
    """Return a text as every database can hold it, and not too long."""
    short = text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"
    return short if short.isascii() and "\0" not in short else short.replace("\0", "?").encode("utf-8", "replace").decode()


def written_time(milliseconds: int) -> str:
    """Return a time as RFC 3339 has it, with milliseconds."""
    return f"{_written_second(milliseconds // 1000)}.{milliseconds % 1000:03}Z"


@lru_cache(maxsize=8)
def _written_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat(timespec="seconds").removesuffix("+00:00")
