"""Risk: what a step leaves at its target when it is lost, or its time is over, stays there, or is forgotten by whoever comes next."""

import psutil
import pytest

from stepswitch.engine.crash_points import CrashPoint
from tests.chaos.stage import Json, Stage, said

CLOSED = "its session at the target is closed"


def sessions(stage: Stage) -> int:
    """Return how many sessions the server has open."""
    return len(psutil.Process(stage.server.pid).children())


@pytest.mark.parametrize("is_safe", [False, True])
def test_what_a_killed_service_left_at_a_device_is_gone_and_the_next_start_says_so(stage: Stage, *, is_safe: bool) -> None:
    stage.service.start(CrashPoint.SIGN_SAVED)
    gate = stage.gate()
    policy = {"policy": {"safeToRerun": is_safe}}
    execution_id = stage.queue(stage.store(f"cat < {gate}", **policy))
    with gate.open("w"):
        assert sessions(stage) == 1
        stage.fatal(lambda: None)
        stage.service.start()
        execution = stage.until(lambda: is_confirmed(stage, execution_id))
        stage.until(lambda: sessions(stage) == int(is_safe))  # the one of the next attempt
    attempt = step0(execution)[0]
    assert (attempt["state"], attempt["error"]["code"]) == ("retry" if is_safe else "waitingAfterExecution", "LOST")
    stage.ok("POST", f"/workflowExecution/{execution_id}/abort")
    stage.until(lambda: stage.call("DELETE", f"/workflowExecution/{execution_id}").status_code == 204)


@pytest.mark.parametrize("point", [CrashPoint.LOSS_SAVED, CrashPoint.CLEANUP_UNSAVED, CrashPoint.CLEANUP_SAVED])
def test_a_second_stop_does_not_forget_what_the_first_one_left(stage: Stage, point: CrashPoint) -> None:
    stage.service.start(CrashPoint.SIGN_SAVED)
    gate = stage.gate()
    execution_id = stage.queue(stage.store(f"cat < {gate}"))
    with gate.open("w"):
        stage.fatal(lambda: None)
        stage.service.die_while_starting(point)
        stage.service.start()
        execution = stage.until(lambda: is_confirmed(stage, execution_id))
    assert said(execution, CLOSED) == 1


def test_a_step_whose_time_is_over_leaves_no_session(stage: Stage) -> None:
    stage.service.start()
    gate = stage.gate()
    execution_id = stage.queue(stage.store(f"cat < {gate}", policy={"timeoutSeconds": 2}))
    with gate.open("w"):
        execution = stage.settled(execution_id)
        stage.until(lambda: sessions(stage) == 0)
    attempt = step0(execution)[0]
    assert (attempt["result"], attempt["error"]["code"]) == ("UNKNOWN", "TIMEOUT")
    assert "cleanupPending" not in attempt


def is_confirmed(stage: Stage, execution_id: str) -> Json | None:
    """Return the execution when its first attempt is lost and nothing of it is left."""
    execution = stage.execution(execution_id)
    return execution if said(execution, CLOSED) and "cleanupPending" not in step0(execution)[0] else None


def step0(execution: Json) -> list[Json]:
    """Return the attempts at the step that is sent to the device."""
    return [each for each in execution["stepExecutions"] if each["stepSnapshot"]["id"] == "step0"]
