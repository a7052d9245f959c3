"""Risk: a step that kills whoever carries it out is run again and again, and takes the service down for everybody, for ever."""

from stepswitch.domain.flow import MAX_LOSSES
from stepswitch.engine.crash_points import CrashPoint
from tests.chaos.stage import Stage, queued, said


def test_a_step_that_keeps_killing_its_worker_is_left_alone_after_three_times(stage: Stage) -> None:
    stage.service.start(CrashPoint.ATTEMPT_ENDED)
    execution_id = queued(stage, "echo deadly", policy={"safeToRerun": True})
    stage.service.await_death()
    for _ in range(MAX_LOSSES - 1):
        stage.service.die_while_starting(CrashPoint.ATTEMPT_ENDED)
    stage.service.arm()
    stage.service.start(CrashPoint.ATTEMPT_ENDED)
    execution = stage.settled(execution_id)
    attempts = [step for step in execution["stepExecutions"] if step["stepSnapshot"]["id"] == "step0"]
    assert execution["status"] == "PAUSED"
    assert [(step["attempt"], step["result"], step["error"]["code"]) for step in attempts] == [
        (attempt, "UNKNOWN", "LOST") for attempt in range(1, MAX_LOSSES + 1)
    ]
    assert said(execution, "lost: the service stopped") == MAX_LOSSES
    assert stage.told == ["echo deadly"] * MAX_LOSSES
