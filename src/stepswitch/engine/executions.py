"""The use cases of executions: create one, see `views` for the reads. Called by `api.executions` and the command line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from stepswitch.domain.assignments import assigned_values, check_assignments, initial_values
from stepswitch.domain.changed import quickly_made
from stepswitch.domain.contexts import deduced, unknown_to
from stepswitch.domain.conversion import upgraded
from stepswitch.domain.decide import begin, begin_and_take_turn
from stepswitch.domain.document import Workflow
from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError
from stepswitch.domain.events import ChildBegun, Create, Decision, Reply
from stepswitch.domain.execution import ContextType, Parent
from stepswitch.domain.influence import takes_password
from stepswitch.domain.references import signed
from stepswitch.domain.rules import Rules
from stepswitch.domain.validation import faults_to_execute
from stepswitch.domain.values import size_of
from stepswitch.engine import redirections
from stepswitch.engine.audited_executions import created, thing_of
from stepswitch.engine.callers import Caller
from stepswitch.engine.catalogue import Catalogue, tag_of
from stepswitch.engine.conductor import Conductor
from stepswitch.engine.confidential import masked_faults
from stepswitch.engine.credential_checks import NO_CHECKS, CredentialChecks, at_start
from stepswitch.engine.givers import given_in_snapshot
from stepswitch.engine.intake import Intake
from stepswitch.engine.inventory_ports import NO_INVENTORY, NO_SOURCES, InventoryFinder, LooksAgain
from stepswitch.engine.ports import Clock, FileStore, Ids
from stepswitch.engine.privileges import Privilege
from stepswitch.engine.records import RequestMark, StoredWorkflow
from stepswitch.engine.snapshots import Compiled
from stepswitch.engine.views import ExecutionView, Views, is_settled


@quickly_made
@dataclass(frozen=True, slots=True)
class ExecutionRequest:
    """A `workflowExecutionCreateRequest` whose fields have their types. `retained_til` in milliseconds; None leaves it to the settings."""

    workflow_id: str
    context_type: ContextType
    context: Mapping[str, Any] = field(default_factory=dict)
    assignments: Mapping[str, Any] = field(default_factory=dict)
    attachments: Mapping[str, str] = field(default_factory=dict)
    """Key → id of a file that was uploaded before."""
    pause_at_failure: bool = False
    debug_step_ids: tuple[str, ...] = ()
    retained_til: int | None = None
    is_awaited: bool = False
    """Whether who asks wants to see how it ended rather than how it was queued, where it has ended as soon as it is stored."""
    faults: tuple[Fault, ...] = ()
    """What was wrong with its shape already, so that everything is said in one answer."""


@dataclass(frozen=True, slots=True)
class _Origin:
    """What a new execution is called, and which request it comes from."""

    execution_id: str
    mark: RequestMark | None


@dataclass(frozen=True, slots=True)
class Called:
    """The step that waits for a new execution: `begun` lets it wait, in the same save. `editor` is who last said what it is given, where that is another one.

    `givers` are who gave the passwords that are handed to it, where that is another one.
    """

    parent: Parent
    begun: ChildBegun
    editor: str | None
    givers: Mapping[str, str]


class Executions:
    """What people do with executions."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        conductor: Conductor,
        intake: Intake,
        views: Views,
        files: FileStore,
        rules: Rules,
        clock: Clock,
        ids: Ids,
        credentials: CredentialChecks = NO_CHECKS,
        inventory: InventoryFinder = NO_INVENTORY,
        sources: LooksAgain = NO_SOURCES,
    ) -> None:
        self._sources = sources
        self._credentials = credentials
        self._inventory = inventory
        self._catalogue = catalogue
        self._conductor = conductor
        self._intake = intake
        self._views = views
        self._files = files
        self._rules = rules
        self._clock = clock
        self._ids = ids

    async def create(
        self, caller: Caller, request: ExecutionRequest, execution_id: str | None = None, mark: RequestMark | None = None
    ) -> ExecutionView:
        """Queue an execution and return it with its step execution 0; raises NotFoundError, NotPermittedError, or InvalidRequestError with every fault.

        Raises OverloadedError where too many wait, and InvalidRequestError where the tenant may have no more. When this returns, the execution is on disk, and `mark` with it. Raises VersionConflictError where a mark of that name is there already.
        """
        origin = _Origin(execution_id or self._ids.new(), mark)
        stored = await self._catalogue.get(caller, request.workflow_id)
        compiled = await self._allowed(caller, stored, request)
        if request.context_type is not ContextType.NONE:
            request = await self._deduced(caller, request)
        held = {*compiled.workflow.attachments.values(), *request.attachments.values()}
        if not held:
            return await self._create(caller, request, compiled, origin)
        self._files.hold(held)  # until they belong to the execution
        try:
            return await self._create(caller, request, compiled, origin)
        finally:
            await self._files.settle(held)

    async def workflow(self, caller: Caller, workflow_id: str) -> StoredWorkflow:
        """Return a workflow that the caller may see; raises NotFoundError."""
        return await self._catalogue.get(caller, workflow_id)

    async def create_called(self, caller: Caller, stored: StoredWorkflow, request: ExecutionRequest, called: Called) -> Reply:
        """Queue an execution of a workflow as it is given, in the save that lets a step wait for it; return what became of that. Raises as `create`.

        It takes the place of the one that waits for it, which is not in line meanwhile: only what a tenant may have in all is asked for. Its
        context is the other's, with what was deduced there.
        """
        compiled = await self._allowed(caller, stored, request)
        held = {*compiled.workflow.attachments.values(), *request.attachments.values()}
        self._files.hold(held)
        try:
            await self._refuse_faults(caller, request, compiled)
            admission = await self._intake.admit_called(caller.tenant)
            try:
                return await self._begin_called(caller, request, compiled, called)
            finally:
                admission.settled()
        finally:
            await self._files.settle(held)

    async def _allowed(self, caller: Caller, stored: StoredWorkflow, request: ExecutionRequest) -> Compiled:
        """Return a workflow that the caller may execute as he asks for; raises NotPermittedError."""
        caller.check_may(Privilege.WORKFLOW_EXECUTE, stored)
        if request.context_type is not ContextType.NONE:
            caller.require(Privilege.FUNCTION_MANAGE)
        compiled = await self.compiled(stored)
        redirections.check_files(caller, compiled, request.attachments, self._rules.types)
        redirections.check_values(caller, compiled, request.context.keys(), self._rules.types)
        return compiled

    async def _deduced(self, caller: Caller, request: ExecutionRequest) -> ExecutionRequest:
        """Return a request whose context says what the inventory knows of it."""
        known = await self._inventory.of(caller.tenant)
        wanted = unknown_to(known, request.context_type, request.context, request.assignments)
        if wanted is not None and await self._sources.look_for(caller.tenant, *wanted):
            known = await self._inventory.of(caller.tenant)
        found = deduced(known, request.context_type, request.context, request.assignments)
        return replace(request, context=found.context, faults=(*request.faults, *found.faults))

    async def _create(self, caller: Caller, request: ExecutionRequest, compiled: Compiled, origin: "_Origin") -> ExecutionView:
        await self._refuse_faults(caller, request, compiled)
        admission = await self._intake.admit(caller.tenant)
        try:
            return self._views.fresh(await self._begin(caller, request, compiled, origin), compiled)
        finally:
            admission.settled()

    async def _refuse_faults(self, caller: Caller, request: ExecutionRequest, compiled: Compiled) -> None:
        workflow = compiled.workflow
        faults = [*request.faults, *faults_to_execute(workflow, self._rules.types), *self._request_faults(request, workflow)]
        faults += masked_faults("assignments", request.assignments, workflow)
        if request.attachments:
            faults += await self._attachment_faults(caller, request.attachments)
        if compiled.is_confidential:  # else nothing is a password, and a credential stands for nothing else
            placed = at_start(workflow, request.assignments, self._rules.types)
            faults += await self._credentials.faults(caller, placed, request.workflow_id, workflow.name)
        faults += [replace(fault, code=ErrorCode.DRAFT) for fault in await self._catalogue.missing_files(caller, workflow.source)]
        if faults:
            raise InvalidRequestError(faults)

    def _request_faults(self, request: ExecutionRequest, workflow: Workflow) -> Sequence[Fault]:
        files = {*workflow.attachments, *request.attachments}
        faults = list(check_assignments(workflow, request.assignments, request.context, request.context_type, files))
        faults += [
            Fault(ErrorCode.UNKNOWN_STEP, f"debugStepIds[{place}]", f"the workflow has no step {step_id!r}")
            for place, step_id in enumerate(request.debug_step_ids)
            if step_id not in workflow.steps
        ]
        if request.retained_til is not None and request.retained_til <= self._clock.now():
            faults.append(Fault(ErrorCode.INVALID_VALUE, "retainedTil", "lies in the past; give a time to come, or leave it out"))
        return [*faults, *size_faults(request.assignments, request.context, self._rules.limits.values_bytes)]

    async def _attachment_faults(self, caller: Caller, attachments: Mapping[str, str]) -> list[Fault]:
        return [
            Fault(ErrorCode.UNKNOWN_ATTACHMENT, f"attachments.{key}.id", "names no file that was uploaded here")
            for key, file_id in attachments.items()
            if await self._files.find(caller.tenant, file_id) is None
        ]

    async def _begin(self, caller: Caller, request: ExecutionRequest, compiled: Compiled, origin: "_Origin") -> Decision:
        """Store a new execution; return what of it is shown."""
        queued, stored = await self._decided(caller, request, compiled, origin.execution_id)
        searched = self._views.searched_context(queued.head, compiled)
        entry = caller.entry(thing_of(queued.head), after=created(queued.head))
        await self._conductor.create(stored, compiled, origin.mark, searched, entry)
        return stored if request.is_awaited and is_settled(stored.head.status) else queued

    async def _begin_called(self, caller: Caller, request: ExecutionRequest, compiled: Compiled, called: Called) -> Reply:
        made, _ = await self._decided(caller, request, compiled, called.begun.child.execution_id, called)
        searched = self._views.searched_context(made.head, compiled)
        decision = await self._conductor.begin_child(called.parent.execution_id, called.begun, made, compiled, searched)
        return decision.reply

    async def _decided(
        self, caller: Caller, request: ExecutionRequest, compiled: Compiled, execution_id: str, called: Called | None = None
    ) -> tuple[Decision, Decision]:
        """Return the new execution as it is queued, and as it is stored: its first turn is taken where nobody waits for one."""
        now = self._clock.now()
        workflow = compiled.workflow
        editor = None if called is None else called.editor
        order = Create(
            execution_id=execution_id,
            tenant=caller.tenant,
            user=caller.user,
            workflow_id=request.workflow_id,
            snapshot_id=compiled.snapshot.id,
            context_type=request.context_type,
            retained_til=request.retained_til or now + self._rules.limits.retention_seconds * 1000,
            assignments=signed(assigned_values(workflow, request.assignments), caller.user),
            context=request.context,
            attachments={**workflow.attachments, **request.attachments},
            pause_at_failure=request.pause_at_failure,
            debug_step_ids=request.debug_step_ids,
            is_confidential=compiled.is_confidential,
            parent=None if called is None else called.parent,
            editors={} if editor is None else {each: editor for each in workflow.steps if takes_password(workflow, each)},
            givers={} if called is None else called.givers,
        )
        values = signed(initial_values(workflow, request.assignments, request.context), caller.user)
        known = await self._conductor.inventory_for(caller.tenant, compiled)
        if called is None and self._conductor.takes_turns():
            return begin_and_take_turn(order, values, workflow, self._rules, now, inventory=known)
        queued = begin(order, values, workflow, self._rules, now, inventory=known)
        return queued, queued

    async def compiled(self, stored: StoredWorkflow) -> Compiled:
        """Return a workflow as its executions see it."""
        revision = (stored.tenant, stored.id, tag_of(stored))
        return await self._conductor.snapshots.of_revision(
            revision, stored.tenant, partial(snapshot_document, stored), partial(given_in_snapshot, stored), stored.changed_by
        )


def size_faults(assignments: Mapping[str, Any], context: Mapping[str, Any], limit_bytes: int) -> list[Fault]:
    """Return a fault where the values that an execution would start with are over the limit."""
    given = (*assignments.values(), *context.values())
    total = sum(size_of(value) for value in given if isinstance(value, str | int | float))
    message = f"the values of this execution would take {total} bytes; the limit is {limit_bytes}"
    return [Fault(ErrorCode.TOO_LARGE, "assignments", message)] if total > limit_bytes else []


def snapshot_document(stored: StoredWorkflow) -> dict[str, Any]:
    """Return the document of a workflow, in schema 3.0, with what the server filled in: it is part of what an execution shows for ever."""
    return {**upgraded(stored.document), "id": stored.id, "createdAt": stored.created_at, "creationUser": stored.creation_user}
