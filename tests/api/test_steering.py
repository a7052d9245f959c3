"""Risk: an operator's act counts for another state than the one he saw, is lost, or is told wrongly. Over the real service, both roots."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from stepswitch.plugin import Result
from stepswitch.worker.step_runner import CLAIM_AFTER_SECONDS
from tests.api.steered import Desk, open_desk, refused, said, shown, story
from tests.domain.documents import document
from tests.domain.lives import steps

LOOP = document(steps={"a": {"type": "ACT", "nextStepId": "a"}})


@pytest.fixture
async def desk(tmp_path: Path, root: str) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path, root) as desk:
        yield desk


# --- breakpoints and pauses ---


async def test_resume_runs_the_step_of_the_breakpoint_and_a_later_visit_stops_again(desk: Desk) -> None:
    execution = await desk.queue(source=LOOP, debugStepIds=["a"])
    for visit in range(2):
        body = await desk.until(execution, "PAUSED")
        assert len(body["stepExecutions"]) == visit + 1
        assert body["stepExecutions"][-1]["state"] == "waitingBeforeExecution"
        assert body["waitingFor"][0]["kind"] == "person"
        body = shown(await desk.ask(execution, "resume", reason="prüfe – ok"))
        assert said(body, "resumed by admin while PAUSED at step a (")
        assert said(body, "waitingBeforeExecution): prüfe – ok")
        await desk.does()
    assert desk.act.count == 2


async def test_a_breakpoint_behind_at_and_ahead_of_the_current_step(desk: Desk) -> None:
    execution = await desk.queue("a", "b", "c")
    await desk.does()
    call = await desk.act.next()
    body = shown(await desk.patch(execution, debugStepIds=["a", "b"]))
    assert story(body)[-1] == ("b", "executing", None)
    body = shown(await desk.patch(execution, debugStepIds=["a", "b", "c"]))
    assert said(body, "debugStepIds changed from a, b to a, b, c by admin")
    call.end()
    assert story(await desk.until(execution, "PAUSED"))[-1] == ("c", "waitingBeforeExecution", None)
    assert body["debugStepIds"] == ["a", "b", "c"]


async def test_a_pause_asked_for_while_queued_holds_the_first_step(tmp_path: Path) -> None:
    async with open_desk(tmp_path, start=False) as desk:
        execution = await desk.queue("a")
        body = shown(await desk.ask(execution, "pause", reason="wait for the night"))
        assert (body["status"], story(body)) == ("PAUSED", [("a", "waitingBeforeExecution", None)])
        assert said(body, "pause asked for by admin while QUEUED at step a (0, executable): wait for the night")
        again = shown(await desk.ask(execution, "pause"))
        assert again["logs"] == body["logs"]
        assert shown(await desk.ask(execution, "resume"))["status"] == "QUEUED"


async def test_a_pause_while_a_step_runs_waits_before_the_next(desk: Desk) -> None:
    execution = await desk.queue("a", "b")
    call = await desk.act.next()
    assert shown(await desk.ask(execution, "pause"))["status"] == "RUNNING"
    call.end()
    assert story(await desk.until(execution, "PAUSED"))[-1] == ("b", "waitingBeforeExecution", None)


# --- abort ---


async def test_an_abort_while_paused_skips_what_waits_and_a_second_one_is_no_error(desk: Desk) -> None:
    execution = await desk.queue("a", debugStepIds=["a"])
    body = shown(await desk.ask(execution, "abort", reason="wrong site"))
    assert (body["status"], body["aborted"], story(body)) == ("ABORTED", True, [("a", "finished", "SKIPPED")])
    assert body["stepExecutions"][0]["aborted"]
    assert said(body, "aborted by admin while PAUSED at step a (0, waitingBeforeExecution): wrong site")
    assert shown(await desk.ask(execution, "abort")) == body
    assert desk.act.count == 0


async def test_an_abort_in_flight_cancels_the_step_and_leaves_unknown(desk: Desk) -> None:
    execution = await desk.queue("a", "b")
    call = await desk.act.next()
    body = shown(await desk.ask(execution, "abort"))
    assert (body["status"], story(body)) == ("ABORTED", [("a", "finished", "UNKNOWN")])
    assert "endTime" in body
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(call.ended, 10)
    assert desk.act.count == 1


@pytest.mark.parametrize("result", [Result.SUCCEEDED, Result.FAILED])
async def test_what_has_ended_by_itself_cannot_be_aborted(desk: Desk, result: Result) -> None:
    execution = await desk.queue("a")
    await desk.does(result)
    body = await desk.until(execution, "COMPLETED" if result is Result.SUCCEEDED else "FAILED")
    assert refused(await desk.ask(execution, "abort")) == ["STATE_CONFLICT"]
    assert await desk.read(execution) == body


# --- retry, and what reopens ---


async def test_a_retry_reopens_what_failed_and_keeps_what_is_finished(desk: Desk) -> None:
    execution = await desk.queue("a", "b")
    await desk.does()
    await desk.does(Result.FAILED)
    failed = await desk.until(execution, "FAILED")
    body = shown(await desk.ask(execution, "retry"))
    assert "endTime" not in body
    assert body["stepExecutions"][:2] == failed["stepExecutions"][:2]
    await desk.does()
    body = await desk.until(execution, "COMPLETED")
    assert [(step, result) for step, _, result in story(body)] == [("a", "SUCCEEDED"), ("b", "FAILED"), ("b", "SUCCEEDED")]


@pytest.mark.parametrize(("target", "rest"), [("b", ["b", "c"]), ("a", ["a", "b", "c"])], ids=["the failed", "an earlier"])
async def test_fail_edit_and_resume_at_the_failed_an_earlier_and_an_unknown_step(desk: Desk, target: str, rest: list[str]) -> None:
    execution = await desk.queue("a", "b", "c")
    await desk.does()
    await desk.does(Result.FAILED)
    await desk.until(execution, "FAILED")
    assert refused(await desk.ask(execution, "resume")) == ["STATE_CONFLICT"]
    assert refused(await desk.patch(execution, startStepId="nowhere")) == ["UNKNOWN_STEP"]
    edited = {"b": {"type": "ACT", "nextStepId": "c", "description": "now with care"}}
    body = shown(await desk.patch(execution, startStepId=target, steps=edited))
    assert body["status"] == "FAILED"
    assert said(body, "steps changed: step b, description: from none to now with care by admin")
    body = shown(await desk.ask(execution, "resume"))
    assert "endTime" not in body
    assert story(body)[:2] == [("a", "finished", "SUCCEEDED"), ("b", "finished", "FAILED")]
    for _ in rest:
        await desk.does()
    body = await desk.until(execution, "COMPLETED")
    assert [step for step, _, _ in story(body)[2:]] == rest
    described = [step["stepSnapshot"].get("description") for step in body["stepExecutions"] if step["stepSnapshot"]["id"] == "b"]
    assert described == [None, "now with care"]
    assert body["workflow"]["startStepId"] == "a"


async def test_pause_at_failure_is_accepted_by_resume_and_repeated_by_retry(desk: Desk) -> None:
    execution = await desk.failed("a", "b", pauseAtFailure=True)
    shown(await desk.ask(execution, "retry"))
    await desk.does(Result.FAILED)
    await desk.until(execution, "PAUSED")
    shown(await desk.ask(execution, "resume"))
    await desk.does()
    body = await desk.until(execution, "COMPLETED")
    assert [(step, state) for step, state, _ in story(body)] == [("a", "retry"), ("a", "finished"), ("b", "finished")]
    assert body["acceptedFailures"] == 1


@pytest.mark.parametrize("what", ["resume", "retry"])
async def test_what_runs_is_finished_or_aborted_cannot_be_resumed_or_retried(desk: Desk, what: str) -> None:
    execution = await desk.queue("a")
    call = await desk.act.next()
    assert refused(await desk.ask(execution, what)) == ["STATE_CONFLICT"]
    call.end()
    body = await desk.until(execution, "COMPLETED")
    assert refused(await desk.ask(execution, what)) == ["STATE_CONFLICT"]
    assert await desk.read(execution) == body
    other = await desk.queue("a", debugStepIds=["a"])
    shown(await desk.ask(other, "abort"))
    assert refused(await desk.ask(other, what)) == ["STATE_CONFLICT"]


# --- values ---


async def test_a_corrected_value_is_what_the_retry_takes(desk: Desk) -> None:
    inputs = {"host": {"type": "string", "required": True}, "pw": {"type": "password"}, "n": {"type": "number"}}
    bound = {"inBindings": {"host": {"type": "string", "exportName": "host"}}}
    source = document(inputs=inputs, outputs={"o": {"type": "string"}}, steps=steps("a", a=bound))
    execution = await desk.queue(source=source, assignments={"host": "old", "pw": "hunter22", "n": 1})
    await desk.does(Result.FAILED)
    await desk.until(execution, "FAILED")
    wrong = {"values": {"host": None, "n": "many", "o": "x", "nowhere": 1, "pw": "********"}}
    assert sorted(refused(await desk.ask(execution, "values", body=wrong))) == [
        "INVALID_VALUE", "MISSING_INPUT", "UNKNOWN_INPUT", "UNKNOWN_INPUT", "WRONG_TYPE",
    ]  # fmt: skip
    assert refused(await desk.ask(execution, "values", body={"value": {}})) == ["UNKNOWN_FIELD", "MISSING_FIELD"]
    right = {"values": {"host": "new", "pw": "hunter33", "n": None}}
    answer = await desk.ask(execution, "values", reason="typing slip", body=right)
    assert said(shown(answer), "value host changed from old to new by admin: typing slip")
    assert "hunter" not in answer.text
    shown(await desk.ask(execution, "retry"))
    call = await desk.act.next()
    assert call.inputs == {"host": "new"}
    assert refused(await desk.ask(execution, "values", body=right)) == ["STATE_CONFLICT"]
    call.end()


# --- two people at once ---


async def test_of_two_who_resume_at_once_one_is_told_that_the_run_has_moved_on(desk: Desk) -> None:
    execution = await desk.queue("a", "b", debugStepIds=["a", "b"])
    one, two = await asyncio.gather(desk.ask(execution, "resume"), desk.ask(execution, "resume"))
    refusal, answer = sorted((one, two), key=lambda each: -each.status_code)
    assert refused(refusal)[0] in {"MOVED_ON", "STATE_CONFLICT"}
    assert said(shown(answer), "resumed by admin")
    await desk.does()
    body = await desk.until(execution, "PAUSED")
    assert story(body)[-1][:2] == ("b", "waitingBeforeExecution")
    assert sum("resumed by" in line["msg"] for line in body["logs"]) == 1


async def test_of_a_retry_and_an_edit_at_once_nothing_is_applied_to_a_state_that_nobody_saw(desk: Desk) -> None:
    execution = await desk.failed("a", "b")
    retried, edited = await asyncio.gather(desk.ask(execution, "retry"), desk.patch(execution, steps={"a": {"type": "NOOP"}}))
    assert sorted((retried.status_code, edited.status_code)) == [200, 400]
    assert refused(edited if edited.status_code == 400 else retried)[0] in {"MOVED_ON", "STATE_CONFLICT"}
    if retried.status_code == 200:
        (await desk.act.next()).end()
        assert (await desk.read(execution))["workflow"]["steps"]["a"]["type"] == "ACT"
        await desk.does()
    else:
        assert edited.json()["workflow"]["steps"]["a"]["type"] == "NOOP"


async def test_of_two_who_want_the_same_both_have_it(desk: Desk) -> None:
    execution = await desk.queue("a", "b", debugStepIds=["a"])
    answers = await asyncio.gather(*(desk.patch(execution, startStepId="b", debugStepIds=["b"]) for _ in range(2)))
    assert [shown(answer)["debugStepIds"] for answer in answers] == [["b"]] * 2
    answers = await asyncio.gather(*(desk.ask(execution, "abort") for _ in range(2)))
    assert [shown(answer)["status"] for answer in answers] == ["ABORTED"] * 2


# --- where nothing is ---


@pytest.mark.parametrize("what", ["abort", "resume", "retry", "pause", "values", "updateWorkflow"])
async def test_an_execution_that_is_unknown_or_anothers_is_404_without_a_body(desk: Desk, what: str) -> None:
    execution = await desk.queue("a", debugStepIds=["a"])
    body: Any = {"values": {}} if what == "values" else None
    for execution_id in ("nowhere", "%00", "x" * 300):
        answer = await desk.ask(execution_id, what, body=body)
        assert (answer.status_code, answer.content) == (404, b"")
    desk.client.headers.update(await desk.elsewhere())
    answer = await desk.ask(execution, what, body=body)
    assert (answer.status_code, answer.content, answer.headers["x-error-code"]) == (404, b"", "NOT_FOUND")


async def test_a_reason_that_is_no_short_text_is_refused_and_one_of_several_lines_stays_on_one(desk: Desk) -> None:
    execution = await desk.queue("a", debugStepIds=["a"])
    assert refused(await desk.ask(execution, "abort", reason="x" * 1_001)) == ["UNKNOWN_HEADER_VALUE"]
    latin = await desk.client.post(f"{desk.place(execution)}/abort", headers={b"x-stepswitch-reason": b"gr\xfc\xdfe \t \x85 x"})
    assert said(shown(latin), ": grüße x")


async def test_a_script_that_runs_is_found_refused_and_paused_as_what_it_is_shown(desk: Desk) -> None:
    execution = await desk.queue(source=document(steps=steps("a", "b", of="LOOK")))
    call = await desk.house.look.next()
    await desk.house.clock.advance(CLAIM_AFTER_SECONDS)
    body = await desk.until(execution, "RUNNING")
    assert story(body) == [("a", "executing", None)]
    for status, found in (("RUNNING", [execution]), ("QUEUED", [])):
        listed = await desk.client.get(f"{desk.root}/workflowExecution", params={"filter": f"(eq,status,{status})"})
        assert [each["id"] for each in listed.json()] == found
    answer = await desk.ask(execution, "resume")
    assert answer.status_code == 400
    assert "this one is RUNNING" in answer.json()["errors"][0]["message"]
    assert story(shown(await desk.ask(execution, "pause"))) == [("a", "executing", None)]
    call.end()
    body = await desk.until(execution, "PAUSED")
    assert story(body) == [("a", "finished", "SUCCEEDED"), ("b", "waitingBeforeExecution", None)]
