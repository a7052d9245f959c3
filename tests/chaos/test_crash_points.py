"""Risk: a stop at some moment loses what was accepted, does something twice, or leaves half of it.

At each crash point a real service kills itself, with a real OpenSSH server to act on; then it starts again, and its state, its log and
what the server was told have to be what docs/explanation/how-it-is-proven.md says. A crash point that has no scene here fails.
"""

import json
import re
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import httpx
import pytest

from stepswitch.engine.crash_points import CrashPoint
from tests.chaos.copying import names_in, place_at, sending
from tests.chaos.mortal import Mortal
from tests.chaos.stage import TOLD, Stage, completes, queued, said, waits_in_doubt, workflow

P = CrashPoint
Scene = Callable[[Stage, CrashPoint], None]
WITHOUT_DEVICE: Final = {"name": "n", "version": "1", "schemaVersion": "3.0", "startStepId": "a", "steps": {"a": {"type": "NOOP"}}}


@pytest.mark.parametrize("point", list(CrashPoint))
def test_what_a_stop_leaves_is_what_the_contract_says(point: CrashPoint, stage: Stage) -> None:
    SCENES[point](stage, point)


# --- an execution on its way ---


def accepts(stage: Stage, point: CrashPoint, *, is_there: bool) -> None:
    """Nobody is answered. Either nothing has happened, or the execution is there and goes its way to the end."""
    stage.service.start(point)
    workflow_id = stage.store(*TOLD)
    stage.fatal(lambda: stage.queue(workflow_id))
    stage.service.start()
    if is_there:
        completes(stage, stage.only_execution())
    else:
        assert stage.executions() == []
        assert stage.told == []


def answers(stage: Stage, point: CrashPoint) -> None:
    """What was stored is there, whether or not its answer has left."""
    stage.service.start(point, after=1)  # the answer about the workflow
    workflow_id = stage.store(*TOLD)
    stage.fatal(lambda: stage.queue(workflow_id, debugStepIds=["begin"]))
    stage.service.start()
    execution_id = stage.only_execution()
    assert stage.execution(execution_id)["status"] == "PAUSED"
    stage.ok("POST", f"/workflowExecution/{execution_id}/resume")
    completes(stage, execution_id)


def goes_on(stage: Stage, point: CrashPoint, *, commands: list[str] = TOLD) -> None:
    """What was accepted goes on where it stood, and the device is told everything once."""
    stage.service.start(point)
    execution_id = queued(stage, *commands)
    stage.service.await_death()
    stage.service.start()
    completes(stage, execution_id, commands)


def is_in_doubt(stage: Stage, point: CrashPoint, *, told: list[str]) -> None:
    """The step had been claimed: it is UNKNOWN, waits for somebody, and the device is told nothing more until they say so."""
    stage.service.start(point)
    execution_id = queued(stage, *TOLD)
    stage.service.await_death()
    assert stage.told == told
    stage.service.start()
    waits_in_doubt(stage, execution_id)
    assert stage.told == told
    stage.ok("POST", f"/workflowExecution/{execution_id}/resume")
    assert stage.settled(execution_id)["status"] == "COMPLETED"
    assert stage.told == [*told, "echo two"]


def calls(stage: Stage, point: CrashPoint) -> None:
    """An execution that a step waits for is begun once, and its end is heard once."""
    stage.service.start(point)
    called = stage.store(*TOLD)
    above = stage.queue(str(stage.ok("PUT", "/workflow", calling(called))["id"]), debugStepIds=["begin"])
    stage.fatal(lambda: stage.call("POST", f"/workflowExecution/{above}/resume"))
    stage.service.start()
    execution = stage.settled(above)
    assert execution["status"] == "COMPLETED", execution
    assert stage.told == TOLD
    assert len(stage.executions()) == 2
    assert (
        said(execution, "waits for the execution") == said(execution, "has ended COMPLETED") == said(execution, "ended COMPLETED") - 1 == 1
    )


def calling(workflow_id: str) -> dict[str, object]:
    """Return a workflow that calls another one."""
    sub = {"type": "WORKFLOW", "inBindings": {"workflowId": {"type": "string", "defaultValue": workflow_id}}, "nextStepId": "end"}
    steps = {"begin": {"type": "NOOP", "nextStepId": "sub"}, "sub": sub, "end": {"type": "NOOP"}}
    return {**WITHOUT_DEVICE, "startStepId": "begin", "steps": steps}


@pytest.mark.parametrize(
    ("point", "after"),
    [(P.STEERING_SAVED, 0), (P.STEERING_UNSAVED, 1), (P.STEERING_SAVED, 1), (P.CLEANUP_UNSAVED, 0), (P.CLEANUP_SAVED, 0)],
)
def test_an_abort_reaches_what_a_step_waits_for_wherever_a_stop_comes_in_between(point: CrashPoint, after: int, stage: Stage) -> None:
    stage.service.start(point, after=after)
    gate = stage.gate()
    called = stage.store(f"cat < {gate}", "echo never")
    above = stage.queue(str(stage.ok("PUT", "/workflow", calling(called))["id"]))
    with suppress(BrokenPipeError), gate.open("w"):
        stage.fatal(lambda: stage.call("POST", f"/workflowExecution/{above}/abort"))
        stage.service.start()
        (below,) = [each for each in stage.executions() if each != above]
        stage.until(lambda: stage.execution(below)["status"] == "ABORTED")
    execution = stage.until(lambda: said(stage.execution(above), f"the execution {below} has ended") and stage.execution(above))
    assert (execution["status"], execution["stepExecutions"][-1]["result"]) == ("ABORTED", "FAILED")
    assert stage.told == [f"cat < {gate}"]


# --- a command that is under way ---


def while_it_runs(stage: Stage, point: CrashPoint, act: Callable[[str, Path], object], *, after: int = 0) -> str:
    """Let a command run that waits at a gate, die of what `act` does then, and live again; return the execution."""
    stage.service.start(point, after=after)
    gate = stage.gate()
    execution_id = stage.queue(stage.store(f"cat < {gate}"))
    with suppress(BrokenPipeError), gate.open("w") as held:
        stage.fatal(lambda: act(execution_id, gate))
        stage.service.start()
        held.write("too late")
    assert stage.told == [f"cat < {gate}"]
    return execution_id


def logs_a_line(stage: Stage, point: CrashPoint, *, times: int) -> None:
    """A line of the step's log is there, once, or not at all; the step is in doubt."""

    def print_a_line(_: str, gate: Path) -> None:
        with gate.open("w") as more:
            more.write("said before the end\n")

    execution = waits_in_doubt(stage, while_it_runs(stage, point, print_a_line, after=1))  # the first line tells of the login
    assert said(execution, "said before the end") == times


def signs(stage: Stage, point: CrashPoint) -> None:
    """A sign of life more or less changes nothing: the step is in doubt."""
    waits_in_doubt(stage, while_it_runs(stage, point, lambda *_: None))


def aborts(stage: Stage, point: CrashPoint) -> None:
    """What was aborted stays aborted, and that its session is gone is noted once."""

    def abort(execution_id: str, _: Path) -> None:
        with suppress(httpx.TransportError):
            stage.call("POST", f"/workflowExecution/{execution_id}/abort")

    execution_id = while_it_runs(stage, point, abort)
    execution = stage.until(
        lambda: said(stage.execution(execution_id), "its session at the target is closed") and stage.execution(execution_id)
    )
    last = execution["stepExecutions"][-1]
    assert (execution["status"], last["result"], last["aborted"]) == ("ABORTED", "UNKNOWN", True)
    assert said(execution, "its session at the target is closed") == said(execution, "aborted by") == 1


def gives_back(stage: Stage, point: CrashPoint, *, is_given_back: bool) -> None:
    """The service is told to stop while its step waits for a device that says nothing: it runs at the next start, or is in doubt."""
    stage.service.start(point)
    with stage.server.standing_still():
        execution_id = stage.queue(stage.store(*TOLD))
        stage.until(lambda: stage.execution(execution_id)["stepExecutions"][-1]["state"] == "executing")
        stage.fatal(lambda: stop_at_once(stage))
    stage.service.start()
    if is_given_back:
        completes(stage, execution_id)
    else:
        waits_in_doubt(stage, execution_id)
        assert stage.told == []


def stop_at_once(stage: Stage) -> None:
    """Tell the service to stop, and again, so that it does not wait for what runs."""
    stage.service.signal(signal.SIGTERM)
    stage.service.wait_for_log("stopping")
    stage.service.signal(signal.SIGTERM)


def is_lost(stage: Stage, point: CrashPoint) -> None:
    """A second stop, while the next start finds out what the first one left, leaves the same doubt, noted once."""
    stage.service.start(P.ATTEMPT_BEGUN)
    execution_id = queued(stage, *TOLD)
    stage.service.await_death()
    stage.service.die_while_starting(point)
    stage.service.start()
    waits_in_doubt(stage, execution_id)
    assert stage.told == []


def removes(stage: Stage, point: CrashPoint) -> None:
    """A third start goes on where the second one stopped, before or after it had removed what the first one left at the target."""
    with place_at(stage) as place:
        stage.service.start(P.SEND_MARKED)
        workflow_id = sending(stage, place)
        stage.fatal(lambda: stage.queue(workflow_id))
        stage.service.die_while_starting(point)
        assert names_in(place) == ([".part", "script"] if point is P.REMOVAL_DUE else ["script"])
        stage.service.start()
        execution = waits_in_doubt(stage, stage.only_execution())
        assert names_in(place) == ["script"]
        assert said(execution, "nothing of it is left at the target") == 1


def is_given_a_lock(stage: Stage, point: CrashPoint) -> None:
    """Whoever had asked for the lock has it, and nobody else; who comes next has it after that."""
    stage.service.start(point)
    locked = {"policy": {"lock": "the only one"}}
    first = queued(stage, *TOLD, **locked)
    stage.service.await_death()
    assert stage.told == []
    stage.service.start()
    second = stage.queue(stage.store("echo three", **locked))
    for execution_id in (first, second):
        execution = stage.settled(execution_id)
        assert execution["status"] == "COMPLETED", execution
        assert said(execution, "has the lock 'the only one'") == 1
    assert stage.told == [*TOLD, "echo three"]


# --- what people change ---


def changes(stage: Stage, point: CrashPoint, *, is_done: bool) -> None:
    """An edit of two steps, with where to go on, is there as a whole or not at all."""
    stage.service.start(point)
    execution_id = stage.queue(stage.store(*TOLD), debugStepIds=["begin"])
    steps = {
        step_id: {**step, "inBindings": {**step["inBindings"], "cmd": {"type": "string", "defaultValue": f"echo edited {step_id}"}}}
        for step_id, step in workflow(stage.server, *TOLD)["steps"].items()
        if step["type"] != "NOOP"
    }
    change = {"steps": steps, "startStepId": "step1", "debugStepIds": []}
    stage.fatal(lambda: stage.call("PATCH", f"/workflowExecution/{execution_id}", change))
    stage.service.start()
    assert said(stage.execution(execution_id), "changed") == (4 if is_done else 0)
    stage.ok("POST", f"/workflowExecution/{execution_id}/resume")
    completes(stage, execution_id, ["echo edited step1"] if is_done else TOLD)


def deletes(stage: Stage, point: CrashPoint, *, is_done: bool) -> None:
    """An execution is there with all that it has, or gone with it."""
    stage.service.start(point)
    execution_id = run_with_a_file(stage)
    stage.fatal(lambda: stage.call("DELETE", f"/workflowExecution/{execution_id}"))
    stage.service.start()
    assert stage.call("GET", f"/workflowExecution/{execution_id}").status_code == (404 if is_done else 200)
    if is_done:
        assert stage.executions() == []
        sweep(stage)
        stage.until(lambda: not stage.files)
    else:
        assert stage.call("GET", f"/workflowExecution/{execution_id}/attachments?attachmentId=f").content == b"content"


def run_with_a_file(stage: Stage) -> str:
    """Return an execution that has ended, with a file of its own."""
    request = json.dumps(stage.request(str(stage.ok("PUT", "/workflow", WITHOUT_DEVICE)["id"])))
    parts = [("workflowExecution", (None, request, "application/json")), ("files", ("f", b"content"))]
    answer = stage.call("POST", "/workflowExecution", files=parts)
    assert answer.status_code == 200, answer.text
    execution_id = str(answer.json()["id"])
    assert stage.settled(execution_id)["status"] == "COMPLETED"
    assert len(stage.files) == 1
    return execution_id


def sweep(stage: Stage) -> None:
    """Let the service look for files that belong to nobody, as it does whenever a workflow is deleted."""
    stage.ok("DELETE", f"/workflow/{stage.ok('PUT', '/workflow', WITHOUT_DEVICE)['id']}")


def stores_a_workflow(stage: Stage, point: CrashPoint, *, is_there: bool) -> None:
    stage.service.start(point)
    stage.fatal(lambda: stage.store(*TOLD))
    stage.service.start()
    found = stage.call("GET", "/workflow?fields=name").json()
    assert len(found) == (1 if is_there else 0)


def uploads(stage: Stage, point: CrashPoint) -> None:
    """What nobody was told of leaves no workflow, and nothing on the disk."""
    stage.service.start(point)
    parts = [("workflow", (None, json.dumps(WITHOUT_DEVICE), "application/json")), ("files", ("f", b"content"))]
    stage.fatal(lambda: stage.call("POST", "/workflow", files=parts))
    assert len(stage.files) == 1
    stage.service.start()
    assert stage.call("GET", "/workflow?fields=name").json() == []
    sweep(stage)
    stage.until(lambda: not stage.files)


def first_account(stage: Stage, point: CrashPoint) -> None:
    """Somebody can log in after a first start that stopped at the worst moment: with the password that was told last."""
    service = Mortal(stage.data_dir.with_name("new"), admin_password=None)
    service.die_while_starting(point)
    told = [service.log]
    service.start()
    told.append(service.log)
    passwords = [re.findall(r"with the password (\S+)", text) for text in told]
    assert [len(each) for each in passwords] == ([1, 1] if point is P.ACCOUNT_UNSAVED else [1, 0])
    login = {"username": "admin", "password": [*passwords[0], *passwords[1]][-1]}
    assert service.client.post("/hybridity/api/sessions", json=login).status_code == 200
    service.end()


SCENES: Final[Mapping[CrashPoint, Scene]] = {
    P.CREATE_UNSAVED: partial(accepts, is_there=False),
    P.CREATE_SAVED: partial(accepts, is_there=True),
    P.COMMIT_ASKED: partial(accepts, is_there=False),
    P.COMMIT_DONE: partial(accepts, is_there=True),
    P.ANSWER_DUE: answers,
    P.ANSWER_GIVEN: answers,
    P.TASK_DUE: goes_on,
    P.TASK_SUBMITTED: goes_on,
    P.TASK_BEGUN: goes_on,
    P.TURN_UNSAVED: goes_on,
    P.TURN_SAVED: goes_on,
    P.CLAIM_UNSAVED: goes_on,
    P.CLAIM_SAVED: partial(is_in_doubt, told=[]),
    P.ATTEMPT_BEGUN: partial(is_in_doubt, told=[]),
    P.SEND_DUE: partial(is_in_doubt, told=[]),
    P.SEND_MARKED: partial(is_in_doubt, told=[]),
    P.ATTEMPT_ENDED: partial(is_in_doubt, told=["echo one"]),
    P.GIVEBACK_UNSAVED: partial(gives_back, is_given_back=False),
    P.GIVEBACK_SAVED: partial(gives_back, is_given_back=True),
    P.REPORT_UNSAVED: partial(is_in_doubt, told=["echo one"]),
    P.REPORT_SAVED: goes_on,
    P.ATTEMPT_REPORTED: partial(goes_on, commands=["echo one"]),
    P.LOG_UNSAVED: partial(logs_a_line, times=0),
    P.LOG_SAVED: partial(logs_a_line, times=1),
    P.SIGN_UNSAVED: signs,
    P.SIGN_SAVED: signs,
    P.CANCEL_DUE: aborts,
    P.CANCEL_GIVEN: aborts,
    P.CLEANUP_UNSAVED: aborts,
    P.CLEANUP_SAVED: aborts,
    P.REMOVAL_DUE: removes,
    P.REMOVAL_DONE: removes,
    P.LOSS_UNSAVED: is_lost,
    P.LOSS_SAVED: is_lost,
    P.LOCK_UNSAVED: is_given_a_lock,
    P.LOCK_SAVED: is_given_a_lock,
    P.CHILD_UNSAVED: calls,
    P.CHILD_SAVED: calls,
    P.HEARD_UNSAVED: calls,
    P.HEARD_SAVED: calls,
    P.STEERING_UNSAVED: partial(changes, is_done=False),
    P.STEERING_SAVED: partial(changes, is_done=True),
    P.DELETE_UNSAVED: partial(deletes, is_done=False),
    P.DELETE_SAVED: partial(deletes, is_done=True),
    P.FILE_FORGOTTEN: partial(deletes, is_done=True),
    P.WORKFLOW_UNSAVED: partial(stores_a_workflow, is_there=False),
    P.WORKFLOW_SAVED: partial(stores_a_workflow, is_there=True),
    P.FILE_WRITTEN: uploads,
    P.FILE_RENAMED: uploads,
    P.FILE_SAVED: uploads,
    P.ACCOUNT_UNSAVED: first_account,
    P.ACCOUNT_SAVED: first_account,
}
"""How each point is died at, and what has to hold afterwards."""
