"""Risk: a probe lets a command be sent twice that was done, or leaves one undone that was not; or a stop while it looks loses the doubt.

A real service and a real OpenSSH server; the command leaves a marker, the probe looks for it, and the server counts both.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import httpx
import pytest

from stepswitch.engine.crash_points import CrashPoint
from tests.chaos.stage import Json, Stage, said, ssh_step

P = CrashPoint
DONE: Final = ("DONE", "SUCCEEDED")
WHILE_IT_LOOKS: Final = (
    P.LOSS_SAVED, P.TASK_BEGUN, P.CLAIM_SAVED, P.SEND_MARKED, P.ATTEMPT_ENDED, P.REPORT_UNSAVED, P.REPORT_SAVED,
)  # fmt: skip


class Doubtful:
    """A command of which a stop leaves a doubt: `does` is what it does besides leaving its marker."""

    def __init__(self, stage: Stage, does: str = "true") -> None:
        self.stage = stage
        self.marker = stage.server.work / f"marker{len(list(stage.server.work.iterdir()))}"
        self.command = f"echo done >> {self.marker}; {does}"
        self.look = f"cat {self.marker} 2>/dev/null || echo nothing"

    def policy(self, **more: Any) -> Json:
        probe = {
            "inBindings": {"cmd": {"type": "string", "defaultValue": self.look}},
            "done": [{"name": "outputText", "comparator": "contains", "value": "done"}],
            "notDone": [{"name": "outputText", "comparator": "match", "value": "nothing\\s*"}],
            **more,
        }
        return {"policy": {"probe": probe}}

    def workflow(self, **more: Any) -> Json:
        steps = {
            "begin": {"type": "NOOP", "nextStepId": "act"},
            "act": ssh_step(self.stage.server, self.command, "end", **self.policy(**more)),
            "end": {"type": "NOOP"},
        }
        return {"name": "doubtful", "version": "1", "schemaVersion": "3.0", "startStepId": "begin", "steps": steps}

    def queue(self, **more: Any) -> str:
        """Return an execution that is stored paused, and let it go once the service is armed."""
        workflow = self.stage.ok("PUT", "/workflow", self.workflow(**more))
        execution_id = self.stage.queue(str(workflow["id"]), debugStepIds=["begin"])
        self.stage.service.arm()
        with suppress(httpx.TransportError):
            self.stage.call("POST", f"/workflowExecution/{execution_id}/resume")
        return execution_id

    def completes(self, execution_id: str, commands: int, looks: Sequence[int]) -> Json:
        """Return the execution, completed, after so many of each were sent and the command was done once."""
        execution = self.stage.settled(execution_id)
        assert execution["status"] == "COMPLETED", execution["logs"]
        assert self.stage.told.count(self.command) == commands
        assert self.stage.told.count(self.look) in looks
        assert len(self.stage.told) == commands + self.stage.told.count(self.look)
        assert self.marker.read_text() == "done\n"
        return execution


@pytest.mark.parametrize("point", [P.ATTEMPT_ENDED, P.REPORT_UNSAVED])
def test_a_command_that_was_done_when_the_worker_died_is_found_done_and_not_sent_again(stage: Stage, point: CrashPoint) -> None:
    doubtful = Doubtful(stage)
    stage.service.start(point)
    execution_id = doubtful.queue()
    stage.service.await_death()
    assert stage.told == [doubtful.command]
    stage.service.start()
    execution = doubtful.completes(execution_id, commands=1, looks=[1])
    act = execution["stepExecutions"][1]
    assert (act["probe"]["verdict"], act["result"], act["attempt"]) == (*DONE, 1)
    assert said(execution, "ended UNKNOWN: LOST: nobody can say whether the target acted") == 1
    assert said(execution, "the probe found that step act (1) was done") == 1


@pytest.mark.parametrize("point", [P.CLAIM_SAVED, P.SEND_MARKED])
def test_a_command_that_was_never_sent_is_found_not_done_and_sent_once(stage: Stage, point: CrashPoint) -> None:
    doubtful = Doubtful(stage)
    stage.service.start(point)
    execution_id = doubtful.queue()
    stage.service.await_death()
    assert stage.told == []
    stage.service.start()
    execution = doubtful.completes(execution_id, commands=1, looks=[1])
    assert [(step["attempt"], step["result"]) for step in execution["stepExecutions"][1:3]] == [(1, "FAILED"), (2, "SUCCEEDED")]
    assert execution["stepExecutions"][1]["probe"]["verdict"] == "NOT_DONE"


@pytest.mark.parametrize("point", WHILE_IT_LOOKS)
def test_a_stop_while_the_probe_looks_lets_it_look_again_and_nothing_else(stage: Stage, point: CrashPoint) -> None:
    doubtful = Doubtful(stage)
    stage.service.start(P.REPORT_UNSAVED)
    execution_id = doubtful.queue(maxAttempts=1)
    stage.service.await_death()
    stage.service.die_while_starting(point)
    stage.service.start()
    doubtful.completes(execution_id, commands=1, looks=[1, 2])


def test_a_command_whose_connection_was_cut_is_found_done(stage: Stage) -> None:
    gate = stage.gate()
    doubtful = Doubtful(stage, does=f"cat < {gate}")
    stage.service.start()
    execution_id = doubtful.queue()
    with suppress(BrokenPipeError), gate.open("w"):
        stage.server.cut_sessions()
        execution = doubtful.completes(execution_id, commands=1, looks=[1])
    act = execution["stepExecutions"][1]
    assert act["probe"]["verdict"] == "DONE"
    assert said(execution, "ended UNKNOWN: CONNECTION_CUT") == 1


def test_a_command_that_ran_out_of_time_is_found_done(stage: Stage) -> None:
    gate = stage.gate()
    doubtful = Doubtful(stage, does=f"cat < {gate}")
    stage.service.start()
    workflow = doubtful.workflow()
    workflow["steps"]["act"]["policy"]["timeoutSeconds"] = 1
    execution_id = stage.queue(str(stage.ok("PUT", "/workflow", workflow)["id"]))
    with suppress(BrokenPipeError), gate.open("w"):
        execution = doubtful.completes(execution_id, commands=1, looks=[1])
    assert said(execution, "ended UNKNOWN: TIMEOUT") == 1


def test_a_target_that_cannot_be_asked_leaves_the_doubt_to_a_person(stage: Stage) -> None:
    doubtful = Doubtful(stage)
    stage.service.start(P.REPORT_UNSAVED)
    execution_id = doubtful.queue(maxAttempts=2)
    stage.service.await_death()
    stage.server.go_down()
    try:
        stage.service.start()
        execution = stage.settled(execution_id)
    finally:
        stage.server.come_up()
    act = execution["stepExecutions"][-1]
    assert (execution["status"], act["result"], act["error"]["code"]) == ("PAUSED", "UNKNOWN", "LOST")
    assert (act["probe"]["attempt"], act["probe"]["verdict"], act["probe"]["error"]["code"]) == (2, "UNKNOWN", "CONNECTION_REFUSED")
    assert stage.told == [doubtful.command]
