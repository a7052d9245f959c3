"""The use case of rehearsing: workflows played with given results, without a target, a store or time that passes. Called by `api.rehearsals` and the command line.

A workflow of the catalogue is rehearsed as its readers see it, passwords masked: nothing that may not be read can be found out here.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from stepswitch.domain.conversion import upgraded
from stepswitch.domain.document import Comparator
from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError, OverloadedError, TargetError
from stepswitch.domain.execution import LogEntry, Outcome, Result, Status, StepError, Values
from stepswitch.domain.names import shown
from stepswitch.domain.references import Reference
from stepswitch.domain.rules import Rules
from stepswitch.domain.secrecy import CUT
from stepswitch.domain.validation import faults_to_execute
from stepswitch.engine.budget import LARGE_BYTES, aside, is_large, size_of_document
from stepswitch.engine.callers import Caller
from stepswitch.engine.catalogue import Catalogue, review
from stepswitch.engine.computing import ComputingContext
from stepswitch.engine.divergences import Comparison, Divergence, Taken
from stepswitch.engine.kept_passwords import masked_document
from stepswitch.engine.ports import Clock, FileStore, Secrets, StepType
from stepswitch.engine.privileges import Privilege
from stepswitch.engine.rehearsal import Computation, Play
from stepswitch.engine.rehearsal_orders import Rehearsal, RehearsalOrder, rehearsal_faults
from stepswitch.engine.snapshots import Compiled, compile_snapshot

SECONDS: Final = 30.0
"""How long the rehearsals of one document may take together."""
AT_ONCE: Final = 2
"""Documents that are rehearsed at the same time; others wait, and are refused when that takes too long."""
SLOW_SECONDS: Final = 0.005
STRETCH_SECONDS: Final = 0.05
SHOWN_CHARACTERS: Final = 64 * 1024
"""Of the values of one rehearsal, together."""
_NO_CREDENTIALS: Final = "a rehearsal opens no credential, so that this step is not carried out; give its result"


@dataclass(frozen=True, slots=True)
class Report:
    """What a rehearsal came to, without secrets. `seconds` is what it would have taken, as far as results and waits say."""

    name: str
    status: Status
    way: Sequence[Taken]
    step_executions: int
    seconds: float
    outputs: Values
    values: Values
    """Of inputs and variables."""
    divergences: Sequence[Divergence]
    log: Sequence[LogEntry]

    @property
    def is_as_expected(self) -> bool:
        """Whether nothing is otherwise than expected."""
        return not self.divergences


@dataclass(frozen=True, slots=True)
class _Found:
    """A workflow, where there is one, and what keeps it from being rehearsed."""

    compiled: Compiled | None
    faults: Sequence[Fault] = ()


@dataclass(frozen=True, slots=True)
class _Run:
    """What the rehearsals of one document share."""

    compiled: Compiled
    deadline: float
    is_stored: bool


class Rehearsals:
    """Rehearses. `computing` are the step types that are carried out for real; without a catalogue the workflow comes with the order."""

    def __init__(
        self,
        *,
        computing: Mapping[str, StepType],
        rules: Rules,
        secrets: Secrets,
        clock: Clock,
        catalogue: Catalogue | None = None,
        files: FileStore | None = None,
        strict: bool = False,
        seconds: float = SECONDS,
    ) -> None:
        self._computing = computing
        self._rules = rules
        self._secrets = secrets
        self._clock = clock
        self._catalogue = catalogue
        self._files = files
        self._strict = strict
        self._seconds = seconds
        self._places = asyncio.Semaphore(AT_ONCE)
        self._playing: set[asyncio.Task[list[Report]]] = set()
        self._is_ended = False

    async def rehearse(self, caller: Caller, order: RehearsalOrder) -> list[Report]:
        """Return what every rehearsal came to; raises NotFoundError, or InvalidRequestError with every fault of the document.

        Raises OverloadedError where too many others rehearse, or the service stops.
        """
        found = await self._workflow(caller, order)
        compiled, faults = found.compiled, [*order.faults, *found.faults]
        if compiled is not None:
            faults += await aside(partial(self._faults, order, compiled), is_slow=order.is_large)
        if faults or compiled is None:
            raise InvalidRequestError(list(dict.fromkeys(faults)))
        playing = asyncio.get_running_loop().create_task(self._play(compiled, order))
        self._playing.add(playing)
        playing.add_done_callback(self._playing.discard)
        try:
            if self._is_ended:
                playing.cancel()
            return await playing
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._is_ended or (task is not None and task.cancelling()):
                raise
            raise OverloadedError("the service stops") from None

    def end(self) -> None:
        """Rehearse no more: whoever waits for a rehearsal is told that the service stops."""
        self._is_ended = True
        for playing in self._playing:
            playing.cancel()

    async def _play(self, compiled: Compiled, order: RehearsalOrder) -> list[Report]:
        async with self._place():
            run = _Run(compiled, self._clock.monotonic() + self._seconds, is_stored=order.workflow is None)
            return [await self._rehearse(run, rehearsal) for rehearsal in order.rehearsals]

    def _faults(self, order: RehearsalOrder, compiled: Compiled) -> list[Fault]:
        return [fault for rehearsal in order.rehearsals for fault in rehearsal_faults(rehearsal, compiled.workflow, self._rules)]

    async def close(self) -> None:
        """Let go of everything that was started to carry out steps."""
        for step_type in {id(each): each for each in self._computing.values()}.values():
            await step_type.close()

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._seconds):
                await self._places.acquire()
        except TimeoutError:
            raise OverloadedError("others rehearse their workflows now", round(self._seconds)) from None
        try:
            yield
        finally:
            self._places.release()

    # --- the workflow ---

    async def _workflow(self, caller: Caller, order: RehearsalOrder) -> _Found:
        """Return the workflow, or its faults. One of the catalogue was checked when it was stored, and with its passwords."""
        if order.workflow is not None:
            caller.require(Privilege.WORKFLOW_DESIGN)
            document, path, is_new = order.workflow, "workflow", True
        elif order.workflow_id is None:
            return _Found(None)
        elif self._catalogue is None:
            return _Found(None, [Fault(ErrorCode.INVALID_VALUE, "workflowId", "there is no catalogue here: give the workflow itself")])
        else:
            stored = await self._catalogue.get(caller, order.workflow_id)
            document, path, is_new = stored.document, "workflowId", False
        found = await aside(lambda: self._compile(caller.tenant, document, is_new=is_new), is_slow=is_large(document))
        return replace(found, faults=[replace(fault, path=f"{path}.{fault.path}" if fault.path else path) for fault in found.faults])

    def _compile(self, tenant: str, document: Mapping[str, Any], *, is_new: bool) -> _Found:
        if is_new and (faults := review(document, self._rules.types, strict=self._strict).faults):
            return _Found(None, faults)
        compiled = compile_snapshot(tenant, upgraded(document if is_new else masked_document(document)))
        return _Found(compiled, faults_to_execute(compiled.workflow, self._rules.types))

    # --- one rehearsal ---

    async def _rehearse(self, run: _Run, rehearsal: Rehearsal) -> Report:
        comparison = Comparison(rehearsal, run.compiled)
        play = Play(rehearsal, run.compiled, self._rules, self._secrets, comparison.take)
        is_slow = _may_be_slow(run.compiled, rehearsal)
        while True:
            before = self._clock.monotonic()
            if before >= run.deadline:
                play.give_up()
            goes_on = await aside(partial(self._stretch, play, run.deadline, lasts=is_slow), is_slow=is_slow)
            is_slow = is_slow or self._clock.monotonic() - before > SLOW_SECONDS
            if not goes_on:
                break
            if play.computation is not None:
                await self._compute(run, rehearsal, play, play.computation)
            await asyncio.sleep(0)  # others want their answers
        return await aside(lambda: _report(rehearsal, run.compiled, play, comparison), is_slow=is_slow)

    def _stretch(self, play: Play, deadline: float, *, lasts: bool) -> bool:
        """Do the next thing, or, where that is done aside, what can be done in a while; return whether there is more to do."""
        end = min(deadline, self._clock.monotonic() + STRETCH_SECONDS)
        while goes_on := play.advance():
            if not lasts or play.computation is not None or self._clock.monotonic() >= end:
                break
        return goes_on

    async def _compute(self, run: _Run, rehearsal: Rehearsal, play: Play, computation: Computation) -> None:
        async def read(key: str) -> bytes:
            return await self._attachment(run, rehearsal, key)

        inputs = {name: value for name, value in computation.inputs.items() if not isinstance(value, Reference)}
        if len(inputs) < len(computation.inputs):
            play.report(Outcome(Result.FAILED, error=StepError(ErrorCode.CREDENTIAL_REFUSED, _NO_CREDENTIALS)))
            return
        step_type = self._computing[computation.step.type]
        limits = self._rules.limits
        context = ComputingContext(computation.step, computation.time_limit_seconds, limits.output_bytes, play.say, read)
        try:
            async with asyncio.timeout(max(0.0, run.deadline - self._clock.monotonic())):
                outcome = await step_type.run(inputs, context)
        except TimeoutError:
            play.give_up()
        else:
            play.report(outcome)

    async def _attachment(self, run: _Run, rehearsal: Rehearsal, key: str) -> bytes:
        """Return what the rehearsal gives as the content of an attachment, else what the workflow of the catalogue has."""
        if key in rehearsal.attachments:
            return rehearsal.attachments[key].encode("utf-8", "surrogatepass")
        file_id = run.compiled.workflow.attachments.get(key) if run.is_stored else None
        file = await self._files.find(run.compiled.snapshot.tenant, file_id) if self._files is not None and file_id is not None else None
        if self._files is None or file is None:
            raise TargetError(f"there is no attachment {shown(key)!r}: give its content under attachments of the rehearsal")
        return await self._files.read(file)


def _may_be_slow(compiled: Compiled, rehearsal: Rehearsal) -> bool:
    """Return whether a single decision may take long: there is much to look at, or an expression to match."""
    scripted = (*rehearsal.results.values(), *rehearsal.probes.values())
    given = (rehearsal.assignments, rehearsal.context, [each.outputs for results in scripted for each in results])
    conditions = [condition for step in compiled.workflow.steps.values() for condition in step.all_conditions]
    matches = any(condition.comparator is Comparator.MATCH for condition in conditions)
    return matches or is_large(compiled.snapshot.document) or size_of_document(given, LARGE_BYTES) > LARGE_BYTES


def _report(rehearsal: Rehearsal, compiled: Compiled, play: Play, comparison: Comparison) -> Report:
    comparison.end(play)
    outputs = {name: play.head.values[name] for name in compiled.workflow.outputs if name in play.head.values}
    others = {name: value for name, value in play.head.values.items() if name not in outputs}
    room = _Room(SHOWN_CHARACTERS)
    return Report(
        name=rehearsal.name,
        status=play.head.status,
        way=comparison.way,
        step_executions=comparison.count,
        seconds=play.seconds,
        outputs=room.shown(play.mask.values(outputs, compiled.secret_names)),
        values=room.shown(play.mask.values(others, compiled.secret_names)),
        divergences=comparison.found,
        log=play.log,
    )


class _Room:
    """What of long values is shown."""

    def __init__(self, characters: int) -> None:
        self._left = characters

    def shown(self, values: Values) -> Values:
        """Return `values`, long texts cut where there is no more room."""
        return {name: self._cut(value) if isinstance(value, str) else value for name, value in values.items()}

    def _cut(self, text: str) -> str:
        cut = text[: self._left]
        self._left -= len(cut)
        return cut if len(cut) == len(text) else f"{cut}{CUT}"
