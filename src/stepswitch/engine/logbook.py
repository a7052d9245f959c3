"""The whole log of an execution, page by page, every secret masked. Called by `api.steering`: it is downloaded, and may be long."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Final

from stepswitch.domain.errors import NotFoundError
from stepswitch.domain.execution import Head, LogEntry, StepExecution
from stepswitch.engine.callers import Caller
from stepswitch.engine.conductor import Conductor
from stepswitch.engine.confidential import Mask
from stepswitch.engine.ports import ExecutionStore, Secrets
from stepswitch.engine.snapshots import Compiled, Snapshots

STEPS_AT_ONCE: Final = 1_000
PAGE_BYTES: Final = 256 * 1024


class Logbook:
    """Reads logs; holds one page of them at a time, and of the steps only their passwords."""

    def __init__(self, store: ExecutionStore, snapshots: Snapshots, conductor: Conductor, secrets: Secrets) -> None:
        self._store = store
        self._snapshots = snapshots
        self._conductor = conductor
        self._secrets = secrets

    async def pages(self, caller: Caller, execution_id: str) -> AsyncIterator[Sequence[LogEntry]]:
        """Return the log of an execution of the caller's tenant in the order of its commits; raises NotFoundError before the first page."""
        head = await self._conductor.head(execution_id)
        if head is None or head.tenant != caller.tenant:
            raise NotFoundError(f"no execution {execution_id}")
        return self._pages(execution_id)

    async def _pages(self, execution_id: str) -> AsyncIterator[Sequence[LogEntry]]:
        place: int | None = 0
        known = _Known()
        while place is not None:
            page, place = await self._store.logs(execution_id, place, PAGE_BYTES)
            head = await self._conductor.head(execution_id)  # after the page: what it tells of is known by then
            if head is None:
                raise NotFoundError(f"execution {execution_id} was deleted meanwhile")
            mask = await self._mask(head, known)
            yield [mask.entry(entry) for entry in page]

    async def _mask(self, head: Head, known: "_Known") -> Mask:
        """Return what masks the secrets of an execution as it is now, those of steps that are behind too."""
        last = head.steps_begun - 1
        while known.steps < last:
            steps = await self._store.steps(head.id, known.steps, min(STEPS_AT_ONCE, last - known.steps))
            if not steps:
                break
            for step in steps:
                await self._note(step, known)
            known.steps += len(steps)
        if head.current is not None:
            await self._note(head.current, known)
        own = await self._snapshots.get(head.snapshot_id)
        return Mask(self._secrets, head, [own, *known.snapshots.values()], known.told)

    async def _note(self, step: StepExecution, known: "_Known") -> None:
        """Keep of a step what may hold secrets, once."""
        compiled = known.snapshots.get(step.snapshot_id)
        if compiled is None:
            compiled = known.snapshots[step.snapshot_id] = await self._snapshots.get(step.snapshot_id)
        known.note(step, compiled)


class _Known:
    """What was found of an execution's secrets so far."""

    def __init__(self) -> None:
        self.steps = 0
        self.snapshots: dict[str, Compiled] = {}
        self._told: dict[tuple[str, str, tuple[str, ...]], tuple[StepExecution, Compiled]] = {}

    @property
    def told(self) -> Sequence[tuple[StepExecution, Compiled]]:
        """The steps with secrets that no other step has."""
        return list(self._told.values())

    def note(self, step: StepExecution, compiled: Compiled) -> None:
        """Keep the passwords that a step was given or wrote."""
        bindings = compiled.workflow.steps[step.step_id].in_bindings if step.step_id in compiled.workflow.steps else ()
        inputs = {each.name: step.inputs[each.name] for each in bindings if each.type == "password" and each.name in step.inputs}
        variables = {name: value for name, value in step.variables.items() if name in compiled.secret_names}
        if inputs or variables:
            key = (step.snapshot_id, step.step_id, tuple(map(str, (*inputs.values(), *variables.values()))))
            self._told[key] = (replace(step, inputs=inputs, outputs={}, variables=variables), compiled)
