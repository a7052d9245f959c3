"""Risk: a rehearsal keeps others from their work, goes on for ever, shows what may not be read, or says one fault of its document at a time."""

import asyncio
import threading
from contextlib import suppress
from typing import Any, Final

import pytest

from stepswitch.api.wire.rehearsals import rehearsal_order
from stepswitch.domain.errors import ErrorCode, InvalidRequestError, OverloadedError
from stepswitch.domain.execution import Outcome, Result, Status
from stepswitch.engine import rehearsal
from stepswitch.engine import rehearsals as use_case
from stepswitch.engine.divergences import DivergenceKind
from stepswitch.engine.ports import StepContext
from stepswitch.engine.rehearsal import Play
from stepswitch.plugin import Values
from tests.clocks import FakeClock
from tests.domain.documents import JsonObject, document
from tests.engine.rehearsing import flow, rehearse, sentences, ssh, stage
from tests.engine.scripted import ANN

SCRIPT: Final[dict[str, Any]] = {"type": "JS", "inBindings": {"script": {"type": "string", "defaultValue": "x"}}}
LOOP: Final = document(steps={"a": {"type": "NOOP", "nextStepId": "a"}})


async def faults_of(body: JsonObject) -> list[tuple[ErrorCode, str]]:
    with pytest.raises(InvalidRequestError) as caught:
        await stage().rehearse(ANN, rehearsal_order(body))
    return [(fault.code, fault.path) for fault in caught.value.faults]


# --- documents ----------------------------------------------------------------------------------------------------------


async def test_faults_of_shape_workflow_and_rehearsals_are_said_together() -> None:
    workflow = flow("a", {"a": ssh(), "n": {"type": "NOOP", "nextStepId": "a"}}, inputs={"host": {"type": "string", "required": True}})
    rehearsal = {
        "name": "one",
        "colour": "blue",
        "assignments": {"count": 1},
        "debugStepIds": ["b"],
        "results": {
            "b": [{}],
            "n": [{}],
            "a": [{"outputs": {"outputTxt": "x", "exitCode": "0"}}, {"lost": True, "seconds": 1}, {"times": 0}, {"error": {"code": "NO"}}],
        },
        "operators": [{"act": "retry", "startStepId": "a", "at": "z"}, {"act": "resume", "values": {"text": 5}}],
        "expected": {
            "way": ["a", "b", {"stepId": "a", "inputs": {"cmdd": "x"}}, 7],
            "status": "QUEUED",
            "outputs": {"o": 1},
            "values": {"v": 1},
        },
    }
    body = {"workflow": workflow, "contextType": "VNF", "assignments": {"hots": "h"}, "rehearsals": [rehearsal, {"name": "one"}, 5]}
    one = "rehearsals[0]."
    assert set(await faults_of(body)) == {
        (ErrorCode.UNKNOWN_FIELD, f"{one}colour"),
        (ErrorCode.INVALID_VALUE, f"{one}results.a[1].seconds"),
        (ErrorCode.INVALID_VALUE, f"{one}results.a[2].times"),
        (ErrorCode.INVALID_VALUE, f"{one}results.a[3].error"),
        (ErrorCode.INVALID_VALUE, f"{one}results.a[3].error.code"),
        (ErrorCode.INVALID_VALUE, f"{one}operators[0].startStepId"),
        (ErrorCode.WRONG_TYPE, f"{one}expected.way[3]"),
        (ErrorCode.INVALID_VALUE, f"{one}expected.status"),
        (ErrorCode.WRONG_TYPE, "rehearsals[2]"),
        (ErrorCode.DECLARED_TWICE, "rehearsals[1].name"),
        (ErrorCode.UNKNOWN_INPUT, f"{one}assignments.count"),
        (ErrorCode.UNKNOWN_INPUT, "assignments.hots"),
        (ErrorCode.MISSING_FIELD, f"{one}context.vnfId"),
        (ErrorCode.MISSING_INPUT, f"{one}assignments.host"),
        (ErrorCode.UNKNOWN_STEP, f"{one}debugStepIds[0]"),
        (ErrorCode.UNKNOWN_STEP, f"{one}results.b"),
        (ErrorCode.INVALID_VALUE, f"{one}results.n"),
        (ErrorCode.UNDECLARED_NAME, f"{one}results.a[0].outputs.outputTxt"),
        (ErrorCode.WRONG_TYPE, f"{one}results.a[0].outputs.exitCode"),
        (ErrorCode.UNKNOWN_STEP, f"{one}operators[0].at"),
        (ErrorCode.WRONG_TYPE, f"{one}operators[1].values.text"),
        (ErrorCode.UNKNOWN_STEP, f"{one}expected.way[1]"),
        (ErrorCode.UNDECLARED_NAME, f"{one}expected.way[2].inputs.cmdd"),
        (ErrorCode.UNDECLARED_NAME, f"{one}expected.outputs.o"),
        (ErrorCode.UNDECLARED_NAME, f"{one}expected.values.v"),
        (ErrorCode.MISSING_FIELD, "rehearsals[1].context.vnfId"),
        (ErrorCode.MISSING_INPUT, "rehearsals[1].assignments.host"),
    }


async def test_faults_of_the_workflow_are_said_with_its_place() -> None:
    workflow = document(steps={"a": {"type": "NOOP", "nextStepId": "b"}, "c": {"type": "NONSENSE"}})
    found = await faults_of({"workflow": workflow, "rehearsals": [{"name": "one", "results": {"a": 5}}]})
    assert set(found) == {
        (ErrorCode.WRONG_TYPE, "rehearsals[0].results.a"),
        (ErrorCode.UNKNOWN_STEP, "workflow.steps.a.nextStepId"),
        (ErrorCode.UNKNOWN_STEP_TYPE, "workflow.steps.c.type"),
    }
    draft = await faults_of({"workflow": document(steps=None, startStepId=None), "rehearsals": [{"name": "one"}]})
    assert draft == [(ErrorCode.DRAFT, "workflow.steps"), (ErrorCode.DRAFT, "workflow.startStepId")]


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({}, [(ErrorCode.MISSING_FIELD, "rehearsals"), (ErrorCode.MISSING_FIELD, "")]),
        ({"workflow": LOOP, "rehearsals": []}, [(ErrorCode.MISSING_FIELD, "rehearsals")]),
        ({"workflow": LOOP, "workflowId": "w", "rehearsals": [{"name": "a"}]}, [(ErrorCode.MISSING_FIELD, "")]),
        ({"workflowId": "w", "rehearsals": [{"name": "a"}]}, [(ErrorCode.INVALID_VALUE, "workflowId")]),
        ({"workflow": LOOP, "rehearsals": [{"name": "a"}] * 101}, [(ErrorCode.INVALID_VALUE, "rehearsals")]),
        (
            {
                "workflow": LOOP,
                "rehearsals": [{"name": "a", "expected": {"way": ["a"] * 10_001}, "operators": [{"act": "abort"}] * 10_001}],
            },
            [(ErrorCode.INVALID_VALUE, "rehearsals[0].operators"), (ErrorCode.INVALID_VALUE, "rehearsals[0].expected.way")],
        ),
        (
            {"workflow": LOOP, "rehearsals": [{"name": "a", "results": {"a": [{}] * 10_001}}]},
            [(ErrorCode.INVALID_VALUE, "rehearsals[0].results.a")],
        ),
    ],
)
async def test_a_document_that_says_too_little_or_too_much_is_refused(body: JsonObject, faults: list[tuple[ErrorCode, str]]) -> None:
    assert await faults_of(body) == faults


async def test_what_stands_above_counts_for_each_and_can_be_replaced_and_taken_away() -> None:
    inputs = {"host": {"type": "string", "required": True}, "mode": {"type": "string"}}
    workflow = flow(
        "a", {"a": {**SCRIPT, "inBindings": {**SCRIPT["inBindings"], "vnf": {"type": "string", "exportName": "vnfId"}}}}, inputs=inputs
    )
    body = {
        "workflow": workflow,
        "contextType": "VNF",
        "context": {"vnfId": "v-1", "site": "paris"},
        "assignments": {"host": "h", "mode": "m"},
        "rehearsals": [
            {"name": "as above", "expected": {"values": {"vnfId": "v-1", "site": "paris", "host": "h", "mode": "m"}}},
            {
                "name": "otherwise",
                "contextType": "NONE",
                "context": {"vnfId": None, "site": "rome"},
                "assignments": {"host": "i", "mode": None},
                "expected": {"values": {"site": "rome", "host": "i", "mode": None}},
            },
        ],
    }
    reports = await stage().rehearse(ANN, rehearsal_order(body))
    assert [sentences(report) for report in reports] == [[], []]


async def test_an_older_schema_is_rehearsed_as_it_is_converted() -> None:
    workflow = {"name": "old", "schemaVersion": "1.0", "steps": [{"stepId": "a", "type": "NOOP", "nextStep": "END", "stepNumber": 1}]}
    report = await rehearse({**workflow, "version": "1"}, expected={"way": ["a"], "status": "COMPLETED"})
    assert report.is_as_expected


# --- bounds -------------------------------------------------------------------------------------------------------------


async def test_a_script_that_does_not_end_ends_with_the_rehearsal() -> None:
    cancelled = asyncio.Event()

    async def wait(_inputs: Values, _context: StepContext) -> Outcome:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        cancelled.set()
        raise asyncio.CancelledError

    report = await rehearse(
        document(steps={"a": SCRIPT}), on=stage(wait, seconds=0.05, clock=FakeClock()), expected={"status": "COMPLETED"}
    )
    assert [each.kind for each in report.divergences] == [DivergenceKind.TIME]
    assert cancelled.is_set()


async def test_a_document_whose_time_is_over_says_so_of_every_rehearsal() -> None:
    order = rehearsal_order({"workflow": LOOP, "rehearsals": [{"name": "a"}, {"name": "b"}]})
    reports = await stage(seconds=0.01).rehearse(ANN, order)
    assert [[each.kind for each in report.divergences] for report in reports] == [[DivergenceKind.TIME], [DivergenceKind.TIME]]


async def test_others_have_their_turn_during_a_long_rehearsal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(use_case, "SLOW_SECONDS", 60.0)
    turns = 0
    rehearsing = asyncio.ensure_future(rehearse(LOOP, expected={"maxStepExecutions": 3_000}))
    while not rehearsing.done():
        await asyncio.sleep(0)
        turns += 1
    assert rehearsing.result().step_executions == 3_001
    assert turns > 1_000


async def test_what_may_take_long_is_done_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[set[int]] = []
    original = Play.advance

    def advance(play: Play) -> bool:
        threads[-1].add(threading.get_ident())
        return original(play)

    monkeypatch.setattr(Play, "advance", advance)
    matches = flow("a", {"a": {"type": "NOOP", "conditions": [{"name": "text", "comparator": "match", "value": "x*"}]}})
    large = flow("a", {"a": ssh()})
    for workflow, results in ((matches, {}), (large, {"a": [{"outputs": {"outputText": "x" * 70_000}}]})):
        threads.append(set())
        assert (await rehearse(workflow, results=results)).status is Status.COMPLETED
    monkeypatch.setattr(use_case, "SLOW_SECONDS", 60.0)
    threads.append(set())
    assert (await rehearse(LOOP, expected={"maxStepExecutions": 3})).step_executions == 4
    assert [threading.get_ident() in each for each in threads] == [False, False, True]


async def test_so_many_are_rehearsed_at_once_and_whoever_waits_too_long_is_told() -> None:
    go_on = asyncio.Event()
    begun: asyncio.Queue[None] = asyncio.Queue()

    async def wait(inputs: Values, _context: StepContext) -> Outcome:
        begun.put_nowait(None)
        await go_on.wait()
        return Outcome(Result.SUCCEEDED)

    at_once = stage(wait)
    running = [asyncio.ensure_future(rehearse(document(steps={"a": SCRIPT}), on=at_once)) for _ in range(use_case.AT_ONCE)]
    for _ in running:
        await begun.get()
    at_once._seconds = 0.02
    with pytest.raises(OverloadedError):
        await rehearse(LOOP, on=at_once)
    go_on.set()
    assert [report.status for report in await asyncio.gather(*running)] == [Status.COMPLETED] * use_case.AT_ONCE
    at_once._seconds = 30.0
    assert (await rehearse(document(steps={"a": SCRIPT}), on=at_once)).is_as_expected


async def test_a_stop_ends_what_is_rehearsed_and_a_caller_who_goes_away_is_no_stop() -> None:
    begun: asyncio.Queue[None] = asyncio.Queue()

    async def wait(_inputs: Values, _context: StepContext) -> Outcome:
        begun.put_nowait(None)
        await asyncio.Event().wait()
        return Outcome(Result.SUCCEEDED)

    on = stage(wait)
    gone, told = (asyncio.ensure_future(rehearse(document(steps={"a": SCRIPT}), on=on)) for _ in range(2))
    for _ in range(2):
        await begun.get()
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    on.end()
    for each in (told, rehearse(LOOP, on=on)):
        with pytest.raises(OverloadedError, match="stops"):
            await each


async def test_more_secrets_than_can_be_looked_for_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "MAX_SECRETS", 1_000)

    async def make(inputs: Values, _context: StepContext) -> Outcome:
        return Outcome(Result.SUCCEEDED, {"fresh": str(len(str(inputs.get("fresh", "")))) + "x" * 600})

    step = {
        **SCRIPT,
        "inBindings": {**SCRIPT["inBindings"], "fresh": {"type": "password", "exportName": "fresh"}},
        "outBindings": {"fresh": {"name": "fresh", "type": "password"}},
        "nextStepId": "a",
    }
    workflow = document(steps={"a": step}, variables={"fresh": {"type": "password"}})
    report = await rehearse(workflow, on=stage(make))
    assert [each.kind for each in report.divergences] == [DivergenceKind.SECRETS]


async def test_long_values_are_cut_in_the_report_and_not_in_the_comparison() -> None:
    text = "x" * 100_000
    report = await rehearse(
        flow("a", {"a": ssh()}), results={"a": [{"outputs": {"outputText": text}}]}, expected={"values": {"text": text}}
    )
    assert report.is_as_expected
    assert len(str(report.values["text"])) < 70_000
