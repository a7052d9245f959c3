"""The use cases of steering: what people do to an execution that exists. Called by `api.steering` and the command line.

Each reads the execution when the request comes and names the version that it saw, so that nothing is applied to a state that nobody
saw: when two people steer at once, the second is told that the run has moved on. What does not fit the state is refused by
`domain.steering` with StateConflictError, as a whole; everybody's act is in the execution's log.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from stepswitch.domain.assignments import check_values, fitting_values
from stepswitch.domain.errors import (
    ErrorCode,
    Fault,
    InvalidRequestError,
    NotFoundError,
    PreconditionFailedError,
    StateConflictError,
    StoreError,
)
from stepswitch.domain.events import (
    AbandonCleanup,
    Abort,
    BreakLock,
    Change,
    Pause,
    Resume,
    Retry,
    SetFile,
    SetValues,
    Steering,
    WritingBack,
    WrittenBack,
)
from stepswitch.domain.execution import Head
from stepswitch.domain.influence import steps_given, steps_with_file
from stepswitch.domain.references import signed
from stepswitch.domain.rules import Rules
from stepswitch.engine import redirections
from stepswitch.engine.audited_executions import thing_of
from stepswitch.engine.budget import aside, is_large
from stepswitch.engine.callers import Caller
from stepswitch.engine.catalogue import Catalogue, attachment_key, tag_of
from stepswitch.engine.conductor import Conductor
from stepswitch.engine.confidential import masked_faults
from stepswitch.engine.credential_checks import NO_CHECKS, CredentialChecks, in_edit, in_values
from stepswitch.engine.edits import Edit, StepEdits, edit
from stepswitch.engine.executions import snapshot_document
from stepswitch.engine.givers import given_in_snapshot
from stepswitch.engine.leftovers import Leftovers
from stepswitch.engine.lock_ports import NO_LOCKS, LockStore
from stepswitch.engine.ports import Clock, FileStore, Ids
from stepswitch.engine.privileges import Privilege
from stepswitch.engine.records import StoredFile, StoredWorkflow
from stepswitch.engine.snapshots import Compiled, Snapshots, compile_snapshot
from stepswitch.engine.views import ExecutionView, Views, state_of

Seen = frozenset[str] | None
"""The states (`views.state_of`) of which somebody has seen one and for which his act is meant alone; None where he does not say."""
LOCK_ID_DIGITS: Final = 18
_CHANGED_SINCE: Final = "the workflow in the catalogue has changed since this execution was given its steps; look at both and decide"


@dataclass(frozen=True, slots=True)
class ChangeOrder:
    """A `workflowExecutionChange` whose fields have their types; None leaves one as it is. Times in milliseconds."""

    start_step_id: str | None = None
    pause_at_failure: bool | None = None
    retained_til: int | None = None
    debug_step_ids: tuple[str, ...] | None = None
    steps: StepEdits | None = None
    faults: tuple[Fault, ...] = ()
    """What was wrong with its shape already, so that everything is said in one answer."""


@dataclass(frozen=True, slots=True)
class Changed:
    """An execution after a change, and what the author of edited steps should know of them."""

    view: ExecutionView
    warnings: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class ValuesOrder:
    """Values of inputs and variables to correct; None takes one away."""

    values: Mapping[str, Any] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    """What is wrong around them, to be told with the rest."""


@dataclass(frozen=True, slots=True)
class Attachable:
    """An execution that is given a file, as it was when the first byte of that came."""

    execution_id: str
    version: int
    seen: Seen = None


class ExecutionSteering:
    """What people do to executions, as far as they may. `reason` is free text for the log.

    `seen` names the states that an act is meant for; in any other one it raises PreconditionFailedError and changes nothing.
    """

    def __init__(
        self,
        *,
        conductor: Conductor,
        catalogue: Catalogue,
        snapshots: Snapshots,
        views: Views,
        files: FileStore,
        rules: Rules,
        clock: Clock,
        ids: Ids,
        leftovers: Leftovers,
        locks: LockStore = NO_LOCKS,
        strict: bool = False,
        credentials: CredentialChecks = NO_CHECKS,
    ) -> None:
        self._conductor = conductor
        self._leftovers = leftovers
        self._locks = locks
        self._credentials = credentials
        self._catalogue = catalogue
        self._snapshots = snapshots
        self._views = views
        self._files = files
        self._rules = rules
        self._clock = clock
        self._ids = ids
        self._strict = strict

    async def abort(self, caller: Caller, execution_id: str, reason: str = "", seen: Seen = None) -> ExecutionView:
        """Stop an execution at once; it has ended when this returns. One that is aborted already is no error."""
        head = await self._steered(caller, execution_id, seen)
        return await self._steer(caller, Abort(*self._signed(caller, head, reason, seen)), head)

    async def resume(self, caller: Caller, execution_id: str, reason: str = "", seen: Seen = None) -> ExecutionView:
        """Go on after a pause, or reopen a failed execution where a change said that it goes on."""
        head = await self._steered(caller, execution_id, seen)
        return await self._steer(caller, Resume(*self._signed(caller, head, reason, seen)), head)

    async def retry(self, caller: Caller, execution_id: str, reason: str = "", seen: Seen = None) -> ExecutionView:
        """Run the failed step again; reopens an execution that has ended FAILED."""
        head = await self._steered(caller, execution_id, seen)
        return await self._steer(caller, Retry(*self._signed(caller, head, reason, seen)), head)

    async def pause(self, caller: Caller, execution_id: str, reason: str = "", seen: Seen = None) -> ExecutionView:
        """Pause before the next step that nobody has begun; one that waits already is no error."""
        head = await self._steered(caller, execution_id, seen)
        return await self._steer(caller, Pause(*self._signed(caller, head, reason, seen)), head)

    async def break_lock(self, caller: Caller, execution_id: str, lock_id: str, reason: str = "", seen: Seen = None) -> ExecutionView:
        """Take a lock away from an execution, by the id of its holding; raises StateConflictError where it does not have it any more."""
        head = await self._steered(caller, execution_id, seen)
        held = await self._locks.place(head.tenant, int(lock_id)) if is_lock_id(lock_id) else None
        if held is None or held.execution_id != head.id:
            raise StateConflictError(f"the execution does not have the lock {lock_id}, or has it no more; list the locks again")
        signed = self._signed(caller, head, reason, seen)
        return await self._steer(caller, BreakLock(*signed, key=held.key), head)

    async def abandon_cleanup(
        self, caller: Caller, execution_id: str, numbers: Sequence[int] = (), reason: str = "", seen: Seen = None
    ) -> ExecutionView:
        """Take for gone what step executions may have left behind, by their numbers or all; raises StateConflictError where nothing is."""
        head = await self._steered(caller, execution_id, seen)
        signed, places = self._signed(caller, head, reason, seen), await self._leftovers.places(head)
        return await self._steer(caller, AbandonCleanup(*signed, numbers=tuple(numbers), places=places), head)

    async def change(self, caller: Caller, execution_id: str, order: ChangeOrder, reason: str = "", seen: Seen = None) -> Changed:
        """Change an execution, all of it or nothing; raises InvalidRequestError with every fault."""
        head = await self._steered(caller, execution_id, seen)
        compiled = await self._compiled(head)
        if order.steps:
            redirections.check_designs(caller, compiled)
        edited = await self._edit(caller, head, compiled, order)
        faults = [*order.faults, *edited.faults, *self._unfit(head, order, edited)]
        if order.steps and edited.compiled is not None:
            placed = in_edit(edited.compiled.workflow, order.steps, head.values, self._rules.types)
            faults += await self._credentials.faults(caller, placed, head.workflow_id, head.workflow_name)
        if faults:
            raise InvalidRequestError(faults)
        new = edited.compiled if order.steps else None
        if new is not None:
            self._snapshots.keep(new)
        event = Change(
            *self._signed(caller, head, reason, seen),
            pause_at_failure=order.pause_at_failure,
            debug_step_ids=order.debug_step_ids,
            retained_til=order.retained_til,
            start_step_id=order.start_step_id,
            workflow=None if new is None else new.workflow,
            snapshot_id=None if new is None else new.snapshot.id,
            base_snapshot_id=None if new is None else head.snapshot_id,
            edited=tuple(order.steps or ()),
            givers=redirections.made_by_edited(caller, compiled, head, order.steps or (), self._rules.types),
        )
        return Changed(await self._steer(caller, event, head), edited.warnings)

    async def _edit(self, caller: Caller, head: Head, compiled: Compiled, order: ChangeOrder) -> Edit:
        if not order.steps:
            return Edit(compiled, frozenset(compiled.workflow.steps))
        current = None if head.current is None else head.current.step_id
        goes_on_at = order.start_step_id or head.resume_at or current
        digest = self._snapshots.secret_digest
        held = redirections.passwords_of_others(caller, compiled, head)
        look = partial(edit, strict=self._strict, secret_digest=digest, user=caller.user, held=held)
        work = partial(look, compiled, order.steps, goes_on_at, self._rules.types)
        return await aside(work, is_slow=is_large(compiled.snapshot.document) or is_large({"steps": order.steps}))

    def _unfit(self, head: Head, order: ChangeOrder, edited: Edit) -> list[Fault]:
        faults = [
            Fault(ErrorCode.UNKNOWN_STEP, f"debugStepIds[{place}]", f"the workflow has no step {step_id!r}")
            for place, step_id in enumerate(order.debug_step_ids or ())
            if step_id not in edited.step_ids
        ]
        if order.start_step_id is not None and order.start_step_id not in edited.step_ids:
            faults.append(Fault(ErrorCode.UNKNOWN_STEP, "startStepId", f"the workflow has no step {order.start_step_id!r}"))
        if order.retained_til is not None and order.retained_til <= self._clock.now() and order.retained_til != head.retained_til:
            faults.append(Fault(ErrorCode.INVALID_VALUE, "retainedTil", "lies in the past; give a time to come, or leave it out"))
        return faults

    async def set_values(self, caller: Caller, execution_id: str, order: ValuesOrder, reason: str = "", seen: Seen = None) -> ExecutionView:
        """Correct values of inputs and variables; raises InvalidRequestError with every fault."""
        head = await self._steered(caller, execution_id, seen)
        compiled = await self._compiled(head)
        redirections.check_values(caller, compiled, order.values, self._rules.types)
        givers = redirections.check_assigned(caller, compiled, head, order.values, self._rules.types)
        workflow = compiled.workflow
        faults = [*order.faults, *check_values(workflow, order.values, head.context, head.attachments)]
        faults += masked_faults("values", order.values, workflow)
        placed = in_values("values", order.values, workflow)
        faults += await self._credentials.faults(caller, placed, head.workflow_id, head.workflow_name)
        if faults:
            raise InvalidRequestError(faults)
        values = signed(fitting_values(workflow, order.values), caller.user)
        await self._check_uses(caller, replace(head, values={**head.values, **values}), compiled, steps_given(workflow, values))
        return await self._steer(caller, SetValues(*self._signed(caller, head, reason, seen), values=values, givers=givers), head)

    async def attachable(self, caller: Caller, execution_id: str, seen: Seen = None) -> Attachable:
        """Return what `attach` takes; raises, before a file of any size is taken, what steering raises."""
        return Attachable(execution_id, (await self._steered(caller, execution_id, seen)).version, seen)

    async def attach(self, caller: Caller, to: Attachable, file: StoredFile, reason: str = "") -> str:
        """Give an execution a file that was stored a moment ago, in place of one that goes by the same key; return the key."""
        head = await self._steered(caller, to.execution_id, to.seen)
        key = attachment_key(file.name)
        compiled = await self._compiled(head)
        redirections.check_files(caller, compiled, {key: file.id}, self._rules.types)
        redirections.check_attached(caller, compiled, head, {key: file.id}, self._rules.types)
        await self._check_uses(caller, head, compiled, steps_with_file(compiled.workflow, head.values, head.attachments, key))
        signed = self._signed(caller, replace(head, version=to.version), reason, to.seen)
        await self._set_file(caller, head, SetFile(*signed, key=key, file_id=file.id))
        return key

    async def detach(self, caller: Caller, execution_id: str, attachment: str, reason: str = "", seen: Seen = None) -> None:
        """Take a file of its own, by its id or its key, from an execution; raises NotFoundError where it has none called so."""
        head = await self._steered(caller, execution_id, seen)
        key = file_key(head, attachment)
        compiled = await self._compiled(head)
        await self._check_uses(caller, head, compiled, steps_with_file(compiled.workflow, head.values, head.attachments, key))
        await self._set_file(caller, head, SetFile(*self._signed(caller, head, reason, seen), key=key))

    async def _check_uses(self, caller: Caller, head: Head, compiled: Compiled, steps: Collection[str]) -> None:
        """Raise InvalidRequestError where somebody says what steps do with a credential that he may not use; on which device is asked when they begin."""
        if not compiled.is_confidential:
            return
        placed = [replace(each, devices=()) for each in in_edit(compiled.workflow, steps, head.values, self._rules.types)]
        if faults := await self._credentials.faults(caller, placed, head.workflow_id, head.workflow_name):
            raise InvalidRequestError(faults)

    async def _set_file(self, caller: Caller, head: Head, event: SetFile) -> None:
        await self._conductor.apply(head.id, event, caller.entry(thing_of(head)))
        replaced = head.attachments.get(event.key)
        if replaced is not None:
            await self._let_go({replaced})

    async def attachment(self, caller: Caller, execution_id: str, attachment: str) -> StoredFile:
        """Return a file of an execution, its own or its workflow's, by its id or its key; raises NotFoundError."""
        head = await self._head(caller, execution_id)
        file = await self._files.find(caller.tenant, head.attachments[file_key(head, attachment)])
        if file is None:
            raise NotFoundError("the file was never uploaded here")
        return file

    async def update_workflow(self, caller: Caller, execution_id: str, reason: str = "", seen: Seen = None) -> StoredWorkflow:
        """Give the workflow in the catalogue the steps of an execution, and return it; raises NotFoundError where it is gone.

        Raises StateConflictError where it has changed since it was copied, or the steps were changed meanwhile, NotPermittedError where it is readOnly.
        """
        head = await self._head(caller, execution_id)
        _refuse_unseen(head, seen)
        compiled = await self._compiled(head)
        stored = await self._catalogue.get(caller, head.workflow_id)
        caller.check_may(Privilege.WORKFLOW_DESIGN, stored)
        there = _snapshot_of(stored, self._snapshots).snapshot.id
        if there not in {head.catalogue_snapshot_id or head.snapshot_id, head.snapshot_id, head.writing_back}:
            raise StateConflictError(_CHANGED_SINCE)
        if there != head.snapshot_id:
            # What is meant is stored first: a stop in between must not make our own work look like somebody else's.
            signed = self._ids.new(), caller.user, head.version, reason
            await self._conductor.apply(head.id, WritingBack(*signed, snapshot_id=head.snapshot_id, found_snapshot_id=there))
            stored = await self._conductor.with_steps_of(head, partial(self._write_back, caller, stored, compiled))
        event = WrittenBack(self._ids.new(), caller.user, head.version, reason, snapshot_id=head.snapshot_id, revision=stored.revision)
        is_recorded = there != head.snapshot_id  # with the workflow
        await self._conductor.apply(head.id, event, None if is_recorded else caller.entry(thing_of(head)))
        return stored

    async def _write_back(self, caller: Caller, stored: StoredWorkflow, compiled: Compiled) -> StoredWorkflow:
        try:
            found, tags = compiled.snapshot, frozenset({tag_of(stored)})
            return (await self._catalogue.replace(caller, stored.id, found.document, tags, given_by=found.given_by)).workflow
        except PreconditionFailedError:
            raise StateConflictError(_CHANGED_SINCE) from None

    async def delete(self, caller: Caller, execution_id: str, seen: Seen = None) -> None:
        """Remove an execution that has ended, with all that is its own: a file goes where nobody else has it."""
        head = await self._steered(caller, execution_id, seen)
        entry = caller.entry(thing_of(head), before={"status": head.status.value})
        removed = await self._conductor.remove(execution_id, None if seen is None else head.version, entry)
        await self._let_go(set(removed.attachments.values()))

    async def _let_go(self, files: set[str]) -> None:
        """Remove files that an execution had, where nobody else has them."""
        self._files.hold(files)
        with suppress(StoreError):  # what named the files is gone already: the timekeeper sweeps them
            await self._files.settle(files)

    async def _steer(self, caller: Caller, event: Steering, head: Head) -> ExecutionView:
        await self._conductor.apply(head.id, event, caller.entry(thing_of(head)))
        return await self._views.shown(caller, head.id)

    def _signed(self, caller: Caller, head: Head, reason: str, seen: Seen) -> tuple[str, str, int, str, bool]:
        """Return what every act says: its id, whose it is, of which version, why, and whether it is meant for that version alone."""
        return self._ids.new(), caller.user, head.version, reason, seen is not None

    async def _steered(self, caller: Caller, execution_id: str, seen: Seen) -> Head:
        """Return the head as it is now; raises NotFoundError where the caller sees no such execution, NotPermittedError where it is not his to steer.

        Raises PreconditionFailedError where it is in none of the states that he has seen.
        """
        head = await self._head(caller, execution_id)
        caller.check_steers(head)
        _refuse_unseen(head, seen)
        return head

    async def _head(self, caller: Caller, execution_id: str) -> Head:
        """Return the head as it is now; raises NotFoundError where the caller sees no such execution."""
        head = await self._conductor.head(execution_id)
        if head is None:
            raise NotFoundError(f"no execution {execution_id}")
        caller.check_sees_execution(head)
        return head

    async def _compiled(self, head: Head) -> Compiled:
        try:
            return await self._snapshots.get(head.snapshot_id)
        except StoreError:
            if await self._conductor.head(head.id) is None:
                raise NotFoundError(f"no execution {head.id}") from None
            raise


def is_lock_id(text: str) -> bool:
    """Return whether a text can be the id of a lock."""
    return text.isascii() and text.isdecimal() and len(text) <= LOCK_ID_DIGITS


def _refuse_unseen(head: Head, seen: Seen) -> None:
    if seen is not None and state_of(head) not in seen:
        raise PreconditionFailedError(f"the run has moved on since it was read: it is {head.status} now; read it again")


def _snapshot_of(stored: StoredWorkflow, snapshots: Snapshots) -> Compiled:
    """Return the snapshot that an execution of a workflow would have now."""
    return compile_snapshot(stored.tenant, snapshot_document(stored), snapshots.secret_digest, given_in_snapshot(stored), stored.changed_by)


def file_key(head: Head, wanted: str) -> str:
    """Return the key of the file of an execution that `wanted` is the id or the key of; raises NotFoundError."""
    key = next((key for key, file_id in head.attachments.items() if file_id == wanted), wanted)
    if key not in head.attachments:
        raise NotFoundError("there is no such attachment")
    return key
