"""What a step comes to whose execution has ended: its outputs, its files, and why it failed. Called by `sub_workflows`.

A password of that execution is a password in the one that waits for it, or does not come there: what is masked in one is not shown by the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from stepswitch.domain.document import Step, Workflow
from stepswitch.domain.errors import ErrorCode, Fault
from stepswitch.domain.execution import Child, Head, Outcome, Result, Status, StepError
from stepswitch.domain.names import shown
from stepswitch.domain.references import Reference
from stepswitch.domain.rules import Rules
from stepswitch.domain.values import Plain, Value, ValueType
from stepswitch.engine.confidential import Mask
from stepswitch.engine.known_secrets import KnownSecrets
from stepswitch.engine.outcomes import bounded
from stepswitch.engine.ports import ExecutionStore, Secrets
from stepswitch.engine.snapshots import Compiled, Snapshots

_CODES: Final[Mapping[Status, ErrorCode]] = {Status.FAILED: ErrorCode.CHILD_FAILED, Status.ABORTED: ErrorCode.CHILD_ABORTED}
_IN_DOUBT: Final = frozenset({ErrorCode.CHILD_IN_DOUBT, ErrorCode.CHILD_GONE})
NO_SECRETS: Final[frozenset[str]] = frozenset()


def gone(child: Child) -> Outcome:
    """Return what a step came to whose execution is not there any more: nobody knows how it ended."""
    message = f"the execution {child.execution_id} was deleted before it was known here how it ended"
    return Outcome(Result.FAILED, {"executionId": child.execution_id}, StepError(ErrorCode.CHILD_GONE, message))


@dataclass(frozen=True, slots=True)
class _Given:
    """What an execution gives, and what of that cannot be taken."""

    outputs: Mapping[str, Plain]
    files: Mapping[str, str]
    faults: Sequence[Fault]


class ChildOutcomes:
    """Reads executions that have ended, for those that waited for them."""

    def __init__(self, store: ExecutionStore, snapshots: Snapshots, secrets: Secrets, rules: Rules) -> None:
        self._store = store
        self._snapshots = snapshots
        self._secrets = secrets
        self._rules = rules

    async def of(self, parent: Head, child: Head) -> Outcome:
        """Return what the step of `parent` that waits for `child` came to."""
        compiled, own = await self._snapshots.get(parent.snapshot_id), await self._snapshots.get(child.snapshot_id)
        if parent.current is None:
            raise AssertionError("an execution that waits has a step execution")
        mask = Mask(self._secrets, child, [own])
        if child.is_confidential:
            mask = await KnownSecrets(self._store, self._snapshots, self._secrets).mask(child)
        given = _given(child, own, mask, compiled.workflow, compiled.workflow.steps[parent.current.step_id])
        error = _error(child, given.faults)
        outputs = {**given.outputs, "executionId": child.id, "status": child.status.value}
        outcome = Outcome(Result.SUCCEEDED if error is None else Result.FAILED, outputs, error, files=given.files if error is None else {})
        return bounded(outcome, self._rules.limits.output_bytes, mask)


def _given(child: Head, own: Compiled, mask: Mask, workflow: Workflow, step: Step) -> _Given:
    outputs: dict[str, Plain] = {}
    files: dict[str, str] = {}
    faults: list[Fault] = []
    for name, declared in own.workflow.outputs.items():
        value = child.values.get(name)
        if value is None:
            continue
        if name in own.secret_names or isinstance(value, Reference) or mask.values({name: value}, NO_SECRETS) != {name: value}:
            why = _why_exposed(name, value, workflow, step)
            if why is not None:
                faults += why
                continue
        if isinstance(value, Reference):
            continue
        outputs[name] = value
        if declared.type is ValueType.FILE and isinstance(value, str):
            faults += _hand_up(value, child, workflow, files, f"outBindings.{shown(name)}")
    return _Given(outputs, files, faults)


def _why_exposed(name: str, value: Value, workflow: Workflow, step: Step) -> list[Fault] | None:
    """Return why a password cannot be taken, nothing where nobody wants it, and None where only passwords take it."""
    bindings = [binding for binding in step.out_bindings if binding.name == name]
    targets = [binding.target for binding in bindings]
    types = [each.type for target in targets if (each := workflow.declarations.get(target)) is not None]
    if not bindings:
        return []
    if isinstance(value, Reference):
        message = f"the output {shown(name)} is a credential there, which is not handed back"
    elif all(each is ValueType.PASSWORD for each in types):
        return None
    else:
        message = f"the output {shown(name)} is, or holds, a password there: only what is declared as a password takes it"
    return [Fault(ErrorCode.SECRET_EXPOSED, f"steps.{shown(step.id)}.outBindings.{shown(target)}", message) for target in targets]


def _hand_up(key: str, child: Head, workflow: Workflow, files: dict[str, str], path: str) -> list[Fault]:
    """Note the file that an output names; return why it cannot be taken."""
    file_id = child.attachments.get(key)
    if file_id is None:
        return []
    if workflow.attachments.get(key) not in (None, file_id):
        return [Fault(ErrorCode.FILE_IN_USE, path, f"the workflow has another file {shown(key)!r} of its own, whose place no step takes")]
    files[key] = file_id
    return []


def _error(child: Head, faults: Sequence[Fault]) -> StepError | None:
    if child.status is Status.COMPLETED:
        return StepError(faults[0].code, "; ".join(map(str, faults))) if faults else None
    last = child.current
    told = "" if last is None else f" at its step {shown(last.step_id)} ({last.number})"
    if last is not None and last.error is not None:
        told += f" with {last.error.code}"
    message = f"the execution {child.id} of the workflow {shown(child.workflow_name)} ended {child.status}{told}"
    in_doubt = last is not None and (last.result is Result.UNKNOWN or (last.error is not None and last.error.code in _IN_DOUBT))
    if in_doubt:
        doubt = "; nobody knows what that step came to, so no other execution is begun unasked"
        return StepError(ErrorCode.CHILD_IN_DOUBT, f"{message}{doubt}")
    return StepError(_CODES[child.status], message)
