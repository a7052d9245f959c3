"""The secrets of an execution of many step executions, found page by page: of each step only its passwords are kept. Used by `logbook` and `rows`."""

from dataclasses import replace
from typing import Final

from stepswitch.domain.execution import Head, StepExecution, Values
from stepswitch.engine.confidential import Mask, secret_inputs
from stepswitch.engine.ports import ExecutionStore, Secrets
from stepswitch.engine.snapshots import Compiled, Snapshots

STEPS_AT_ONCE: Final = 1_000


class KnownSecrets:
    """What was found of one execution's secrets so far."""

    def __init__(self, store: ExecutionStore, snapshots: Snapshots, secrets: Secrets) -> None:
        self._store = store
        self._snapshots = snapshots
        self._secrets = secrets
        self._read = 0
        self._compiled: dict[str, Compiled] = {}
        self._told: dict[tuple[str, str, tuple[str, ...]], tuple[StepExecution, Compiled]] = {}
        """The steps with secrets that no other step has."""

    async def mask(self, head: Head) -> Mask:
        """Return what masks the secrets of an execution as it is now, those of steps that are behind too; reads the steps that are new."""
        last = head.steps_begun - 1
        while self._read < last:
            steps = await self._store.steps(head.id, self._read, min(STEPS_AT_ONCE, last - self._read))
            if not steps:
                break
            for step in steps:
                await self._note(step)
            self._read += len(steps)
        if head.current is not None:
            await self._note(head.current)
        own = await self._snapshots.get(head.snapshot_id)
        return Mask(self._secrets, head, [own, *self._compiled.values()], list(self._told.values()))

    async def _note(self, step: StepExecution) -> None:
        """Keep the passwords that a step was given or wrote, once."""
        compiled = self._compiled.get(step.snapshot_id)
        if compiled is None:
            compiled = self._compiled[step.snapshot_id] = await self._snapshots.get(step.snapshot_id)
        names = secret_inputs(compiled, step.step_id)
        inputs, variables = _only(step.inputs, names), _only(step.variables, compiled.secret_names)
        probe = None if step.probe is None else replace(step.probe, inputs=_only(step.probe.inputs, names), outputs={})
        secrets = (*inputs.values(), *variables.values(), *(() if probe is None else probe.inputs.values()))
        if secrets:
            key = (step.snapshot_id, step.step_id, tuple(map(str, secrets)))
            self._told[key] = (replace(step, inputs=inputs, outputs={}, variables=variables, probe=probe), compiled)


def _only(values: Values, names: frozenset[str]) -> Values:
    return {name: value for name, value in values.items() if name in names}
