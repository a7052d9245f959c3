"""What crosses the seams of `ports`: plain values, and nothing that acts. Times are milliseconds since 1970 in UTC."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from stepswitch.domain.changed import quickly_made
from stepswitch.domain.execution import Head, LogEntry, StepExecution, Values
from stepswitch.domain.locks import LockChange
from stepswitch.engine.audit import Entry
from stepswitch.engine.privileges import Privilege


@quickly_made
@dataclass(frozen=True, slots=True)
class Save:
    """One decision on its way to the disk: all of it or nothing. `head.version` is one more than the version that was read."""

    head: Head
    rows: tuple[StepExecution, ...] = ()
    logs: tuple[LogEntry, ...] = ()
    searched_context: Values = field(default_factory=dict)
    """Of a new execution: what of its context lists may be filtered by, which is what holds no secret."""
    lane: str | None = None
    """What the task that follows stands in line for; None where none follows, or the one that is there stays."""
    taken_files: frozenset[str] = frozenset()
    """Of an execution that was there: ids of the files that belong to it now, and did not."""
    left_files: frozenset[str] = frozenset()
    """Ids of the files that belong to it no longer."""
    entry: Entry | None = None
    """What the audit trail says of it, where somebody asked for it."""
    locks: LockChange | None = None
    """What it does to the lines for locks."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A workflow as it was when an execution was made, or after an edit; `id` is a hash of its content."""

    id: str
    tenant: str
    document: Mapping[str, Any]
    is_confidential: bool = False
    """Whether passwords may stand in it."""
    given_by: Mapping[str, str] = field(default_factory=dict)
    """Who gave the passwords in it that its maker did not give: see `givers`."""
    designer: str = ""
    """Who stored the workflow last, where that was not its maker: what it does is done in his name, too."""


@dataclass(frozen=True, slots=True)
class Creation:
    """A new execution that is stored in the save of the one whose step waits for it, or not at all."""

    save: Save
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Standing:
    """An execution as it stood at one moment: where a reading begins that goes on page by page.

    `snapshot_ids` are those of its steps; what is logged later has a place behind `log_end`.
    """

    head: Head
    snapshot_ids: frozenset[str]
    log_end: int


class LogOrder(StrEnum):
    """Which entries of a log are read, and how: all as they were committed, the execution's own, or those of the steps one by one."""

    COMMITS = "commits"
    OWN = "own"
    STEPS = "steps"


@dataclass(frozen=True, slots=True)
class LogPage:
    """A part of a log: what stands behind `after` (and `after_step`, step by step), up to `until`, until `limit_bytes` are full."""

    order: LogOrder = LogOrder.COMMITS
    after: int = 0
    after_step: int = -1
    until: int = 2**63 - 1
    limit_bytes: int = 8_000_000


WHOLE_LOG: Final = LogPage()
"""The first page of all that is in a log."""


@dataclass(frozen=True, slots=True)
class Due:
    """Which executions are wanted of those that could run: turns, or steps, or both (None); no lane that is `crowded`, that of a tenant neither; due by then."""

    turns: bool | None = None
    crowded: Collection[str] = ()
    before: int = 2**62


ANY: Final = Due()


@dataclass(frozen=True, slots=True)
class Runnable:
    """An execution that somebody has to go on with, as the store knows it."""

    execution_id: str
    since: int
    lane: str = field(default="", compare=False)
    """What its step stands in line for, as in `Task.lane`; empty where nobody has said."""
    tenant: str = field(default="", compare=False)

    @property
    def place(self) -> tuple[int, str]:
        """Where it stands in the order of the queue."""
        return self.since, self.execution_id


@dataclass(frozen=True, slots=True)
class OpenClaim:
    """A claim that has not reported: whose, and until when it counts as alive."""

    execution_id: str
    number: int
    attempt: int
    nonce: str
    instance: str
    last_sign: int
    deadline: int


@dataclass(frozen=True, slots=True)
class StoredWorkflow:
    """A workflow of the catalogue. `document` is what is given back, without what the server fills in."""

    id: str
    tenant: str
    created_at: int
    creation_user: str
    revision: int
    document: Mapping[str, Any]
    given_by: Mapping[str, str] = field(default_factory=dict)
    """Who gave the passwords in it that its creator did not give: see `givers`."""
    changed_by: str = ""
    """Who stored it last, where that was not its creator."""


@dataclass(frozen=True, slots=True)
class Revision:
    """That a workflow was created or changed: since when it is so, and by whom."""

    number: int
    changed_at: int
    changed_by: str


DIRECTORY: Final = "ldap"
"""Who vouches for those whom the directory knows: in their subjects, and at the beginning of their names."""


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who may come in: with a password, of which `password_hash` is argon2id's own text, or because a provider vouches for him."""

    name: str
    tenant: str
    password_hash: str
    roles: tuple[str, ...]
    is_disabled: bool = False
    subject: str | None = None
    """Who he is for his provider: its issuer, a blank, and what it calls him for good. Then there is no password, and the roles are what it said last."""
    told_at: int = 0
    """When it said that."""

    @property
    def is_of_directory(self) -> bool:
        """Whether the directory knows him, which can be asked about him without him."""
        return self.source == DIRECTORY

    @property
    def source(self) -> str:
        """Who says that he is who he is: `password`, which is the service itself, or whoever vouches for him."""
        return "password" if self.subject is None else self.subject.partition(" ")[0]

    @property
    def subject_id(self) -> str:
        """What whoever vouches for him calls him."""
        return (self.subject or "").partition(" ")[2]

    @property
    def credential(self) -> str:
        """What changes with the password: a session is good for the one that it was opened with, and for no other."""
        return hashlib.sha256(self.password_hash.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Session:
    """A login, or the API token of a program. `token_hash` is SHA-256 of what is sent, in hex: the token itself is stored nowhere."""

    token_hash: str
    user: str
    tenant: str
    roles: tuple[str, ...]
    expires_at: int
    credential: str
    """The account's, when the session was opened. A login ends with its password; an API token does not."""
    created_at: int = 0
    address: str = ""
    """Where the login came from."""
    token_name: str | None = None
    """What an API token is called; None for a login."""
    privileges: frozenset[Privilege] | None = None
    """What an API token is good for, of what its user may; None for all of it."""

    @property
    def id(self) -> str:
        """What it is called in answers: tells nothing of the token."""
        return self.token_hash[:24]

    @property
    def is_token(self) -> bool:
        """Whether it is an API token."""
        return self.token_name is not None


class Ending(StrEnum):
    """Which sessions of a user end with a change of the account."""

    NONE = "none"
    LOGINS = "logins"
    ALL = "all"
    """API tokens too."""


@dataclass(frozen=True, slots=True)
class DataKey:
    """A key that values are encrypted with, itself encrypted (`wrapped`) with the key that `wrapped_by` names. The one of generation 0 only makes names."""

    generation: int
    wrapped_by: str
    wrapped: str
    made_at: int


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A host key that the service trusts: `public_key` is an OpenSSH line without comment (`ssh-ed25519 AAAA…`)."""

    host: str
    port: int
    public_key: str
    added_by: str
    added_at: int


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that belongs to workflows or executions. `id` names it, `sha256` (hex) is its content."""

    id: str
    tenant: str
    name: str
    sha256: str
    size: int


class RequestKind(StrEnum):
    """Why a request is remembered: it carried a key, or its answer could not be written."""

    KEYED = "keyed"
    CUT = "cut"


@dataclass(frozen=True, slots=True)
class RequestMark:
    """That a request has made an execution. `name` tells it from others of its kind and sender; `digest` is made from its body."""

    tenant: str
    user: str
    kind: RequestKind
    name: str
    digest: str
    execution_id: str
    made_at: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a queued task does not run: `kind` is place, device or time."""

    kind: str
    name: str
    since: int
    until: int | None = None


@quickly_made
@dataclass(frozen=True, slots=True)
class Committed:
    """What one save or one batch of log lines made known, after COMMIT. `steps` are those that changed, in their order; `head` is None for log lines.

    `is_gone`: the execution was removed, and nothing else is said.
    """

    execution_id: str
    head: Head | None = None
    steps: tuple[StepExecution, ...] = ()
    logs: tuple[LogEntry, ...] = field(default=())
    is_gone: bool = False
    locks: LockChange | None = None
    """What it did to the lines for locks."""
