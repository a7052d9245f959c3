"""A sub-workflow in the whole service: it is begun once, its end is heard once, and what people do to one reaches the other."""

import asyncio
import copy
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from stepswitch.domain.errors import ErrorCode, InvalidRequestError, StateConflictError
from stepswitch.domain.execution import ENDED, ContextType, Head, Outcome, Result, Status
from stepswitch.domain.states import StepState
from stepswitch.engine.callers import Caller, administrator
from stepswitch.engine.executions import ExecutionRequest
from stepswitch.engine.privileges import Privilege, grant
from stepswitch.engine.selection import Order, Selection
from stepswitch.engine.steering import ChangeOrder
from stepswitch.engine.timekeeper import Rhythm
from stepswitch.engine.views import ExecutionView
from tests.domain.documents import JsonObject, document
from tests.domain.lives import steps
from tests.engine.scripted import ANN, House, open_house

PASSWORD = "a-secret-of-the-parent"


def text(value: str) -> JsonObject:
    return {"type": "string", "defaultValue": value}


def calls(name: str = "child", *after: str, policy: JsonObject | None = None, **inputs: JsonObject) -> JsonObject:
    """Return a workflow whose only step calls another one, before others that act."""
    ids = ("sub", *after)
    sub = {"type": "WORKFLOW", "inBindings": {"workflowName": text(name), **inputs}, "policy": policy or {}}
    return document(name="parent", startStepId="sub", steps=steps(*ids, sub=sub))


def called(*ids: str, name: str = "child", **more: Any) -> JsonObject:
    """Return a workflow of steps that act; `more` are fields of it, and of its steps."""
    ids = ids or ("a",)
    own = {step_id: more.pop(step_id) for step_id in ids if step_id in more}
    return document(name=name, startStepId=ids[0], steps=steps(*ids, **own), **more)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as house:
        yield house


async def store(house: House, source: JsonObject) -> str:
    return (await house.service.catalogue.create(ANN, source)).workflow.id


async def both(house: House, source: JsonObject | None = None, of: JsonObject | None = None, **more: Any) -> tuple[str, str]:
    """Return an execution that waits, and the one that it waits for."""
    await store(house, of or called())
    parent = await house.queue(source or calls(), **more)
    return parent, await child_of(house, parent)


async def child_of(house: House, parent: str, number: int = 0) -> str:
    view = await house.watch.until(house.service, parent, lambda view: waits(view, number))
    child = view.steps[-1][0].child
    assert child is not None
    return child.execution_id


def waits(view: ExecutionView, number: int = 0) -> bool:
    step = view.steps[-1][0]
    return step.number == number and step.state is StepState.EXECUTING and step.child is not None


async def head(house: House, execution_id: str) -> Head:
    found = await house.service.conductor.head(execution_id)
    assert found is not None
    return found


async def pass_seconds(house: House, seconds: int) -> None:
    """Let time pass second by second, each once the timekeeper has looked at the one before."""
    for _ in range(seconds):
        await house.clock.until_sleeping_for(Rhythm().look_seconds)
        await house.clock.advance(1)


def goes_deaf(house: House) -> Callable[[], None]:
    """Let nothing be begun or told any more, until what is returned is called."""
    family = house.service._sub_workflows
    family._is_started = False

    def hears_again() -> None:
        family._is_started = True
        family._wanted.clear()

    return hears_again


def last(view: ExecutionView) -> Any:
    return view.steps[-1][0]


async def test_a_step_ends_as_its_execution_does_and_both_name_each_other(house: House) -> None:
    parent, child = await both(house)
    link = (await head(house, child)).parent
    assert link is not None
    assert (link.execution_id, link.number, link.depth) == (parent, 0, 1)
    assert [(each.kind, each.name) for each in (await house.view(parent)).waiting_for] == [("execution", child)]
    (await house.act.next()).end()
    view = await house.until(parent, Status.COMPLETED)
    assert (last(view).result, last(view).outputs) == (Result.SUCCEEDED, {"executionId": child, "status": "COMPLETED"})


async def test_what_is_given_goes_down_and_what_comes_out_comes_up(house: House) -> None:
    child = called(
        inputs={"host": {"type": "string", "required": True}, "count": {"type": "number", "defaultValue": 1}},
        outputs={"answer": {"type": "string"}, "silent": {"type": "string"}},
    )
    child["steps"]["a"] |= {
        "inBindings": {"host": {"type": "string", "exportName": "host"}, "deed": text("{{count}}")},
        "outBindings": {"answer": {"name": "said", "type": "string"}},
    }
    source = calls(host=text("router"), count={"type": "number", "defaultValue": 7})
    source["outputs"] = {"heard": {"type": "string"}, "which": {"type": "string"}}
    source["steps"]["sub"]["outBindings"] = {
        "heard": {"name": "answer", "type": "string"},
        "which": {"name": "executionId", "type": "string"},
    }
    parent, execution = await both(house, source, child)
    call = await house.act.next()
    assert call.inputs == {"host": "router", "deed": "7"}
    call.end(outputs={"said": "hello"})
    view = await house.until(parent, Status.COMPLETED)
    assert view.outputs == {"heard": "hello", "which": execution}
    assert last(view).outputs == {"answer": "hello", "executionId": execution, "status": "COMPLETED"}


async def test_every_fault_of_what_is_given_is_said_and_nothing_is_begun(house: House) -> None:
    await store(house, called(inputs={"host": {"type": "string", "required": True}, "count": {"type": "number"}}))
    parent = await house.queue(calls(count=text("many"), hots=text("router")))
    view = await house.until(parent, Status.FAILED)
    error = last(view).error
    assert error.code is ErrorCode.WRONG_TYPE
    for part in ("inBindings.count", "inBindings.hots: the workflow has no such input", "inBindings.host: the input 'host' is required"):
        assert part in error.message
    assert (last(view).result, last(view).child) == (Result.FAILED, None)
    assert await executions(house) == [parent]


async def executions(house: House) -> list[str]:
    selection = Selection(Order("creationTime"))
    return list((await house.service.lists.executions(ANN, selection)).items)


async def test_a_workflow_that_is_not_there_is_a_failed_step(house: House) -> None:
    parent = await house.queue(calls("nobody"))
    error = last(await house.until(parent, Status.FAILED)).error
    assert (error.code, error.message) == (
        ErrorCode.NOT_FOUND,
        "nothing was begun in the name of ann, who created this execution: no workflow is called 'nobody'",
    )


async def test_a_name_that_two_workflows_have_says_which_input_to_give(house: House) -> None:
    await store(house, called())
    await store(house, called())
    parent = await house.queue(calls())
    error = last(await house.until(parent, Status.FAILED)).error
    assert error.code is ErrorCode.AMBIGUOUS_NAME
    assert "give workflowId" in error.message


async def test_the_id_stands_before_the_name(house: House) -> None:
    wanted = await store(house, called())
    await store(house, called())
    parent = await house.queue(calls("anything", workflowId=text(wanted)))
    child = await child_of(house, parent)
    assert (await head(house, child)).workflow_id == wanted


# --- whose it is ---


async def test_who_may_no_longer_execute_it_begins_nothing(house: House) -> None:
    house.office.named["ann"] = Caller(
        "ann", "default", (grant([Privilege.WORKFLOW_READ]), grant([Privilege.WORKFLOW_EXECUTE], ["parent"]))
    )
    await house.service.catalogue.create(administrator("bob"), called())
    parent = await house.queue(calls())
    error = last(await house.until(parent, Status.FAILED)).error
    assert error.code is ErrorCode.NOT_PERMITTED
    assert "in the name of ann" in error.message


async def test_who_may_not_see_it_is_told_that_there_is_none(house: House) -> None:
    house.office.named["ann"] = Caller("ann", "default", (grant([Privilege.WORKFLOW_EXECUTE], ["parent"]),))
    await house.service.catalogue.create(administrator("bob"), called())
    parent = await house.queue(calls())
    assert last(await house.until(parent, Status.FAILED)).error.code is ErrorCode.NOT_FOUND


async def test_who_is_gone_begins_nothing(house: House) -> None:
    house.office.named["ann"] = None
    await store(house, called())
    parent = await house.queue(calls())
    assert "is gone or disabled" in last(await house.until(parent, Status.FAILED)).error.message


# --- what people do ---


async def test_an_abort_stops_the_execution_that_it_waits_for_and_those_below(house: House) -> None:
    await store(house, calls("grandchild") | {"name": "child"})
    await store(house, called(name="grandchild"))
    parent = await house.queue(calls())
    child = await child_of(house, parent)
    grandchild = await child_of(house, child)
    call = await house.act.next()
    view = await house.service.steering.abort(ANN, parent)
    assert (view.head.status, last(view).result, last(view).aborted) == (Status.ABORTED, Result.FAILED, True)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(call.ended, 10)
    for each in (child, grandchild):
        assert (await house.until(each, Status.ABORTED)).head.status is Status.ABORTED
    view = await house.watch.until(house.service, parent, lambda view: not view.head.left_behind)
    assert [entry.message for entry in view.logs if entry.step == 0][-1] == f"the execution {child} has ended"


async def test_a_pause_is_handed_down_and_a_resume_takes_it_back(house: House) -> None:
    parent, child = await both(house, calls("child", "after"), called("a", "b"))
    first = await house.act.next()
    await house.service.steering.pause(ANN, parent)
    await house.watch.until(house.service, child, lambda view: view.head.pause_requested)
    first.end()
    held = await house.until(child, Status.PAUSED)
    assert held.head.pause_code is ErrorCode.PARENT_PAUSED
    view = await house.watch.until(house.service, parent, lambda view: len(view.waiting_for) == 2)
    assert (view.head.status, view.waiting_for[1].kind) == (Status.RUNNING, "person")
    assert view.waiting_for[1].name == f"PARENT_PAUSED in the execution {child}"
    await house.service.steering.resume(ANN, parent)
    (await house.act.next()).end()
    await house.until(child, Status.COMPLETED)
    (await house.act.next()).end()
    await house.until(parent, Status.COMPLETED)


async def test_a_pause_that_comes_while_the_other_one_ends_holds_the_step_that_follows(house: House) -> None:
    parent, child = await both(house, calls("child", "after"))
    call = await house.act.next()
    await house.service.steering.pause(ANN, parent)
    call.end()
    view = await house.until(parent, Status.PAUSED)
    assert (last(view).step_id, last(view).state) == ("after", StepState.WAITING_BEFORE)
    assert (await head(house, child)).status is Status.COMPLETED


async def test_a_resume_of_the_parent_never_accepts_what_failed_in_the_other_one(house: House) -> None:
    parent, child = await both(house, pause_at_failure=True)
    (await house.act.next()).end(Result.FAILED)
    await house.until(child, Status.PAUSED)
    await house.service.steering.pause(ANN, parent)
    await house.watch.until(house.service, child, lambda view: view.head.parent is not None and view.head.parent.holds)
    await house.service.steering.resume(ANN, parent)
    view = await house.watch.until(house.service, child, lambda view: view.head.parent is not None and not view.head.parent.holds)
    assert (view.head.status, view.head.accepted_failures) == (Status.PAUSED, 0)


async def test_what_waits_for_repair_is_said_at_the_top_and_a_repair_lets_all_go_on(house: House) -> None:
    await store(house, calls("grandchild") | {"name": "child"})
    await store(house, called(name="grandchild"))
    parent = await house.queue(calls(), pause_at_failure=True)
    grandchild = await child_of(house, await child_of(house, parent))
    (await house.act.next()).end(Result.FAILED)
    view = await house.watch.until(house.service, parent, lambda view: len(view.waiting_for) == 2)
    assert view.waiting_for[1].name == f"waitingAfterExecution in the execution {grandchild}"
    await house.service.steering.retry(ANN, grandchild)
    (await house.act.next()).end()
    await house.until(parent, Status.COMPLETED)


async def test_nobody_deletes_what_belongs_to_an_execution_that_is_still_stopped(house: House) -> None:
    parent, child = await both(house)
    await house.act.next()
    with pytest.raises(StateConflictError):
        await house.service.steering.delete(ANN, child)
    await house.service.steering.abort(ANN, parent)
    await house.watch.until(house.service, parent, lambda view: not view.head.left_behind)
    await house.service.steering.delete(ANN, parent)
    assert (await head(house, child)).parent is not None


# --- how it can end ---


async def test_a_failure_says_where_and_takes_the_way_out(house: House) -> None:
    source = calls("child", "after", policy={"onFailureStepId": "after"})
    parent, child = await both(house, source, pause_at_failure=True)
    (await house.act.next()).end(Result.FAILED)
    (await house.act.next()).end()
    view = await house.until(parent, Status.COMPLETED)
    step: Any = view.steps[0][0]
    assert (step.result, step.error.code, step.outputs["status"]) == (Result.FAILED, ErrorCode.CHILD_FAILED, "FAILED")
    assert step.error.message == f"the execution {child} of the workflow child ended FAILED at its step a (0)"


async def test_a_retry_begins_another_execution(house: House) -> None:
    parent, child = await both(house, calls(policy={"retry": {"maxAttempts": 2}}))
    (await house.act.next()).end(Result.FAILED)
    second = await child_of(house, parent, 1)
    assert second != child
    (await house.act.next()).end()
    view = await house.until(parent, Status.COMPLETED)
    assert [(step.attempt, step.result) for step, _ in view.steps] == [(1, Result.FAILED), (2, Result.SUCCEEDED)]


@pytest.mark.parametrize("is_safe", [False, True])
async def test_a_doubt_is_not_repeated_unasked_because_it_is_one_level_down(house: House, *, is_safe: bool) -> None:
    policy = {"retry": {"maxAttempts": 2}, **({"safeToRerun": True} if is_safe else {})}
    await store(house, calls("grandchild") | {"name": "child"})
    await store(house, called(name="grandchild"))
    parent = await house.queue(calls(policy=policy))
    (await house.act.next()).end(Result.UNKNOWN)
    if is_safe:
        (await house.act.next()).end()
        await house.until(parent, Status.COMPLETED)
        return
    view = await house.until(parent, Status.FAILED)
    assert (last(view).result, last(view).error.code, last(view).attempt) == (Result.FAILED, ErrorCode.CHILD_IN_DOUBT, 1)
    assert house.act.count == 1


async def test_a_time_limit_stops_it_and_the_step_ends_when_it_has(house: House) -> None:
    parent, child = await both(house, calls(policy={"timeoutSeconds": 10}))
    await house.act.next()
    await pass_seconds(house, 12)
    view = await house.until(parent, Status.FAILED)
    assert (await head(house, child)).status is Status.ABORTED
    assert (last(view).result, last(view).error.code) == (Result.FAILED, ErrorCode.CHILD_IN_DOUBT)
    assert last(view).error.message.startswith("its time was over, so it was stopped: ")


async def test_a_time_limit_of_what_had_not_acted_yet_is_no_doubt(house: House) -> None:
    parent, _ = await both(house, calls(policy={"timeoutSeconds": 10}), called("a", a={"policy": {"delaySeconds": 60}}))
    await pass_seconds(house, 12)
    assert last(await house.until(parent, Status.FAILED)).error.code is ErrorCode.TIMEOUT


async def test_a_clock_that_is_set_forward_ends_nobodys_time(house: House) -> None:
    parent, _ = await both(house, calls(policy={"timeoutSeconds": 10}))
    call = await house.act.next()
    house.clock.jump(3_600)
    await pass_seconds(house, 3)
    call.end()
    await house.until(parent, Status.COMPLETED)


async def test_workflows_that_call_each_other_for_ever_come_to_an_end(house: House) -> None:
    await store(house, calls("child") | {"name": "child"})
    parent = await house.queue(calls())
    view = await house.until(parent, Status.FAILED)
    assert last(view).error.code is ErrorCode.CHILD_FAILED
    deepest = [each for each in await executions(house) if (await head(house, each)).parent is not None]
    assert len(deepest) == house.service.rules.limits.sub_workflow_depth
    errors = [(await head(house, each)).current.error.code for each in deepest]  # type: ignore[union-attr]
    assert errors.count(ErrorCode.NESTED_TOO_DEEP) == 1


async def test_it_takes_no_place_while_it_waits(tmp_path: Path) -> None:
    async with open_house(tmp_path, steps_at_once=1, max_queued_executions=1) as house:
        await store(house, calls("grandchild") | {"name": "child"})
        await store(house, called(name="grandchild"))
        parent = await house.queue(calls())
        (await house.act.next()).end()
        await house.until(parent, Status.COMPLETED)


async def test_a_step_that_would_end_well_after_its_execution_was_deleted_says_that_nobody_knows(house: House) -> None:
    parent, child = await both(house, calls(policy={"retry": {"maxAttempts": 2}}))
    call = await house.act.next()
    goes_deaf(house)
    call.end()
    await house.until(child, Status.COMPLETED)
    await house.service.steering.delete(ANN, child)
    await house.stop()
    await house.open()
    view = await house.until(parent, Status.FAILED)
    assert (last(view).error.code, last(view).attempt) == (ErrorCode.CHILD_GONE, 1)


# --- stops ---


async def test_a_parent_that_was_not_told_of_an_end_hears_of_it_at_the_next_start(house: House) -> None:
    parent, child = await both(house)
    call = await house.act.next()
    goes_deaf(house)
    call.end()
    await house.until(child, Status.COMPLETED)
    assert waits(await house.view(parent))
    await house.stop()
    await house.open()
    await house.until(parent, Status.COMPLETED)
    assert house.act.count == 1


async def test_an_end_that_got_lost_is_found_without_a_start(house: House) -> None:
    parent, child = await both(house)
    call = await house.act.next()
    hears_again = goes_deaf(house)
    call.end()
    await house.until(child, Status.COMPLETED)
    hears_again()
    await pass_seconds(house, 2)
    await house.until(parent, Status.COMPLETED)


async def test_an_abort_that_was_not_handed_down_is_at_the_next_start(house: House) -> None:
    parent, child = await both(house, of=called("a", a={"policy": {"delaySeconds": 600}}))
    goes_deaf(house)
    await house.service.steering.abort(ANN, parent)
    assert (await head(house, child)).status not in ENDED
    await house.stop()
    await house.open()
    await house.until(child, Status.ABORTED)
    await house.watch.until(house.service, parent, lambda view: not view.head.left_behind)


async def test_a_step_whose_turn_had_come_before_a_stop_begins_one_execution(house: House) -> None:
    await store(house, called())
    goes_deaf(house)
    parent = await house.queue(calls())
    await house.stop()
    await house.open()
    await child_of(house, parent)
    (await house.act.next()).end()
    await house.until(parent, Status.COMPLETED)
    assert len(await executions(house)) == 2


# --- secrets and files ---


def handing_down(declared: str) -> tuple[JsonObject, JsonObject]:
    """Return a workflow that hands a password down, and one that takes it as a value of a type."""
    source = calls(login={"type": "password", "exportName": "secret"})
    source["inputs"] = {"secret": {"type": "password"}}
    child = called(inputs={"login": {"type": declared}})
    child["steps"]["a"]["inBindings"] = {"deed": {"type": "string", "exportName": "login"}}
    return source, child


async def test_a_password_goes_down_as_a_password(house: House) -> None:
    source, of = handing_down("password")
    parent, child = await both(house, source, of, assignments={"secret": PASSWORD})
    call = await house.act.next()
    assert call.inputs["deed"] == PASSWORD
    call.end(outputs={"said": f"it is {PASSWORD}"})
    await house.until(parent, Status.COMPLETED)
    for each in (parent, child):
        assert PASSWORD not in str(await house.view(each))


async def test_a_password_never_goes_down_as_a_text(house: House) -> None:
    source, of = handing_down("string")
    await store(house, of)
    parent = await house.queue(source, assignments={"secret": PASSWORD})
    error = last(await house.until(parent, Status.FAILED)).error
    assert error.code is ErrorCode.SECRET_EXPOSED
    assert "inBindings.login" in error.message
    assert await executions(house) == [parent]


async def test_a_text_that_holds_a_password_is_found_out_by_its_value(house: House) -> None:
    source, of = handing_down("string")
    source["steps"]["sub"]["inBindings"]["login"] = text("user:{{secret}}")
    await store(house, of)
    parent = await house.queue(source, assignments={"secret": PASSWORD})
    assert last(await house.until(parent, Status.FAILED)).error.code is ErrorCode.SECRET_EXPOSED


@pytest.mark.parametrize(("taken_as", "is_taken"), [("password", True), ("string", False), (None, True)])
async def test_a_password_comes_up_as_a_password_or_not_at_all(house: House, taken_as: str | None, *, is_taken: bool) -> None:
    of = called(outputs={"token": {"type": "password"}, "line": {"type": "string"}})
    of["steps"]["a"]["outBindings"] = {"token": {"name": "token", "type": "password"}, "line": {"name": "line", "type": "string"}}
    source = calls()
    if taken_as is not None:
        source["variables"] = {"token": {"type": taken_as}}
        source["steps"]["sub"]["outBindings"] = {"token": {"name": "token", "type": taken_as}}
    parent, child = await both(house, source, of)
    (await house.act.next()).end(outputs={"token": PASSWORD, "line": f"got {PASSWORD}"})
    view = await house.until(parent, Status.COMPLETED if is_taken else Status.FAILED)
    assert PASSWORD not in str(view)
    assert PASSWORD not in str(await house.view(child))
    assert "line" not in last(view).outputs
    if not is_taken:
        assert last(view).error.code is ErrorCode.SECRET_EXPOSED


async def content() -> AsyncIterator[bytes]:
    yield b"hostname gnb"


async def test_a_file_goes_down_by_its_key(house: House) -> None:
    file = await house.service.files.put("default", "gnb.cfg", content())
    source = calls(config={"type": "file", "defaultValue": "gnb.cfg"})
    of = called(inputs={"config": {"type": "file", "required": True}})
    of["steps"]["a"]["inBindings"] = {"load": {"type": "file", "exportName": "config"}}
    parent, _ = await both(house, source, of, attachments={"gnb.cfg": file.id})
    call = await house.act.next()
    assert await call.context.attachment("gnb.cfg") == b"hostname gnb"
    call.end()
    await house.until(parent, Status.COMPLETED)


def replace_binding(source: JsonObject, name: str, binding: JsonObject | None) -> JsonObject:
    """Return a workflow whose step takes an input from elsewhere, or not at all."""
    source = copy.deepcopy(source)
    bindings = source["steps"]["sub"]["inBindings"]
    bindings.pop(name)
    if binding is not None:
        bindings[name] = binding
    return source


async def test_a_file_that_was_made_there_stays_when_the_other_execution_is_deleted(house: House) -> None:
    of = called(outputs={"report": {"type": "file"}})
    of["steps"]["a"]["outBindings"] = {"report": {"name": "report", "type": "file"}}
    source = calls()
    source["outputs"] = {"report": {"type": "file"}}
    source["steps"]["sub"]["outBindings"] = {"report": {"name": "report", "type": "file"}}
    parent, child = await both(house, source, of)
    call = await house.act.next()
    made = await call.context.attach("report.txt", content())
    call.ended.set_result(Outcome(Result.SUCCEEDED, {"report": "report.txt"}, files={"report.txt": made.id}))
    view = await house.until(parent, Status.COMPLETED)
    await house.service.steering.delete(ANN, child)
    assert view.outputs == {"report": "report.txt"}
    kept = await house.service.steering.attachment(ANN, parent, "report.txt")
    assert await house.service.files.read(kept) == b"hostname gnb"


async def test_a_stored_password_is_handed_only_to_a_workflow_that_the_document_fixes(house: House) -> None:
    """Whoever only executes must not choose who is given a password of the designer."""
    bob = administrator("bob")
    source, of = handing_down("password")
    wanted = (await house.service.catalogue.create(bob, of)).workflow.id
    source["inputs"] = {"which": {"type": "string"}}
    source["steps"]["sub"]["inBindings"] = {
        "login": {"type": "password", "defaultValue": PASSWORD},
        "workflowId": {"type": "string", "exportName": "which"},
    }
    free = (await house.service.catalogue.create(bob, source)).workflow.id
    fixed = replace_binding(source, "workflowId", text(wanted))
    bound = (await house.service.catalogue.create(bob, fixed)).workflow.id
    named = replace_binding(source, "workflowId", None)
    named["steps"]["sub"]["inBindings"]["workflowName"] = text("child")
    by_name = (await house.service.catalogue.create(bob, named)).workflow.id
    for workflow, expected in ((free, Status.FAILED), (by_name, Status.FAILED), (bound, Status.RUNNING)):
        view = await house.service.executions.create(
            ANN, ExecutionRequest(workflow, ContextType.NONE, assignments={"which": wanted} if workflow == free else {})
        )
        if expected is Status.FAILED:
            assert last(await house.until(view.head.id, expected)).error.code is ErrorCode.NOT_PERMITTED
        else:
            (await house.act.next()).end()
            await house.until(view.head.id, Status.COMPLETED)


async def test_a_lock_that_whoever_waits_has_is_not_waited_for_below(house: House) -> None:
    await store(house, called("a", a={"policy": {"lock": "core"}}))
    source = calls(policy={"lock": "core"})
    parent = await house.queue(source)
    view = await house.until(parent, Status.FAILED)
    child = last(view).child
    assert child is not None
    below = last(await house.view(child.execution_id))
    assert (below.result, below.error.code) == (Result.FAILED, ErrorCode.DEADLOCK)
    assert "an execution has it that waits for this one" in below.error.message


async def test_circles_of_locks_are_found_through_those_who_wait_for_another_execution(house: House) -> None:
    await store(house, called("a", a={"policy": {"lock": "ring"}}))
    other = document(
        name="other",
        startStepId="a",
        steps=steps("a", "b", a={"policy": {"lock": "ring"}}, b={"policy": {"lock": "core"}}),
    )
    one = await house.queue(other)
    call = await house.act.next()
    parent = await house.queue(calls(policy={"lock": "core"}))
    await child_of(house, parent)
    call.end()
    failed = await house.watch.until(house.service, one, lambda view: view.head.status in ENDED)
    assert (last(failed).error.code, last(failed).result) == (ErrorCode.DEADLOCK, Result.FAILED)
    (await house.act.next()).end()
    await house.until(parent, Status.COMPLETED)


async def test_whoever_fails_below_for_what_the_one_above_has_is_told_so(house: House) -> None:
    await store(house, called("z", "a", a={"policy": {"lock": "ring"}}))
    parent = await house.queue(calls(policy={"lock": "core"}))
    child = await child_of(house, parent)
    first = await house.act.next()
    other = document(
        name="other",
        startStepId="a",
        steps=steps("a", "b", a={"policy": {"lock": "ring"}}, b={"policy": {"lock": "core"}}),
    )
    one = await house.queue(other)
    (await house.act.next()).end()
    await house.watch.until(house.service, one, lambda view: view.head.awaited_lock is not None)
    first.end()
    failed = await house.watch.until(house.service, child, lambda view: view.head.status in ENDED)
    assert last(failed).error.code is ErrorCode.DEADLOCK
    assert "for an execution that waits for this one has a lock, and whoever has 'ring' waits for that" in last(failed).error.message
    assert one not in last(failed).error.message
    (await house.act.next()).end()
    await house.until(one, Status.COMPLETED)


async def test_what_the_inventory_names_is_asked_below_of_all_who_say_above_what_is_done(house: House) -> None:
    await store(house, called())
    middle = calls() | {"name": "middle"}
    await house.service.catalogue.create(administrator("mia"), middle)
    made = await house.service.catalogue.create(administrator("dora"), calls("middle"))
    request = ExecutionRequest(made.workflow.id, ContextType.NONE)
    view = await house.service.executions.create(ANN, request)
    between = await child_of(house, view.head.id)
    below = await head(house, await child_of(house, between))
    assert below.parent is not None
    assert below.parent.people == ("dora", "mia")
    (await house.act.next()).end()
    await house.until(view.head.id, Status.COMPLETED)


@pytest.mark.parametrize("place", ["declared", "bound", "assigned"])
async def test_a_password_that_is_handed_down_stays_that_of_whoever_gave_it(house: House, place: str) -> None:
    """Whoever executes a workflow must not send a password of the designer elsewhere by steering what it calls."""
    dora, port = administrator("dora"), {"type": "number", "defaultValue": 2}
    source, of = handing_down("password")
    of["steps"]["a"]["inBindings"] |= {"host": text("router")}
    wanted = (await house.service.catalogue.create(dora, of)).workflow.id
    source["steps"]["sub"]["inBindings"] |= {"workflowId": text(wanted)}
    source["steps"]["sub"]["inBindings"].pop("workflowName")
    if place == "declared":
        source["inputs"]["secret"]["defaultValue"] = PASSWORD
    elif place == "bound":
        source["steps"]["sub"]["inBindings"]["login"]["defaultValue"] = PASSWORD
    made = (await house.service.catalogue.create(dora, source)).workflow.id
    assignments = {"secret": PASSWORD} if place == "assigned" else {}
    view = await house.service.executions.create(ANN, ExecutionRequest(made, ContextType.NONE, assignments=assignments))
    child = await child_of(house, view.head.id)
    call = await house.act.next()
    assert call.inputs["deed"] == PASSWORD
    call.end(Result.FAILED)
    await house.watch.until(house.service, child, lambda view: view.head.status is Status.FAILED)
    order = ChangeOrder(steps={"a": {**of["steps"]["a"], "inBindings": {**of["steps"]["a"]["inBindings"], "port": port}}})
    if place != "assigned":
        assert (await head(house, child)).givers == {"login": "dora"}
        with pytest.raises(InvalidRequestError, match="correct the value of login first"):
            await house.service.steering.change(ANN, child, order)
        await house.service.steering.change(dora, child, order)
    else:
        assert (await head(house, child)).givers == {}
        await house.service.steering.change(ANN, child, order)
