"""What people are shown: never a secret, never a run that stands still without saying why."""

import base64
from pathlib import Path

from stepswitch.bootstrap import open_service
from stepswitch.config.settings import Settings
from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.events import Abort, Pause, SetValues
from stepswitch.domain.execution import ContextType, Outcome, Result, Status, StepError
from stepswitch.domain.states import StepState
from stepswitch.engine.executions import ExecutionRequest
from stepswitch.engine.views import ExecutionView
from stepswitch.storage.executions import SqlExecutionStore
from stepswitch.worker.step_runner import CLAIM_AFTER_SECONDS
from tests.domain.documents import document
from tests.domain.lives import steps
from tests.engine.scripted import ANN, open_house

SECRET = "s3cr3t-of-the-router"
IN_THE_DOCUMENT = "left-in-the-document"
PASSWORDS = document(
    inputs={"pw": {"type": "password", "required": True}},
    variables={"token": {"type": "password"}},
    outputs={"result": {"type": "string"}, "key": {"type": "password"}},
    steps=steps(
        "a",
        "b",
        a={
            "inBindings": {
                "password": {"type": "password", "exportName": "pw"},
                "text": {"type": "string", "defaultValue": "login {{pw}} now"},
                "other": {"type": "password", "defaultValue": IN_THE_DOCUMENT},
            },
            "outBindings": {
                "token": {"name": "token", "type": "password"},
                "result": {"name": "text", "type": "string"},
                "key": {"name": "token", "type": "password"},
            },
        },
        b={"outBindings": {"token": {"name": "token", "type": "password"}, "key": {"name": "token", "type": "password"}}},
    ),
)


def shown(view: ExecutionView) -> str:
    """Return all that a view shows, but for the document: that is masked where it is written."""
    return repr((view.head, [step for step, _ in view.steps], view.logs, view.outputs))


async def test_no_secret_is_shown_by_type_or_by_value(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        fresh = await house.create(PASSWORDS, assignments={"pw": SECRET})
        assert SECRET not in shown(fresh)
        call = await house.act.next()
        assert call.inputs["text"] == f"login {SECRET} now"
        encoded = base64.b64encode(SECRET.encode()).decode()
        await call.context.log(f"the target echoes {SECRET} and {encoded} and first-token")
        call.end(outputs={"token": "first-token", "text": f"{SECRET} {encoded} first-token {IN_THE_DOCUMENT}", "more": SECRET})
        call = await house.act.next()
        call.end(outputs={"token": "second-token"})
        view = await house.until(fresh.head.id, Status.COMPLETED)
        for secret in (SECRET, encoded, IN_THE_DOCUMENT, "first-token", "second-token"):
            assert secret not in shown(view)
        assert set(view.outputs) == {"result", "key"}
        assert view.outputs["key"] == "********"


async def test_a_secret_that_was_replaced_is_still_one(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        execution = await house.queue(PASSWORDS, assignments={"pw": SECRET}, pause_at_failure=True)
        call = await house.act.next()
        call.end(Result.FAILED, {"text": f"{SECRET} was refused", "token": "first-token", "more": "first-token"})
        await house.until(execution, Status.PAUSED)
        values = SetValues("v", "ann", None, values={"pw": "another-secret", "token": "another-token"})
        await house.service.conductor.apply(execution, values)
        view = await house.view(execution)
        for secret in (SECRET, "another-secret", "first-token", "another-token"):
            assert secret not in shown(view)


async def test_an_error_that_quotes_a_secret_does_not_show_it(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        execution = await house.queue(PASSWORDS, assignments={"pw": SECRET}, pause_at_failure=True)
        call = await house.act.next()
        quoting = StepError(ErrorCode.SCRIPT_FAILED, f"cannot use {SECRET} nor first-token")
        call.ended.set_result(Outcome(Result.FAILED, {"token": "first-token"}, quoting))
        view = await house.until(execution, Status.PAUSED)
        assert "cannot use" in shown(view)
        assert SECRET not in shown(view)
        assert "first-token" not in shown(view)


async def test_outputs_are_shown_as_they_become_known(tmp_path: Path) -> None:
    out = {"outBindings": {"x": {"name": "text", "type": "string"}}}
    source = document(outputs={"x": {"type": "string"}, "y": {"type": "string"}}, steps=steps("a", a=out))
    async with open_house(tmp_path) as house:
        fresh = await house.create(source)
        assert dict(fresh.outputs) == {}
        (await house.act.next()).end(outputs={"text": "hello"})
        view = await house.until(fresh.head.id, Status.COMPLETED)
        assert dict(view.outputs) == {"x": "hello"}
        assert view.waiting_for == ()


async def test_what_waits_for_a_place_says_so_with_its_position(tmp_path: Path) -> None:
    async with open_house(tmp_path, steps_at_once=1) as house:
        await house.queue(document(steps=steps("a")))
        await house.act.next()
        second, third = await house.queue(document(steps=steps("a"))), await house.queue(document(steps=steps("a")))
        for place, execution in ((1, second), (2, third)):
            view = await house.view(execution)
            assert [(each.kind, each.name) for each in view.waiting_for] == [("place", "worker")]
            assert view.queue_position == place


async def test_what_waits_for_its_device_says_which(tmp_path: Path) -> None:
    source = document(steps=steps("a", a={"inBindings": {"host": {"type": "string", "defaultValue": "10.0.0.1"}}}))
    async with open_house(tmp_path) as house:
        await house.queue(source)
        call = await house.act.next()
        second = await house.queue(source)
        assert [(each.kind, each.name) for each in (await house.view(second)).waiting_for] == [("device", "10.0.0.1")]
        call.end()
        (await house.act.next()).end()
        await house.until(second, Status.COMPLETED)


async def test_what_is_delayed_says_until_when(tmp_path: Path) -> None:
    source = document(steps=steps("a", a={"policy": {"delaySeconds": 60}}))
    for start in (True, False):
        async with open_house(tmp_path / str(start), start=start) as house:
            view = await house.view(await house.queue(source))
            assert [(each.kind, each.until) for each in view.waiting_for] == [("time", house.clock.now() + 60_000)]


async def test_what_waits_for_a_person_says_so(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        execution = await house.queue(document(steps=steps("a")), debug_step_ids=("a",))
        view = await house.view(execution)
        assert [(each.kind, each.name) for each in view.waiting_for] == [("person", "waitingBeforeExecution")]
        assert view.queue_position is None


async def test_what_runs_waits_for_nothing(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        execution = await house.queue(document(steps=steps("a")))
        await house.act.next()
        view = await house.view(execution)
        assert (view.head.status, view.waiting_for, view.queue_position) == (Status.RUNNING, (), None)
        await house.service.conductor.apply(execution, Pause("p", "ann", None))
        assert (await house.view(execution)).head.status is Status.RUNNING


async def test_what_nobody_holds_still_says_why_it_does_not_run(tmp_path: Path) -> None:
    """A wake-up may be lost: until the timekeeper repeats it, the execution waits for a place."""
    async with open_house(tmp_path, start=False) as house:
        execution = await house.queue(document(steps=steps("a")))
        await house.stop()
        await house.open(start=False)
        view = await house.view(execution)
        assert [(each.kind, each.name) for each in view.waiting_for] == [("place", "worker")]


async def test_a_script_that_is_left_in_the_store_waits_for_a_place_of_its_own_kind(tmp_path: Path) -> None:
    """As one does that is in memory: few scripts run at once, however many workers are free."""
    script = {"type": "JS", "inBindings": {"script": {"type": "string", "defaultValue": "return {}"}}}
    settings = Settings.model_validate({"data_dir": tmp_path, "admin_password": "long enough"})
    service = await open_service(settings)
    workflow = (await service.catalogue.create(ANN, document(steps={"a": script}))).workflow
    execution = (await service.executions.create(ANN, ExecutionRequest(workflow.id, ContextType.NONE))).head.id
    await service.stop(grace_seconds=0)
    service = await open_service(settings)
    view = await service.views.execution(ANN, execution)
    await service.stop(grace_seconds=0)
    assert [(each.kind, each.name) for each in view.waiting_for] == [("place", "JS")]


async def test_steps_are_shown_in_order_with_the_current_one_last(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        execution = await house.queue(document(steps=steps("a", "b", "c")))
        (await house.act.next()).end()
        await house.act.next()
        view = await house.view(execution)
        assert [(step.number, step.step_id) for step, _ in view.steps] == [(0, "a"), (1, "b")]


async def test_an_abort_ends_an_execution_at_once_and_its_cleanup_is_confirmed(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        execution = await house.queue(document(steps=steps("a")))
        await house.act.next()
        await house.service.conductor.apply(execution, Abort("x", "ann", None))
        assert (await house.view(execution)).head.status is Status.ABORTED
        view = await house.watch.until(house.service, execution, lambda view: not view.head.left_behind)
        ((step, _),) = view.steps
        assert (step.aborted, step.result) == (True, Result.UNKNOWN)


async def test_a_step_that_begins_without_a_claim_is_shown_as_it_is_stored(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        execution = await house.queue(document(steps=steps("a", of="LOOK")))
        call = await house.look.next()
        view = await house.view(execution)
        assert (view.head.status, view.steps[0][0].state) == (Status.QUEUED, StepState.EXECUTABLE)
        begun = house.clock.now()
        await house.clock.advance(CLAIM_AFTER_SECONDS)
        await house.until(execution, Status.RUNNING)
        view = await house.view(execution)
        ((step, _),) = view.steps
        assert (view.head.status, step.state, view.waiting_for) == (Status.RUNNING, StepState.EXECUTING, ())
        assert view.head.start_time == step.claimed_time == begun
        call.end()
        view = await house.until(execution, Status.COMPLETED)
        ((step, _),) = view.steps
        assert step.state is StepState.FINISHED


async def test_a_secret_is_shown_neither_as_the_name_of_an_output_nor_as_a_number(tmp_path: Path) -> None:
    digits = "83947261"
    pins = document(inputs={"pin": {"type": "password", "required": True}}, steps=steps("a"))
    async with open_house(tmp_path) as house:
        fresh = await house.create(pins, assignments={"pin": digits})
        (await house.act.next()).end(outputs={digits: 1, f"{digits}!": 2, "number": int(digits), "other": 7})
        view = await house.until(fresh.head.id, Status.COMPLETED)
        assert digits not in shown(view)
        outputs = view.steps[0][0].outputs
        assert len(outputs) == 4
        assert outputs["other"] == 7


async def test_what_is_bound_as_a_password_is_a_secret_whatever_the_variable_is_declared(tmp_path: Path) -> None:
    bound = document(
        variables={"made": {"type": "string"}},
        steps=steps("a", a={"outBindings": {"made": {"name": "made", "type": "password"}}}),
    )
    async with open_house(tmp_path) as house:
        execution = await house.queue(bound)
        (await house.act.next()).end(outputs={"made": "made-by-the-device"})
        view = await house.until(execution, Status.COMPLETED)
        assert "made-by-the-device" not in shown(view)


async def test_no_output_is_lost_where_two_names_are_shown_alike(tmp_path: Path) -> None:
    pins = document(inputs={"host": {"type": "password", "required": True}}, steps=steps("a"))
    async with open_house(tmp_path) as house:
        fresh = await house.create(pins, assignments={"host": "host"})
        (await house.act.next()).end(outputs={"my host": 1, "my ********": 2, "my ******** (2)": 3})
        view = await house.until(fresh.head.id, Status.COMPLETED)
        assert sorted(map(str, view.steps[0][0].outputs.values())) == ["1", "2", "3"]
        assert set(view.head.assignments) == {"host"}


async def test_a_secret_of_digits_is_known_again_without_its_zeros(tmp_path: Path) -> None:
    pins = document(inputs={"pin": {"type": "password", "required": True}}, steps=steps("a"))
    async with open_house(tmp_path) as house:
        fresh = await house.create(pins, assignments={"pin": "0083947261"})
        (await house.act.next()).end(outputs={"number": 83947261, "other": 7})
        view = await house.until(fresh.head.id, Status.COMPLETED)
        assert dict(view.steps[0][0].outputs) == {"number": "********", "other": 7}


async def test_what_a_step_takes_as_a_password_is_a_secret_from_the_start(tmp_path: Path) -> None:
    bound = document(
        inputs={"pw": {"type": "string"}},
        steps=steps("a", "b", b={"inBindings": {"password": {"type": "password", "exportName": "pw"}}}),
    )
    async with open_house(tmp_path) as house:
        execution = await house.queue(bound, assignments={"pw": SECRET}, pause_at_failure=True)
        call = await house.act.next()
        await call.context.log(f"got {SECRET}")
        call.end(Result.FAILED)
        await house.until(execution, Status.PAUSED)
        await house.service.conductor.apply(execution, SetValues("v", "ann", None, values={"pw": "another-secret"}))
        stored, _ = await SqlExecutionStore(house.service._database).logs(execution)
        assert not [entry for entry in stored if SECRET in entry.message or "another-secret" in entry.message]
