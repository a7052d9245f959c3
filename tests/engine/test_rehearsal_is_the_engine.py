"""Risk: a rehearsal takes another way than the service would, so that whoever trusts it is deceived.

Workflows, results and operators are made up at random. The whole service carries them out, on a clock that the test moves, with step
types that answer as they are told; the rehearsal of the same has to come to the same, step by step.
"""

import asyncio
import re
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from stepswitch.domain.errors import ErrorCode, StateConflictError
from stepswitch.domain.execution import ENDED, ContextType, Head, Result, Status, StepError, StepExecution
from stepswitch.domain.step_types import StepSignature
from stepswitch.domain.validation import check
from stepswitch.engine.ports import StepContext
from stepswitch.engine.records import Committed
from stepswitch.engine.rehearsal_orders import Act, ActKind, Rehearsal, RehearsalOrder, ScriptedResult
from stepswitch.engine.rehearsals import Rehearsals, Report
from stepswitch.engine.steering import ChangeOrder, ValuesOrder
from stepswitch.engine.views import ExecutionView
from stepswitch.plugin import Outcome, Values
from stepswitch.secrets.masking import Masking
from stepswitch.system import SystemClock
from tests.clocks import FakeClock
from tests.domain.documents import JsonObject, document
from tests.domain.lives import ACT, LOOK, NEED, TYPES
from tests.engine.rig import PATIENCE
from tests.engine.scripted import ANN, House, ScriptedStep

MOST: Final = 14
"""Step executions until an execution pauses with LOOP_LIMIT."""
NAMES: Final = ("a", "b", "c", "d")
TIME_LIMIT: Final = 2
VARIABLES: Final = {
    "x": {"type": "number"},
    "y": {"type": "string", "defaultValue": "hello"},
    "z": {"type": "boolean"},
    "pw": {"type": "password", "defaultValue": "secret-word"},
}

names = st.sampled_from(NAMES)
conditions = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["x", "y", "z", "pw", "given", "out"]),
        "comparator": st.sampled_from(["isDefined", "isTrue", "isFalse"]),
    },
    optional={"nextStepId": names},
) | st.builds(
    lambda comparison, name, target: {"name": name, **comparison, **({"nextStepId": target} if target else {})},
    st.sampled_from([
        {"comparator": "equals", "value": "1"},
        {"comparator": "different", "value": "secret-word"},
        {"comparator": "greater", "value": 1},
        {"comparator": "smallerOrEquals", "value": 1},
        {"comparator": "match", "value": "h.*|ok"},
        {"comparator": "contains", "value": "e"},
    ]),
    st.sampled_from(["x", "y", "out", "given", "pw"]),
    st.none() | names,
)  # fmt: skip
policies = st.fixed_dictionaries(
    {"timeoutSeconds": st.just(TIME_LIMIT)},
    optional={
        "delaySeconds": st.sampled_from([0, 1]),
        "retry": st.fixed_dictionaries(
            {"maxAttempts": st.integers(1, 3)}, optional={"delaySeconds": st.sampled_from([0, 1]), "backoff": st.just(2)}
        ),
        "onFailureStepId": names,
        "onUnknownStepId": names,
        "safeToRerun": st.booleans(),
    },
)
probes = st.fixed_dictionaries(
    {
        "inBindings": st.just({"deed": {"type": "string", "defaultValue": "look"}}),
        "done": st.just([{"name": "code", "comparator": "equals", "value": "1"}]),
        "notDone": st.just([{"name": "text", "comparator": "match", "value": "hello|{{y}}"}]),
        "timeoutSeconds": st.just(TIME_LIMIT),
    },
    optional={
        "maxAttempts": st.integers(1, 3),
        "delaySeconds": st.just(1),
        "outBindings": st.just({"x": {"name": "code", "type": "number"}}),
    },
)
bodies = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["ACT", "ACT", "NOOP", "LOOK", "NEED"]),
        "policy": policies,
        "nextStepId": st.sampled_from([*NAMES, *NAMES, None]),
    },
    optional={
        "conditions": st.lists(conditions, max_size=3),
        "inBindings": st.sampled_from([
            {"must": {"type": "string", "exportName": "y"}},
            {"must": {"type": "string", "exportName": "out"}},
            {"must": {"type": "string", "defaultValue": "{{x}} {{y}}"}, "host": {"type": "string", "exportName": "pw"}},
        ]),
        "outBindings": st.sampled_from([
            {"x": {"name": "code", "type": "number"}, "y": {"name": "text", "type": "string"}},
            {"z": {"name": "code", "type": "boolean"}, "out": {"name": "text", "type": "string"}, "pw": {"name": "word", "type": "password"}},
        ]),
    },
)  # fmt: skip


def _with_probe(body: JsonObject, probe: JsonObject | None) -> JsonObject:
    """Return a step with a probe, where it has something to look at."""
    return body if probe is None or body["type"] in ("NOOP", "LOOK") else {**body, "policy": {**body["policy"], "probe": probe}}


def _document(steps: Mapping[str, JsonObject]) -> JsonObject:
    """Return a document whose steps say who they are, so that whoever carries one out knows what to answer."""
    must = {"must": {"type": "string", "exportName": "out"}}
    named = {
        step_id: {**body, "inBindings": {**must, **body.get("inBindings", {}), "me": {"type": "string", "defaultValue": step_id}}}
        for step_id, body in steps.items()
    }
    return document(
        steps=named, variables=VARIABLES, outputs={"out": {"type": "string"}}, inputs={"given": {"type": "number", "defaultValue": 1}}
    )


documents = st.builds(_document, st.fixed_dictionaries(dict.fromkeys(NAMES, st.builds(_with_probe, bodies, st.none() | probes)))).filter(
    lambda source: not check(source, TYPES).faults
)
results = st.builds(
    lambda result, outputs, code, seconds: ScriptedResult(
        result, outputs, None if result is Result.SUCCEEDED else StepError(code, "it said: secret-word"), seconds
    ),
    st.sampled_from([Result.SUCCEEDED, Result.SUCCEEDED, Result.SUCCEEDED, Result.FAILED, Result.UNKNOWN]),
    st.fixed_dictionaries(
        {},
        optional={
            "code": st.sampled_from([0, 1, 2, "2", "word", True]),
            "text": st.sampled_from(["", "ok", "hello", "y" * 300]),
            "word": st.just("another-word"),
        },
    ),
    st.sampled_from([ErrorCode.NON_ZERO_EXIT, ErrorCode.UNREACHABLE, ErrorCode.TIMEOUT]),
    st.sampled_from([0.0, 0.0, 0.0, 1.0, 3.0]),
)
scripts = st.fixed_dictionaries(dict.fromkeys(NAMES, st.lists(results, min_size=1, max_size=3)))
answers = st.sampled_from([{"code": "1"}, {"code": "1"}, {"text": "hello"}, {"text": "hello"}, {}]).map(
    lambda outputs: ScriptedResult(Result.SUCCEEDED, outputs)
)
looks = st.fixed_dictionaries(dict.fromkeys(NAMES, st.lists(answers | results, min_size=1, max_size=3)))
acts = st.lists(
    st.builds(
        lambda kind, target, values: Act(
            kind, None, target if kind is ActKind.RESUME else None, values if kind is not ActKind.ABORT else {}
        ),
        st.sampled_from([ActKind.RESUME, ActKind.RESUME, ActKind.RETRY, ActKind.ABORT]),
        st.none() | names,
        st.sampled_from([{}, {}, {"x": 2}, {"y": None}, {"given": 7, "z": True}]),
    ),
    max_size=3,
)


@dataclass(frozen=True, slots=True)
class Case:
    """What is carried out, and rehearsed."""

    source: JsonObject
    results: Mapping[str, list[ScriptedResult]]
    looks: Mapping[str, list[ScriptedResult]]
    acts: list[Act]
    pause_at_failure: bool
    debug: tuple[str, ...]


cases = st.builds(Case, documents, scripts, looks, acts, st.booleans(), st.lists(names, max_size=1).map(tuple))


class AnsweringStep(ScriptedStep):
    """Implements `StepType`: answers as the case says, the last answer again and again."""

    def __init__(self, signature: StepSignature, stage: "Stage") -> None:
        super().__init__(signature)
        self._stage = stage

    async def run(self, inputs: Values, context: StepContext) -> Outcome:
        if not self.signature.always_safe:
            context.mark_sent()
        scripted = self._stage.answer(str(inputs["me"]), is_look=inputs.get("deed") == "look")
        if scripted.seconds:
            self._stage.working = min(scripted.seconds, TIME_LIMIT)
            self._stage.stirred.set()
            await self._stage.house.clock.sleep(scripted.seconds)
        return Outcome(scripted.result, scripted.outputs, scripted.error)


class Stage:
    """A service that carries out one case after the other."""

    def __init__(self, directory: Path) -> None:
        self.house = House(directory, FakeClock(), silence_seconds=1e6, max_step_executions=MOST, max_values_bytes=1_024)
        for name, signature in (("act", ACT), ("look", LOOK), ("need", NEED)):
            setattr(self.house, name, AnsweringStep(signature, self))
        self.stirred = asyncio.Event()
        self.working = 0.0
        self._case: Case | None = None
        self._asked: Counter[tuple[str, bool]] = Counter()

    async def open(self) -> None:
        await self.house.open()
        self.house.service.observe(self)

    def committed(self, change: Committed) -> None:
        self.stirred.set()

    def answer(self, step_id: str, *, is_look: bool) -> ScriptedResult:
        assert self._case is not None
        given_results = (self._case.looks if is_look else self._case.results)[step_id]
        place = min(self._asked[step_id, is_look], len(given_results) - 1)
        self._asked[step_id, is_look] += 1
        return given_results[place]

    async def carry_out(self, case: Case) -> ExecutionView:
        """Return the execution when it has ended, or waits for an operator who does not come."""
        self._case, self._asked = case, Counter()
        steering = {ActKind.RESUME: self.house.service.steering.resume, ActKind.RETRY: self.house.service.steering.retry,
                    ActKind.ABORT: self.house.service.steering.abort}  # fmt: skip
        execution = (await self.house.create(case.source, pause_at_failure=case.pause_at_failure, debug_step_ids=case.debug)).head.id
        for act in case.acts:
            head = (await self._until_it_stops(execution)).head
            if head.status in (Status.COMPLETED, Status.ABORTED) or head.pause_code is ErrorCode.LOOP_LIMIT:
                break
            try:
                if act.values:
                    await self.house.service.steering.set_values(ANN, execution, ValuesOrder(act.values))
                if act.start_step_id is not None:
                    await self.house.service.steering.change(ANN, execution, ChangeOrder(start_step_id=act.start_step_id))
                await steering[act.kind](ANN, execution)
            except StateConflictError:
                break
        return await self._until_it_stops(execution)

    async def _until_it_stops(self, execution: str) -> ExecutionView:
        async with asyncio.timeout(PATIENCE * 3):
            while True:
                self.stirred.clear()
                view = await self.house.view(execution)
                if view.head.status in ENDED | {Status.PAUSED}:
                    return view
                if self.working:
                    seconds, self.working = self.working, 0.0
                    await self.house.clock.advance(seconds)
                elif view.waiting_for and view.waiting_for[0].kind == "time" and view.waiting_for[0].until is not None:
                    await self.house.clock.advance((view.waiting_for[0].until - self.house.clock.now()) / 1000)
                else:
                    await self.stirred.wait()

    async def rehearse(self, case: Case) -> Report:
        bodies = case.source["steps"]
        rehearsal = Rehearsal(
            name="the same",
            context_type=ContextType.NONE,
            pause_at_failure=case.pause_at_failure,
            debug_step_ids=case.debug,
            results=_repeated({each: given for each, given in case.results.items() if bodies[each]["type"] != "NOOP"}),
            probes=_repeated({each: given for each, given in case.looks.items() if "probe" in bodies[each]["policy"]}),
            acts=tuple(case.acts),
        )
        rehearsals = Rehearsals(computing={}, rules=self.house.service.rules, secrets=Masking(), clock=SystemClock())
        (report,) = await rehearsals.rehearse(ANN, RehearsalOrder(case.source, None, (rehearsal,)))
        return report


def _repeated(scripts: Mapping[str, list[ScriptedResult]]) -> dict[str, tuple[ScriptedResult, ...]]:
    """Return results of which the last one stands for whatever comes after it."""
    return {step_id: (*given_results[:-1], replace(given_results[-1], times=MOST * 3)) for step_id, given_results in scripts.items()}


def _told(step: StepExecution) -> tuple[object, ...]:
    error = step.error
    said = None if error is None else " ".join(error.message.split())[:200]
    return step.step_id, step.attempt, step.result, error and error.code, said, step.probe and step.probe.verdict


def _values(head: Head, outputs: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in head.values.items() if name not in outputs}


def _kind(because: str) -> str:
    """Return which kind of reason a rehearsal gives, with the condition where one decided."""
    if (condition := re.search(r"condition \d+ of `\w+` \(`(\w+)` (\w+)", because)) is not None:
        return f"condition {condition[1]} {condition[2]}"
    kinds = ("onFailureStepId", "onUnknownStepId", "another one follows", "went on there", "asked for another", "is the nextStepId")
    (kind,) = [kind for kind in kinds if kind in because]
    return "another one follows" if kind == "asked for another" else kind


def _reasons(view: ExecutionView) -> list[str]:
    """Return what the service's own log says of each passage from one step execution to the next."""
    results = {step.number: step.result for step, _ in view.steps}
    found: list[str] = []
    for message in (entry.message for entry in view.logs if entry.step is None):
        if (passed := re.match(r"step \w+ \(\d+\) → \w+(?: \((\w+) (\w+)\))?$", message)) is not None:
            found.append(f"condition {passed[1]} {passed[2]}" if passed[1] else "is the nextStepId")
        elif (failed := re.match(r"step \w+ \((\d+)\) ended \w+: (the way goes on at|attempt \d+ follows)", message)) is not None:
            doubt = "onUnknownStepId" if results[int(failed[1])] is Result.UNKNOWN else "onFailureStepId"
            found.append(doubt if failed[2].startswith("the way") else "another one follows")
        elif message.startswith("goes on at step "):
            found.append("went on there")
    return found


@pytest.fixture
def stage() -> Any:
    loop = asyncio.new_event_loop()
    with tempfile.TemporaryDirectory() as directory:
        stage = Stage(Path(directory))
        loop.run_until_complete(stage.open())
        yield stage, loop
        loop.run_until_complete(stage.house.stop())
    loop.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(case=cases)
def test_a_rehearsal_takes_the_way_that_the_service_takes(stage: tuple[Stage, asyncio.AbstractEventLoop], case: Case) -> None:
    on_stage, loop = stage
    view = loop.run_until_complete(on_stage.carry_out(case))
    report = loop.run_until_complete(on_stage.rehearse(case))
    event(f"{report.status} after {min(report.step_executions, 4)} or more")
    taken = [
        (each.step_id, each.attempt, each.result, each.error and each.error.code, each.error and each.error.message, each.verdict)
        for each in report.way
    ]
    event(f"verdicts {sorted({str(each.verdict) for each in report.way})}")
    assert taken == [_told(step) for step, _ in view.steps]
    assert [_kind(each.because) for each in report.way[1:]] == _reasons(view)
    assert report.status is view.head.status
    assert dict(report.outputs) == dict(view.outputs)
    assert dict(report.values) == _values(view.head, view.outputs)
