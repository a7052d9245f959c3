"""Risk: a stop of the service between an execution and its answer makes whoever asks again start it twice."""

import pytest

from stepswitch.engine.crash_points import CrashPoint
from tests.chaos.stage import TOLD, Stage, completes

P = CrashPoint
KEY = {"Idempotency-Key": "the one and only"}


@pytest.mark.parametrize("point", [P.CREATE_UNSAVED, P.COMMIT_ASKED, P.CREATE_SAVED, P.COMMIT_DONE, P.ANSWER_DUE, P.ANSWER_GIVEN])
def test_a_request_that_is_sent_again_after_a_crash_makes_one_execution(point: CrashPoint, stage: Stage) -> None:
    stage.service.start(point)
    body = stage.request(stage.store(*TOLD))
    stage.fatal(lambda: stage.call("PUT", "/workflowExecution", body, headers=KEY))
    stage.service.start()
    before = stage.executions()
    answers = [stage.call("PUT", "/workflowExecution", body, headers=KEY) for _ in range(2)]
    assert [each.status_code for each in answers] == [200, 200], answers[0].text
    assert [each.json()["id"] for each in answers] == [stage.only_execution()] * 2
    assert [each.headers.get("x-stepswitch-repeated") for each in answers] == ["true" if before else None, "true"]
    assert before == ([] if point in (P.CREATE_UNSAVED, P.COMMIT_ASKED) else stage.executions())
    completes(stage, stage.only_execution())
