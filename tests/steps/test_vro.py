"""VRO_CUSTOM against a vRO on a real TLS socket. Risk: a run begun twice, lost, or left behind; a value that is another one over there; a secret that is shown."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from stepswitch.plugin import (
    VRO_RUN_ID,
    Device,
    ErrorCode,
    Inventory,
    Login,
    LogLevel,
    Outcome,
    Reference,
    Result,
    TargetError,
    Value,
    VimLocation,
)
from stepswitch.steps.vro import VroCustomStep
from stepswitch.steps.vro_api import Patience
from stepswitch.steps.vro_runs import Pauses, proposed_id
from tests.steps.contexts import RecordingContext
from tests.steps.http_server import reply, says
from tests.steps.vro_contexts import VIM, asks, context_with, inventory_with
from tests.steps.vro_server import PASSWORD, FakeRun, FakeVro, cut, given

QUICK = Pauses(first=0.01, longest=0.02, lost=0.2, looks_for_begun=3)
PATIENT = Pauses(first=0.01, longest=0.02, lost=60.0, looks_for_begun=3)
SECRET = "a-word-that-nobody-may-read"


def context_for(vro: FakeVro, **more: Any) -> RecordingContext:
    return context_with(inventory_with(vro, vro.certificate), **more)


def step_with(pauses: Pauses = PATIENT, **patience: float) -> VroCustomStep:
    return VroCustomStep(patience=Patience(**patience), pauses=pauses)


def ends(run: FakeRun) -> None:
    run.state = "completed"


async def outcome_of(vro: FakeVro, inputs: dict[str, Value], context: RecordingContext | None = None) -> Outcome:
    return await step_with().run(inputs, context or context_for(vro))


def code_of(outcome: Outcome) -> ErrorCode | None:
    return None if outcome.error is None else outcome.error.code


async def test_every_type_of_value_goes_there_and_comes_back(vro: FakeVro) -> None:
    kinds = {
        "text": "string", "count": "number", "part": "number", "flag": "boolean", "key": "SecureString", "at": "Date", "more": "Properties",
        "names": "Array/string", "file": "MimeAttachment", "script": "string", "idle": "string",
    }  # fmt: skip

    def echo(run: FakeRun) -> None:
        for name, each in run.parameters.items():
            run.gives(name, each["type"], each["value"])
        ends(run)

    workflow = vro.workflow("Echo", inputs=kinds, outputs=kinds, work=echo)
    values: dict[str, Value] = {
        "text": "up ✓", "count": 7, "part": 2.5, "flag": True, "key": SECRET, "at": "2027-01-31T09:15:00+01:00",
        "more": '{"a": 1, "b": {"c": [true, "x"]}}', "names": '["r1", "r2"]', "file": "image", "script": "probe",
    }  # fmt: skip
    context = context_for(
        vro, attachments={"image": b"\x00\xff", "probe": b"show version"}, files={"file", "script"}, password_outputs={"key"}
    )
    outcome = await outcome_of(vro, asks("Echo", **values), context)
    run = vro.runs[0]
    assert {name: each["type"] for name, each in run.parameters.items()} == {name: kind for name, kind in kinds.items() if name != "idle"}
    assert run.parameters["count"]["value"] == {"number": {"value": 7}}
    assert run.parameters["key"]["value"] == {"secure-string": {"value": SECRET, "isPlainText": True}}
    assert run.value("script") == "show version"
    assert outcome.error is None
    more, names = (json.loads(str(outcome.outputs[name])) for name in ("more", "names"))
    assert (more, names) == ({"a": 1, "b": {"c": [True, "x"]}}, ["r1", "r2"])
    expected = {**values, "script": "show version", "file": "image", VRO_RUN_ID: run.id}
    assert {**outcome.outputs, "more": values["more"], "names": values["names"]} == expected
    assert (context.made, outcome.files) == ({"image": b"\x00\xff"}, {"image": "id-of-image"})
    assert workflow.runs.keys() == {proposed_id(context.attempt_name)}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("number", "many"), ("number", True), ("number", "nan"), ("boolean", "perhaps"), ("boolean", 1), ("Date", "tomorrow"),
        ("Date", "2027-01-31T09:15:00"), ("Properties", "[1]"), ("Array/string", "r1"), ("Array/number", '["x"]'),
        ("MimeAttachment", "image"), ("VC:VirtualMachine", "vm-1"), ("Array/VC:VirtualMachine", '["vm-1"]'), ("Any", "x"),
    ],
)  # fmt: skip
async def test_what_does_not_fit_the_workflow_of_vro_is_said_before_anything_is_sent(vro: FakeVro, kind: str, value: Value) -> None:
    vro.workflow("Strict", inputs={"x": kind})
    context = context_for(vro)
    outcome = await outcome_of(vro, asks("Strict", x=value, slip="1", other="2"), context)
    assert (outcome.result, code_of(outcome), context.sent, vro.runs) == (Result.FAILED, ErrorCode.INVALID_VALUE, False, [])
    assert outcome.error is not None
    assert all(part in outcome.error.message for part in ("'slip'", "'other'", "'x'"))


async def test_an_output_that_nobody_can_take_over_is_left_out_with_a_word(vro: FakeVro) -> None:
    def work(run: FakeRun) -> None:
        run.gives("vm", "VC:VirtualMachine", {"sdk-object": {"type": "VC:VirtualMachine", "id": "vc/vm-1"}})
        run.gives("token", "SecureString", {"secure-string": {"value": SECRET, "isPlainText": True}})
        run.gives("name", "string", given("string", "smf"))
        run.gives("none", "string", {"string": {}})
        ends(run)

    vro.workflow("Gives", work=work)
    context = context_for(vro)
    outcome = await outcome_of(vro, asks("Gives"), context)
    assert outcome.outputs == {"name": "smf", VRO_RUN_ID: vro.runs[0].id}
    warnings = [message for level, message in context.lines if level is LogLevel.WARN]
    assert [("'vm'" in each, "'token'" in each) for each in warnings] == [(True, False), (False, True)]
    assert SECRET not in "\n".join(context.messages)


async def test_the_id_and_the_name_find_the_same_and_a_name_has_to_be_exact_and_alone(vro: FakeVro) -> None:
    vro.workflow("Register", "id-1", work=ends)
    vro.workflow("Register too", "id-2")
    twins = [vro.workflow("Twin", each) for each in ("twin-1", "twin-2")]
    by_name = await outcome_of(vro, asks("Register"))
    by_id = await outcome_of(vro, {"vimLocation": VIM, "vroWorkflowId": "id-1"}, context_for(vro, attempt="0-2"))
    assert (by_name.result, by_id.result, len(vro.workflows["id-1"].runs)) == (Result.SUCCEEDED, Result.SUCCEEDED, 2)
    named: list[tuple[dict[str, Value], str]] = [
        (asks("Twin"), twins[1].id),
        (asks("Regis"), "'Regis'"),
        ({"vimLocation": VIM, "vroWorkflowId": "no/such"}, "no/such"),
    ]
    for inputs, told in named:
        outcome = await outcome_of(vro, inputs)
        assert (outcome.result, code_of(outcome)) == (Result.FAILED, ErrorCode.NO_SUCH_WORKFLOW)
        assert outcome.error is not None
        assert told in outcome.error.message


@pytest.mark.parametrize("inputs", [{}, {"vroWorkflowId": "a", "vroWorkflowName": "b"}, {"vroWorkflowName": "  "}])
async def test_a_step_that_names_no_workflow_or_two_asks_nobody(vro: FakeVro, inputs: dict[str, Value]) -> None:
    outcome = await outcome_of(vro, {"vimLocation": VIM, **inputs})
    assert (outcome.result, vro.connections) == (Result.FAILED, 0)


@pytest.mark.parametrize("location", [None, "nowhere", "without"])
async def test_a_vim_that_has_no_vro_is_a_failed_step_that_says_what_there_is(vro: FakeVro, location: str | None) -> None:
    known = inventory_with(vro, vro.certificate)
    known = replace(known, vim_locations={**known.vim_locations, "without": VimLocation("without")})
    inputs = asks("x") if location is None else asks("x", vimLocation=location)
    if location is None:
        del inputs["vimLocation"]
    outcome = await step_with().run(inputs, context_with(known))
    assert (outcome.result, vro.connections) == (Result.FAILED, 0)
    assert outcome.error is not None
    assert f"'{VIM}'" in outcome.error.message
    empty = await step_with().run(inputs, context_with(Inventory()))
    assert empty.error is not None
    assert "none with a vRO" in empty.error.message


async def test_the_log_is_copied_while_it_runs_and_each_line_once(vro: FakeVro) -> None:
    vro.workflow("Talks")
    context = context_for(vro)
    running = asyncio.create_task(step_with().run(asks("Talks"), context))
    run = await vro.first_run()
    run.says("first")
    await context.wait_for_line("first")
    run.says("twice", "warning")
    run.says("twice", "error", long="twice, and why:\nthe rest\x1b[2J")
    run.logs.append(run.logs[1])  # as of a loop that is quicker than the clock of vRO
    await context.wait_for_line("the rest")
    run.looked_at.clear()
    await run.looked_at.wait()
    run.says("last", "debug")
    run.state = "completed"
    await running
    shown = [(level, message) for level, message in context.lines if "vRO" not in message]
    assert shown == [
        (LogLevel.INFO, "first"), (LogLevel.WARN, "twice"), (LogLevel.WARN, "twice"), (LogLevel.ERROR, "twice, and why:"),
        (LogLevel.ERROR, "the rest"), (LogLevel.DEBUG, "last"),
    ]  # fmt: skip


async def test_an_older_vro_has_its_log_elsewhere(vro: FakeVro) -> None:
    def work(run: FakeRun) -> None:
        run.says("from an older one")
        ends(run)

    vro.has_syslogs = False
    vro.workflow("Old", work=work)
    context = context_for(vro)
    await outcome_of(vro, asks("Old"), context)
    assert "from an older one" in context.messages


async def test_a_log_that_cannot_be_read_fails_nobody(vro: FakeVro) -> None:
    vro.workflow("Quiet", work=ends)
    context = context_for(vro)
    vro.next = [None, None, None, None, reply(403), reply(403)]
    assert (await outcome_of(vro, asks("Quiet"), context)).result is Result.SUCCEEDED
    assert [message for message in context.messages if "403" in message]


@pytest.mark.parametrize(("state", "told"), [("failed", "no route to r1"), ("canceled", "cancelled in vRO by somebody else")])
async def test_a_run_that_does_not_complete_fails_the_step_and_gives_what_it_has(vro: FakeVro, state: str, told: str) -> None:
    def work(run: FakeRun) -> None:
        run.state, run.exception = state, "no route to r1\n (Workflow:Fails / item2)"
        run.gives("seen", "number", given("number", 3.0))

    vro.workflow("Fails", work=work)
    outcome = await outcome_of(vro, asks("Fails"))
    assert (outcome.result, code_of(outcome), outcome.outputs["seen"]) == (Result.FAILED, ErrorCode.RUN_FAILED, 3.0)
    assert outcome.error is not None
    assert told in outcome.error.message


@pytest.mark.parametrize("state", ["waiting", "waiting-signal", "suspended"])
async def test_a_run_that_waits_says_for_what_once_and_goes_on(vro: FakeVro, state: str) -> None:
    vro.workflow("Asks")
    context = context_for(vro)
    running = asyncio.create_task(step_with().run(asks("Asks"), context))
    run = await vro.first_run()
    run.state = state
    line = await context.wait_for_line("goes on ")
    for _ in range(3):
        run.looked_at.clear()
        await run.looked_at.wait()
    run.state = "completed"
    assert (await running).result is Result.SUCCEEDED
    assert (context.messages.count(line), "in vRO" in line) == (1, True)


async def test_a_vro_that_is_out_of_reach_for_a_while_loses_no_run(vro: FakeVro) -> None:
    vro.workflow("Lasts")
    context = context_for(vro)
    running = asyncio.create_task(step_with().run(asks("Lasts"), context))
    run = await vro.first_run()
    vro.next = [cut, reply(500), says(b"rubbish\r\n\r\n"), reply(200, b"<html>"), reply(200, b"{}"), reply(404), reply(503), cut]
    await context.wait_for_line("is asked for again")
    while vro.next:
        run.looked_at.clear()
        await run.looked_at.wait()
    run.state = "completed"
    assert (await running).result is Result.SUCCEEDED
    assert len(vro.runs) == 1


async def test_a_run_that_nobody_can_see_any_more_is_unknown(vro: FakeVro) -> None:
    vro.workflow("Lasts")
    context = context_for(vro)
    running = asyncio.create_task(step_with(QUICK).run(asks("Lasts"), context))
    run = await vro.first_run()
    await run.looked_at.wait()
    vro.authorizations = set()
    outcome = await running
    assert (outcome.result, code_of(outcome), outcome.outputs) == (Result.UNKNOWN, ErrorCode.LOGIN_REFUSED, {VRO_RUN_ID: run.id})
    assert context.stays


async def test_a_run_that_was_deleted_is_unknown(vro: FakeVro) -> None:
    workflow = vro.workflow("Gone")
    running = asyncio.create_task(step_with().run(asks("Gone"), context_for(vro)))
    await (await vro.first_run()).looked_at.wait()
    workflow.runs.clear()
    outcome = await running
    assert (outcome.result, code_of(outcome)) == (Result.UNKNOWN, ErrorCode.RUN_GONE)


async def test_a_password_that_is_changed_meanwhile_is_read_again(vro: FakeVro) -> None:
    vro.workflow("Lasts")
    context = context_for(vro)
    running = asyncio.create_task(step_with().run(asks("Lasts"), context))
    run = await vro.first_run()
    context.credentials["paris vro"] = "another-password"
    vro.authorizations = {f"Basic {__import__('base64').b64encode(b'stepswitch:another-password').decode()}"}
    run.looked_at.clear()
    await run.looked_at.wait()
    run.state = "completed"
    assert (await running).result is Result.SUCCEEDED
    assert context.opened_for == [("paris vro", Device("127.0.0.1", vro.port))] * 2


async def test_a_login_without_a_name_is_a_token(vro: FakeVro) -> None:
    vro.authorizations = {"Bearer token-0815"}
    vro.workflow("Any", work=ends)
    known = inventory_with(vro, vro.certificate)
    endpoint = known.vim_locations[VIM].vro
    assert endpoint is not None
    place = VimLocation(VIM, vro=replace(endpoint, login=Login(None, Reference("token"))))
    context = context_with(replace(known, vim_locations={VIM: place}), {"token": "token-0815"})
    assert (await step_with().run(asks("Any"), context)).result is Result.SUCCEEDED
    context.credentials["token"] = "two words"
    assert code_of(await step_with().run(asks("Any"), context)) is ErrorCode.CREDENTIAL_UNAVAILABLE


async def test_who_is_not_let_in_has_sent_nothing_and_shows_no_password(vro: FakeVro) -> None:
    vro.workflow("Any")
    context = context_for(vro, attempt="0-1")
    context.credentials["paris vro"] = SECRET
    outcome = await outcome_of(vro, asks("Any"), context)
    assert (outcome.result, code_of(outcome), context.sent) == (Result.FAILED, ErrorCode.LOGIN_REFUSED, False)
    assert outcome.error is not None
    assert SECRET not in outcome.error.message + "\n".join(context.messages)
    refused = context_with(inventory_with(vro, vro.certificate), {"another": PASSWORD})
    assert code_of(await outcome_of(vro, asks("Any"), refused)) is ErrorCode.CREDENTIAL_REFUSED


async def test_a_certificate_that_the_inventory_does_not_know_is_not_trusted(vro: FakeVro) -> None:
    outcome = await step_with().run(asks("Any"), context_with(inventory_with(vro, None)))
    assert (outcome.result, code_of(outcome), vro.asked) == (Result.FAILED, ErrorCode.WRONG_CERTIFICATE, [])


@pytest.mark.parametrize("quirk", ["cut", "500", "no location"])
@pytest.mark.parametrize("way", ["proposed", "marked"])
async def test_a_run_whose_answer_is_lost_is_found_again_and_followed(vro: FakeVro, quirk: str, way: str) -> None:
    vro.honours_ids = way == "proposed"
    others = [vro.workflow(name, inputs={"stepswitchAttempt": "string"} if way == "marked" else {}) for name in ("Begins", "Other")]
    for number in range(3):
        others[0].runs[f"earlier-{number}"] = FakeRun(f"earlier-{number}", {})
    if quirk == "cut":
        vro.loses_answer = True
    context = context_for(vro)
    running = asyncio.create_task(step_with().run(asks("Begins"), context))
    if quirk != "cut":
        vro.spoil_begin(reply(500) if quirk == "500" else reply(202))
    run = await vro.first_run()
    await context.wait_for_line("is this attempt's")
    mine = next(each for each in vro.runs if not each.id.startswith("earlier"))
    mine.state = "completed"
    outcome = await running
    assert (outcome.result, outcome.outputs[VRO_RUN_ID], len(vro.runs)) == (Result.SUCCEEDED, mine.id, 4)
    assert run is vro.runs[0]


@pytest.mark.parametrize("begins", [True, False])
async def test_a_run_that_cannot_be_found_again_is_unknown_and_is_not_begun_twice(vro: FakeVro, begins: bool) -> None:
    vro.honours_ids = False
    vro.workflow("Begins")
    vro.loses_answer = begins
    if not begins:
        vro.next = [None, None, cut]
    context = context_for(vro)
    outcome = await outcome_of(vro, asks("Begins"), context)
    assert (outcome.result, code_of(outcome), context.sent, len(vro.runs)) == (Result.UNKNOWN, ErrorCode.CONNECTION_CUT, True, int(begins))


async def test_a_vro_that_lets_nobody_propose_an_id_is_asked_without_one(vro: FakeVro) -> None:
    vro.refuses_ids = True
    vro.workflow("Begins", work=ends)
    outcome = await outcome_of(vro, asks("Begins"))
    assert (outcome.result, outcome.outputs[VRO_RUN_ID], len(vro.runs)) == (Result.SUCCEEDED, "run-1", 1)


async def test_what_vro_refuses_to_begin_has_failed(vro: FakeVro) -> None:
    vro.workflow("Begins")
    vro.next = [None, None, reply(400, b'{"message": "the input host is empty"}')]
    outcome = await outcome_of(vro, asks("Begins"))
    assert (outcome.result, code_of(outcome)) == (Result.FAILED, ErrorCode.UNEXPECTED_STATUS)
    assert outcome.error is not None
    assert "the input host is empty" in outcome.error.message


async def test_nobody_may_begin_a_run_after_the_worker_was_fenced(vro: FakeVro) -> None:
    class Fenced(RecordingContext):
        def mark_sent(self) -> None:
            raise TargetError("too old")

    vro.workflow("Begins")
    with pytest.raises(TargetError):
        await step_with().run(asks("Begins"), Fenced(inventory=inventory_with(vro, vro.certificate), credentials={"paris vro": PASSWORD}))
    assert vro.runs == []


async def cancelled(running: "asyncio.Task[Outcome]") -> None:
    running.cancel()
    async with asyncio.timeout(10):
        with pytest.raises(asyncio.CancelledError):
            await running


@pytest.mark.parametrize("honours", [True, False])
async def test_an_abort_cancels_the_run_and_looks_whether_it_is(vro: FakeVro, honours: bool) -> None:
    vro.honours_ids = honours
    vro.workflow("Lasts")
    context, step = context_for(vro), step_with()
    running = asyncio.create_task(step.run(asks("Lasts"), context))
    run = await vro.first_run()
    await run.looked_at.wait()
    await cancelled(running)
    assert (run.state, run.cancels) == ("canceled", 1)
    assert "is canceled in vRO" in context.messages[-1]
    await step.clean_up(asks("Lasts"), context)
    assert run.cancels == 1


async def test_an_abort_while_the_answer_is_awaited_cancels_what_was_begun(vro: FakeVro) -> None:
    vro.workflow("Lasts")
    vro.withholds_answer = True
    running = asyncio.create_task(step_with().run(asks("Lasts"), context_for(vro)))
    run = await vro.first_run()
    await cancelled(running)
    assert run.state == "canceled"


async def test_an_abort_while_vro_is_out_of_reach_is_quick_and_cleaned_up_later_by_anybody(vro: FakeVro) -> None:
    vro.workflow("Lasts")
    context = context_for(vro)
    running = asyncio.create_task(step_with().run(asks("Lasts"), context))
    run = await vro.first_run()
    await run.looked_at.wait()
    good, vro.authorizations = vro.authorizations, set()
    await cancelled(running)
    assert "is seen to" in context.messages[-1]
    another = step_with()
    with pytest.raises(TargetError):
        await another.clean_up(asks("Lasts"), context)
    vro.authorizations = good
    await another.clean_up(asks("Lasts"), context)
    await another.clean_up(asks("Lasts"), context)
    assert (run.state, run.cancels) == ("canceled", 1)


async def test_cleaning_up_cancels_what_this_attempt_has_begun_and_nothing_else(vro: FakeVro) -> None:
    workflow = vro.workflow("Lasts", inputs={"stepswitchAttempt": "string"})
    vro.honours_ids = False
    for attempt in ("0-1", "0-2"):
        parameter = {"name": "stepswitchAttempt", "type": "string", "value": given("string", f"execution-1-{attempt}")}
        workflow.runs[attempt] = FakeRun(attempt, {"stepswitchAttempt": parameter})
    await step_with().clean_up(asks("Lasts"), context_for(vro, attempt="0-2"))
    assert [each.state for each in vro.runs] == ["running", "canceled"]


@pytest.mark.parametrize("called", ["stepswitch", "Stepswitch@vsphere.local", "VSPHERE\\stepswitch"])
async def test_cleaning_up_does_not_say_that_it_is_done_while_nobody_knows(vro: FakeVro, called: str) -> None:
    vro.called = called
    workflow = vro.workflow("Lasts")
    workflow.runs["strange"] = FakeRun("strange", {})
    with pytest.raises(TargetError, match="strange"):
        await step_with().clean_up(asks("Lasts"), context_for(vro))
    workflow.runs["strange"].state = "completed"
    await step_with().clean_up(asks("Lasts"), context_for(vro))


async def test_cleaning_up_waits_for_no_run_of_somebody_else(vro: FakeVro) -> None:
    vro.called = "somebody"
    vro.workflow("Lasts").runs["strange"] = FakeRun("strange", {})
    await step_with().clean_up(asks("Lasts"), context_for(vro))
    assert vro.runs[0].cancels == 0


async def test_a_run_that_lasts_is_found_behind_any_number_of_others(vro: FakeVro) -> None:
    workflow = vro.workflow("Lasts", inputs={"stepswitchAttempt": "string"})
    marked = {"stepswitchAttempt": {"name": "stepswitchAttempt", "value": given("string", "execution-1-0-1")}}
    workflow.runs["mine"] = FakeRun("mine", marked)
    for number in range(300):
        workflow.runs[f"later-{number}"] = FakeRun(f"later-{number}", {}, state="completed")
    await step_with().clean_up(asks("Lasts"), context_for(vro))
    assert workflow.runs["mine"].state == "canceled"
    assert len(vro.asked) < 20


@pytest.mark.parametrize("known", [True, False])
async def test_cleaning_up_where_the_workflow_or_the_vim_is_gone(vro: FakeVro, known: bool) -> None:
    if known:
        await step_with().clean_up(asks("Deleted"), context_for(vro))
    else:
        with pytest.raises(TargetError, match="inventory"):
            await step_with().clean_up(asks("Deleted"), context_with(Inventory()))
