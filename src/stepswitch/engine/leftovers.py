"""Says where something may be left behind, in words for an execution's log: at which step, which attempt at it, and at what target. Called by `steering`, `claims` and `worker`."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from stepswitch.domain.execution import Head, Leftover, StepExecution
from stepswitch.domain.step_types import StepTypes
from stepswitch.engine.ports import ExecutionStore
from stepswitch.engine.snapshots import Snapshots

EPOCH_DIGITS: Final = 8
"""How much of an epoch is in a name: of two restores of one store nobody expects the same."""


class Leftovers:
    """Looks up the attempts that the marks in a head name by their numbers; those that are behind stand in the store."""

    def __init__(self, store: ExecutionStore, snapshots: Snapshots, types: StepTypes) -> None:
        self._store = store
        self._snapshots = snapshots
        self._types = types

    async def places(self, head: Head) -> Mapping[str, str]:
        """Return where each thing is that an execution may have left behind, by the claim that it was left under; not masked."""
        return {each.nonce: await self._place(head, each) for each in head.left_behind if not each.is_execution}

    async def _place(self, head: Head, left: Leftover) -> str:
        step = await step_of(self._store, head, left.number)
        if step is None:
            return f"step execution {left.number}"
        told = f"step {step.step_id} ({step.number}), attempt {step.attempt}" + (f", look {left.look} of its probe" if left.look else "")
        if left.only_computes:
            return told
        where = await self._where(step, left)
        name = f", under the name {attempt_name(head.id, step.number, step.attempt, left.look, left.epoch)}" if left.outlives else ""
        return told + (f", at {where}" if where else "") + name

    async def _where(self, step: StepExecution, left: Leftover) -> str:
        """Return what people call the target: the device, else the VIM, as far as that can be said."""
        work = step.probe if left.look and step.probe is not None else step
        compiled = await self._snapshots.get(step.snapshot_id)
        definition = compiled.workflow.steps.get(step.step_id)
        signature = None if definition is None else self._types.find(definition.type)
        target = None if signature is None else signature.target(work.inputs)
        told = [work.device.name] if work.device is not None and work.device.is_known else []
        told += [str(target)] if target is not None else []
        location = work.inputs.get("vimLocation")
        return " in ".join(told[:1] + ([location] if isinstance(location, str) else []))


async def step_of(store: ExecutionStore, head: Head, number: int) -> StepExecution | None:
    """Return a step execution of an execution, current or behind; None where it has none of that number."""
    if head.current is not None and head.current.number == number:
        return head.current
    return next(iter(await store.steps(head.id, number, 1)), None)


def attempt_name(execution_id: str, number: int, attempt: int, look: int, epoch: str) -> str:
    """Return by which name an attempt, or a look of its probe, makes things at its target; see `StepContext.attempt_name`.

    After a restore the numbers begin again where the backup had them: without its epoch an attempt would have the name of another one, which the
    lost time has made. It is shortened, since names in clusters have an end; before the first restore it is empty, and no part of the name.
    """
    numbers = f"{execution_id}-{number}-{attempt}" + (f"-{look}" if look else "")
    return f"{numbers}-e{sha256(epoch.encode()).hexdigest()[:EPOCH_DIGITS]}" if epoch else numbers
