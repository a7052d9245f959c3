"""The seams of the service: what the engine asks of stores, step types, clocks and observers. Those of the queue are in `dispatching`, those of encryption in `encryption`.

Who changes something names the record of it (`entry`), which is written with the change or not at all; None where nobody asks for one.
Implemented in the rooms above (`storage`, `dispatch`, `steps`, `access`, …), chosen in `bootstrap`, and proven by one
conformance suite each. Times are milliseconds since 1970 in UTC unless a name ends in `_seconds`.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Protocol

from stepswitch.domain.devices import Device
from stepswitch.domain.execution import Head, LogEntry, LogLevel, Outcome, PlainValues, StepExecution
from stepswitch.domain.inventory import Inventory
from stepswitch.domain.references import Reference
from stepswitch.domain.step_types import StepSignature
from stepswitch.engine.audit import Entry
from stepswitch.engine.commits import Commit, CommitPage, CommitRow, Position
from stepswitch.engine.records import (
    WHOLE_LOG,
    Committed,
    Creation,
    LogPage,
    OpenClaim,
    RequestMark,
    Revision,
    Save,
    Snapshot,
    Standing,
    StoredFile,
    StoredWorkflow,
    TrustedKey,
)
from stepswitch.engine.selection import Page, Selection


class Clock(Protocol):
    """The time of day and the time that passes. Tests own one that they move by hand."""

    def now(self) -> int:
        """Return the time of day in milliseconds since 1970, UTC."""

    def monotonic(self) -> float:
        """Return seconds that only ever grow."""

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of monotonic time."""


class Ids(Protocol):
    """Names and nonces that nobody else makes."""

    def new(self) -> str:
        """Return an id never given before."""


class ExecutionStore(Protocol):
    """Executions with their rows. Every writing call returns only after COMMIT."""

    async def create(self, save: Save, snapshot: Snapshot, mark: RequestMark | None = None) -> None:
        """Store a new execution and, where it is not there yet, its snapshot; `mark` says which request has made it.

        Raises VersionConflictError where the id, or a mark of that name, exists: then nothing is stored.
        """

    async def save(self, save: Save, snapshot: Snapshot | None = None, creation: Creation | None = None) -> None:
        """Store a decision over the version that was read, and `creation` with it; raises VersionConflictError where somebody saved first.

        Raises CommitInDoubtError where COMMIT failed and nobody knows.
        """

    async def load(self, execution_id: str) -> Head | None:
        """Return the stored head."""

    async def snapshot(self, snapshot_id: str) -> Snapshot | None:
        """Return a stored snapshot."""

    async def standing(self, execution_id: str) -> Standing | None:
        """Return an execution as it stands at one moment, so that its rows can be read up to there."""

    async def steps(self, execution_id: str, first: int = 0, count: int = 1_000, limit_bytes: int = 8_000_000) -> Sequence[StepExecution]:
        """Return up to `count` step executions that are behind (the current one is in the head), fewer where they are over the limit, by number from `first`."""

    async def logs(self, execution_id: str, page: LogPage = WHOLE_LOG) -> tuple[Sequence[LogEntry], LogPage | None]:
        """Return the entries of a page of the log, and the page to go on with, None at the end."""

    async def log_end(self, execution_id: str) -> int:
        """Return the place of the last row of log of an execution; 0 where there is none. What is logged later has a greater one."""

    async def append_logs(self, execution_id: str, logs: Sequence[LogEntry], *, again: bool = False, is_confidential: bool = False) -> None:
        """Add log entries of a step; never touches the version. `again`: they may be there already, and are then not added."""

    async def sign(self, nonces: Sequence[str], now: int) -> Sequence[str]:
        """Note a sign of life for each of these claims; return the nonces that are still open."""

    async def open_claims(self, silent_since: int, now: int) -> Sequence[OpenClaim]:
        """Return the claims whose last sign is older than `silent_since` or whose deadline is before `now`."""

    async def foreign_claims(self, instance: str) -> Sequence[OpenClaim]:
        """Return the open claims of every other instance."""

    async def cleanups(self, count: int) -> Sequence[str]:
        """Return ids of executions of which something may be left at a target."""

    async def unheard(self, now: int) -> Sequence[str]:
        """Return ids of executions that wait for one that is gone or has ended, or whose time was over at `now`."""

    async def awaiting(self, after: str, count: int) -> Sequence[str]:
        """Return up to `count` ids, behind the one named, of executions that wait for another one."""

    async def expired(self, now: int, count: int) -> Sequence[str]:
        """Return ids of ended executions whose `retainedTil` has passed."""

    async def delete(self, execution_id: str, entry: Entry | None = None) -> None:
        """Remove an execution with its rows, and its snapshot where nobody else has it."""


class CatalogueStore(Protocol):
    """Workflows. Only ever those of the tenant that is named."""

    async def create(self, workflow: StoredWorkflow, entry: Entry | None = None) -> None:
        """Store a new workflow; raises VersionConflictError where the id exists."""

    async def get(self, tenant: str, workflow_id: str) -> StoredWorkflow | None:
        """Return a workflow."""

    async def replace(self, workflow: StoredWorkflow, changed_at: int, changed_by: str, entry: Entry | None = None) -> None:
        """Store a workflow over the revision before its own, which is kept; raises VersionConflictError where that is not the stored one."""

    async def delete(self, workflow: StoredWorkflow, entry: Entry | None = None) -> None:
        """Remove a workflow with all its revisions; raises VersionConflictError where this is no longer the stored one."""

    async def revisions(self, workflow: StoredWorkflow) -> Sequence[Revision]:
        """Return every revision of a workflow, oldest first."""

    async def revision(self, workflow: StoredWorkflow, number: int) -> StoredWorkflow | None:
        """Return a workflow as it was in one of its revisions."""


class RequestStore(Protocol):
    """Which requests have made which executions. A mark with a key is stored by `ExecutionStore.create`, together with the execution."""

    async def keyed(self, tenant: str, user: str, key: str) -> RequestMark | None:
        """Return the mark of a key."""

    async def note(self, mark: RequestMark) -> None:
        """Store a mark; a second time is no error."""

    async def forget(self, mark: RequestMark) -> None:
        """Remove a mark, where there is one of its name."""

    async def cut_since(self, moment: int) -> Sequence[RequestMark]:
        """Return the marks of answers that were cut at `moment` or later, in the order of their times."""

    async def prune(self, before: int, count: int) -> int:
        """Remove up to `count` marks of any kind that were made before a moment, the oldest first; return how many it were."""


class ListStore(Protocol):
    """Pages of what is stored, and their rows in few reads. A page never holds what another tenant has."""

    async def execution_page(self, tenant: str, selection: Selection) -> Page[str]:
        """Return the ids of a page of executions; raises QueryTooSlowError."""

    async def workflow_page(self, tenant: str, selection: Selection) -> Page[StoredWorkflow]:
        """Return a page of workflows; raises QueryTooSlowError."""

    async def heads(self, ids: Sequence[str]) -> Sequence[Head]:
        """Return the heads of executions in the order of `ids`, without those that are gone."""

    async def steps_of(self, ids: Sequence[str]) -> Mapping[str, Sequence[StepExecution]]:
        """Return, by execution, the step executions that are behind, in the order of their numbers, but for executions of which one has a large value."""

    async def snapshots(self, ids: Sequence[str]) -> Sequence[Snapshot]:
        """Return stored snapshots."""


class CommitLog(Protocol):
    """The commits of the last 24 hours. A commit is found here as soon as it is on disk, and never before."""

    async def newest(self, execution_id: str | None = None) -> Position:
        """Return the position of the last commit, which is never forgotten; or of the last one of an execution that is still known."""

    async def time_at(self, place: int) -> int | None:
        """Return when the commit at `place` was made; None where it was forgotten, or never was."""

    async def page(self, after: int, until: int, *, tenant: str | None = None, execution_id: str | None = None) -> CommitPage:
        """Return the next commits behind `after` up to `until`, of one tenant or one execution only where it is named."""

    async def read(self, rows: Sequence[CommitRow]) -> Sequence[Commit]:
        """Return commits with their content, those that are still known."""

    async def forget(self, before: int) -> bool:
        """Forget a portion of the commits that were made before that time, the oldest first; return whether there may be more."""


class HostKeyStore(Protocol):
    """The host keys that are trusted, the same for every worker at once."""

    async def trusted(self, host: str, port: int) -> Sequence[TrustedKey]:
        """Return the keys trusted for one server."""

    async def all(self) -> Sequence[TrustedKey]:
        """Return every trusted key by host and port."""

    async def trust(self, key: TrustedKey, entry: Entry | None = None) -> None:
        """Trust a key; a second time is no error."""

    async def forget(self, host: str, port: int, entry: Entry | None = None) -> int:
        """Forget every key of one server; return how many there were. Where there was none, nothing is recorded."""


class FileStore(Protocol):
    """Files beside the database: written, fsynced and renamed before the row that names them commits."""

    async def put(self, tenant: str, name: str, content: AsyncIterator[bytes]) -> StoredFile:
        """Store a file under a new id and hold it, until `settle`; raises TooLargeError over the limit."""

    def hold(self, file_ids: Iterable[str]) -> None:
        """Keep files that somebody is about to use; each `hold` wants a `settle`."""

    async def settle(self, file_ids: Iterable[str]) -> None:
        """Hold these files no longer, and remove those that belong to nobody."""

    async def sweep(self) -> None:
        """Remove every file that belongs to nobody and is not held."""

    async def clear(self) -> None:
        """Remove what a stop left on the disk in the middle of a change: contents that no file has."""

    async def find(self, tenant: str, file_id: str) -> StoredFile | None:
        """Return what is known of a file."""

    async def read(self, file: StoredFile) -> bytes:
        """Return the content of a file."""

    def stream(self, file: StoredFile) -> AsyncIterator[bytes]:
        """Return the content of a file in pieces."""


class HostKeys(Protocol):
    """What a step type may ask about host keys."""

    async def trusted(self, host: str, port: int) -> Sequence[str]:
        """Return the trusted keys of a server as OpenSSH lines."""

    async def accept_new(self, host: str, port: int, public_key: str) -> bool:
        """Trust a key that was never seen, where the settings allow it and the server had none; return whether it is trusted now."""


class StepContext(Protocol):
    """What a step type is given beside its inputs, for one attempt."""

    @property
    def execution_id(self) -> str:
        """The execution that it runs for: sessions may be kept for it, and for nobody else."""

    @property
    def attempt_name(self) -> str:
        """A name for what the attempt makes elsewhere, of execution, step number, attempt and epoch: `execution_id`, a dash, and the rest.

        Whatever bears the name of the execution and another rest was left behind by an earlier attempt, or by one of the time that a restore has undone.
        """

    @property
    def time_limit_seconds(self) -> float:
        """How long this attempt may take; the runner cancels it then."""

    @property
    def output_limit_bytes(self) -> int:
        """How much of one output is kept; name what was cut in `Outcome.truncated`."""

    @property
    def host_keys(self) -> HostKeys:
        """The host keys that are trusted."""

    @property
    def is_log_full(self) -> bool:
        """Whether the step's log has come to its limit: further lines are dropped, so nobody need make any."""

    async def log(self, message: str, level: LogLevel = LogLevel.INFO) -> None:
        """Add a line to the step's log; waits while the log is written slower than it is filled. Secrets are masked on the way.

        Who cuts a text, here or in an error, puts `CUT` at once behind it, and before what follows: halves of secrets are masked there.
        """

    async def attachment(self, key: str) -> bytes:
        """Return the content of the attachment called `key`; raises AttachmentError where there is none."""

    async def attached(self, key: str) -> StoredFile:
        """Return what is known of the attachment called `key`, for `pieces`; raises AttachmentError where there is none."""

    def pieces(self, file: StoredFile) -> AsyncIterator[bytes]:
        """Return the content of an attachment in pieces, for files that need not be in memory whole."""

    async def attach(self, key: str, content: AsyncIterator[bytes]) -> StoredFile:
        """Store a file, piece by piece, that becomes the attachment `key` of the execution where the outcome names it in `files`.

        It does so with the report and in the same save; a file that is not named there, or whose report does not count, is removed.
        It takes the place of a file that a step or a person gave the execution, never of one of the workflow. Raises AttachmentError
        where it cannot be kept, and what `content` raises.
        """

    def is_file(self, name: str) -> bool:
        """Return whether the input called `name` was bound as type file: its value is then the key of an attachment."""

    def is_password_output(self, name: str) -> bool:
        """Return whether the step writes its output called `name` as type password: only then may that be a secret."""

    def declared_inputs(self) -> Sequence[str]:
        """Return the names of all inputs that the step declares, with or without value."""

    async def inventory(self) -> Inventory:
        """Return what is known of the network of the execution's tenant, as it stands now. It holds no secrets, only the names of credentials."""

    async def secret(self, reference: Reference, at: Device, *, anew: bool = False) -> str:
        """Return the value of a credential that an entry of the inventory names, for use at a host and port; it is hidden in all that the attempt says.

        Opened in the name of who made the execution, who stored its workflow and who last changed the step; raises CredentialError where one of them may not use
        it there, or it cannot be opened. An attempt that asks again is told the same; `anew`, after a refusal, what it is by now.
        """

    def leave_behind(self) -> None:
        """Say that something of this attempt stays at the target although it ends: `CleansUp.clean_up` is called for it."""

    def mark_sent(self) -> None:
        """Say, right before the first byte of the command leaves: from now on the target may act, so a cut or a time limit leaves UNKNOWN."""


class StepType(Protocol):
    """Carries out one type of step. Registering, claiming, retrying and recording are the engine's."""

    @property
    def signature(self) -> StepSignature:
        """What it declares of itself."""

    async def run(self, inputs: PlainValues, context: StepContext) -> Outcome:
        """Do the work once. Every failure is a value; an exception that escapes is a bug. On cancellation it closes its session and lets CancelledError pass."""

    async def release(self, execution_id: str) -> None:
        """Let go of whatever was kept for an execution that has ended or paused."""

    async def close(self) -> None:
        """Let go of everything; the service stops."""


class CleansUp(Protocol):
    """What a step type has beside the members of `StepType` where its signature says `outlives`."""

    async def clean_up(self, inputs: PlainValues, context: StepContext) -> None:
        """Remove what one attempt has left at its target, looked up there by `context.attempt_name`; nothing there is fine, too.

        Called after every attempt that did not end by itself once it had called `mark_sent`, or that said `leave_behind`: by this process or, after
        a crash, by another one. Raises TargetError where that cannot be done now: it is tried again until it can.
        """


class Secrets(Protocol):
    """The one place that knows what must not be read."""

    def masker(self, secrets: Sequence[str]) -> Callable[[str], str]:
        """Return a function that replaces each of `secrets` and its escaped forms in a text by `********`."""


class Observer(Protocol):
    """Told of everything that was committed, in the order of commits; must not block."""

    def committed(self, change: Committed) -> None:
        """Take note of a change."""
