"""Makes the execution that a step waits for: which workflow, in whose name, with which inputs. Called by `sub_workflows`.

It is made as if whoever created the execution with the step asked for it at that moment, so everything that is checked then is checked here.
Whatever is wrong is what the step comes to.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from stepswitch.domain.decide import time_limit_seconds
from stepswitch.domain.document import Step, Workflow
from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError, NotFoundError, NotPermittedError, ProviderUnavailableError
from stepswitch.domain.events import ChildBegun, Reply
from stepswitch.domain.execution import Child, Head, Outcome, Parent, Result, StepError, StepExecution
from stepswitch.domain.filters import Operator
from stepswitch.domain.flow import has_attempts_left
from stepswitch.domain.names import INJECTED, shown
from stepswitch.domain.references import Reference
from stepswitch.domain.rules import Rules
from stepswitch.domain.values import Value, ValueType
from stepswitch.engine import redirections
from stepswitch.engine.callers import Caller
from stepswitch.engine.confidential import Mask, secret_inputs
from stepswitch.engine.credential_use import designer_of, who_says
from stepswitch.engine.executions import Called, ExecutionRequest, Executions
from stepswitch.engine.known_secrets import KnownSecrets
from stepswitch.engine.outcomes import bounded
from stepswitch.engine.ports import Clock, ExecutionStore, Ids, ListStore, Secrets
from stepswitch.engine.privileges import Privilege
from stepswitch.engine.records import StoredWorkflow
from stepswitch.engine.selection import Condition, Order, Selection
from stepswitch.engine.snapshots import Compiled, Snapshots

WORKFLOW_ID: Final = "workflowId"
WORKFLOW_NAME: Final = "workflowName"
_BY_AGE: Final = Order("createdAt")
_NO_SECRETS: Final[frozenset[str]] = frozenset()


class Callers(Protocol):
    """Who somebody is at this moment, and what he may do."""

    async def caller(self, tenant: str, user: str) -> Caller | None:
        """Return somebody as if he asked now, None where he is gone or disabled. Raises ProviderUnavailableError."""


class RefusedError(Exception):
    """The execution cannot be made: `outcome` is what the step comes to."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__("refused")
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class ChildOrder:
    """An execution that can be made, as far as is known before it is tried. `mask` takes the secrets of the one that waits for it out of a text."""

    caller: Caller
    request: ExecutionRequest
    parent: Head
    child: Child
    link: Parent
    mask: Mask
    givers: Mapping[str, str]
    """Who gave the passwords that are handed down, by their inputs, where that is not who created the execution."""
    stored: StoredWorkflow
    """The workflow as it was looked at: what is handed to it was held against this, and no later revision."""


@dataclass(frozen=True, slots=True)
class _Handed:
    """What goes down with an execution."""

    assignments: dict[str, Any] = field(default_factory=dict)
    attachments: dict[str, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


class ChildOrders:
    """Reads what a step says, and makes the execution that it waits for."""

    def __init__(
        self,
        *,
        executions: Executions,
        lists: ListStore,
        store: ExecutionStore,
        snapshots: Snapshots,
        callers: Callers,
        secrets: Secrets,
        rules: Rules,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._executions = executions
        self._lists = lists
        self._store = store
        self._snapshots = snapshots
        self._callers = callers
        self._secrets = secrets
        self._rules = rules
        self._clock = clock
        self._ids = ids

    async def of(self, head: Head) -> ChildOrder:
        """Return what the current step of an execution wants; raises RefusedError where that cannot be had."""
        step = head.current
        if step is None:
            raise AssertionError("an execution that waits has a step execution")
        compiled = await self._snapshots.get(head.snapshot_id)
        mask = Mask(self._secrets, head, [compiled])
        if head.is_confidential:
            mask = await KnownSecrets(self._store, self._snapshots, self._secrets).mask(head)
        try:
            caller = await self._caller(head)
            redirections.check_choice(caller, compiled, step.step_id, self._rules.types)
            link = self._link(head, step, compiled)
            stored = await self._workflow(caller, step.inputs)
            called = await self._executions.compiled(stored)
        except (NotFoundError, NotPermittedError, InvalidRequestError, ProviderUnavailableError) as error:
            raise RefusedError(self._outcome(error, head, mask)) from None
        definition = compiled.workflow.steps[step.step_id]
        handed = _handed(head, step, compiled, called.workflow, mask)
        limit = time_limit_seconds(compiled.workflow, self._rules.types, step.step_id)
        child = Child(self._ids.new(), stored.id, called.workflow.name, self._clock.now() + round(limit * 1000))
        request = ExecutionRequest(
            workflow_id=stored.id,
            context_type=head.context_type,
            context=_context(head, called.workflow),
            assignments=handed.assignments,
            attachments=handed.attachments,
            pause_at_failure=head.pause_at_failure and _is_last_chance(step, definition),
            retained_til=head.retained_til if head.retained_til > self._clock.now() else None,
            faults=tuple(handed.faults),
        )
        secret = {name for name, declared in called.workflow.inputs.items() if declared.type is ValueType.PASSWORD}
        others = redirections.given_by_others(caller, compiled, head, step.step_id, self._rules.types)
        givers = {name: giver for name, giver in others.items() if name in secret and name in handed.assignments}
        return ChildOrder(caller, request, head, child, link, mask, givers, stored)

    async def place(self, order: ChildOrder, begun: ChildBegun) -> Reply:
        """Make the execution, in the save of `begun`, and return what became of that; raises RefusedError where it cannot be made."""
        head = order.parent
        step_id = "" if head.current is None else head.current.step_id
        editor = head.editors.get(step_id)
        called = Called(order.link, begun, None if editor == head.creation_user else editor, order.givers)
        try:
            return await self._executions.create_called(order.caller, order.stored, order.request, called)
        except (NotFoundError, NotPermittedError, InvalidRequestError, ProviderUnavailableError) as error:
            raise RefusedError(self._outcome(error, head, order.mask)) from None

    async def _caller(self, head: Head) -> Caller:
        caller = await self._callers.caller(head.tenant, head.creation_user)
        if caller is None:
            message = f"{head.creation_user}, who created this execution, is gone or disabled: nothing is begun in that name"
            raise NotPermittedError(message)
        return caller

    def _link(self, head: Head, step: StepExecution, compiled: Compiled) -> Parent:
        depth = 1 if head.parent is None else head.parent.depth + 1
        most = self._rules.limits.sub_workflow_depth
        if depth > most:
            message = f"workflows call each other {depth} deep here; {most} is the limit"
            raise InvalidRequestError([Fault(ErrorCode.NESTED_TOO_DEEP, "", message)])
        above = () if head.parent is None else head.parent.people
        people = dict.fromkeys((*above, *who_says(head, step, designer_of(compiled.snapshot))))
        return Parent(head.id, step.number, depth, people=tuple(people))

    async def _workflow(self, caller: Caller, inputs: Mapping[str, Value]) -> StoredWorkflow:
        """Return the workflow that is called, which the caller may see; by its id where that is given, else by its name."""
        wanted, name = inputs.get(WORKFLOW_ID), inputs.get(WORKFLOW_NAME)
        if isinstance(wanted, str):
            return await self._executions.workflow(caller, wanted)
        condition = Condition("name", Operator.EQ, (str(name),))
        selection = Selection(_BY_AGE, (condition,), size=2, reach=caller.reach(Privilege.WORKFLOW_READ))
        found = (await self._lists.workflow_page(caller.tenant, selection)).items
        if not found:
            raise NotFoundError(f"no workflow is called {shown(str(name))!r}")
        if len(found) > 1:
            message = f"several workflows are called {shown(str(name))!r}: give {WORKFLOW_ID}"
            raise InvalidRequestError([Fault(ErrorCode.AMBIGUOUS_NAME, f"inBindings.{WORKFLOW_NAME}", message)])
        return found[0]

    def _outcome(self, error: Exception, head: Head, mask: Mask) -> Outcome:
        why = _why(error, head)
        return bounded(Outcome(Result.FAILED, error=why), self._rules.limits.output_bytes, mask)


def _why(error: Exception, head: Head) -> StepError:
    if isinstance(error, InvalidRequestError):
        faults = [replace(fault, path=fault.path.replace("assignments.", "inBindings.", 1)) for fault in error.faults]
        return StepError(faults[0].code, f"nothing was begun: {'; '.join(map(str, faults))}")
    code = error.code if isinstance(error, NotFoundError | NotPermittedError | ProviderUnavailableError) else ErrorCode.INTERNAL
    return StepError(code, f"nothing was begun in the name of {head.creation_user}, who created this execution: {error}")


def _is_last_chance(step: StepExecution, definition: Step) -> bool:
    """Whether nothing else follows where the execution fails, so that it may pause there for somebody to repair it."""
    return definition.policy.on_failure_step_id is None and not has_attempts_left(step, definition.policy)


def _context(head: Head, workflow: Workflow) -> dict[str, Any]:
    """Return the context for another workflow: what that declares as an input is assigned, and never taken from a context."""
    kept = {*INJECTED, *workflow.variables}
    return {name: value for name, value in head.context.items() if name in kept or name not in workflow.declarations}


def _handed(head: Head, step: StepExecution, compiled: Compiled, called: Workflow, mask: Mask) -> _Handed:
    """Return the inputs of a step as those of the workflow that it calls, with the files that they name."""
    handed = _Handed()
    secret = secret_inputs(compiled, step.step_id)
    files = {each.name for each in compiled.workflow.steps[step.step_id].in_bindings if each.type is ValueType.FILE}
    for name, value in step.inputs.items():
        if name in (WORKFLOW_ID, WORKFLOW_NAME):
            continue
        declared = called.inputs.get(name)
        is_secret = name in secret or isinstance(value, Reference) or mask.values({name: value}, _NO_SECRETS) != {name: value}
        if is_secret and declared is not None and declared.type is not ValueType.PASSWORD:
            message = f"is, or holds, a password here, and the workflow {shown(called.name)!r} declares it as {declared.type}, which is shown in clear"
            handed.faults.append(Fault(ErrorCode.SECRET_EXPOSED, f"inBindings.{shown(name)}", f"{message}: declare it as password there"))
        elif isinstance(value, str) and (name in files or (declared is not None and declared.type is ValueType.FILE)):
            handed.assignments[name] = _hand_file(value, head, called, handed.attachments)
        else:
            handed.assignments[name] = value
    return handed


def _hand_file(name: str, head: Head, called: Workflow, attachments: dict[str, str]) -> str:
    """Note the file that goes by its key or its id, and return the key by which the other execution has it."""
    key = next((key for key, file_id in head.attachments.items() if file_id == name), name)
    file_id = head.attachments.get(key)
    if file_id is None:
        return name  # the workflow that is called may have one
    while called.attachments.get(key, file_id) != file_id:
        key = f"handed {key}"
    attachments[key] = file_id
    return key
