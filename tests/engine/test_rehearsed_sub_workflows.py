"""A rehearsal of a workflow that calls another one: what that comes to is given, as of every step that acts."""

from typing import Any

import pytest

from stepswitch.domain.errors import InvalidRequestError
from stepswitch.domain.execution import Status
from stepswitch.domain.rules import Rules
from stepswitch.domain.step_types import collect
from stepswitch.engine.divergences import DivergenceKind
from stepswitch.steps.sub_workflow import SIGNATURE
from tests.domain.documents import TYPES, JsonObject
from tests.engine.rehearsing import flow, rehearse, stage, told, way

RULES = Rules(collect((*{each.name: each for each in TYPES.by_name.values()}.values(), SIGNATURE)))
NOOP: JsonObject = {"type": "NOOP"}


def calling(**policy: Any) -> JsonObject:
    sub = {
        "type": "WORKFLOW",
        "inBindings": {"workflowName": {"type": "string", "defaultValue": "child"}},
        "outBindings": {"answer": {"name": "answer", "type": "string"}},
        "policy": policy,
        "nextStepId": "after",
    }
    return flow("sub", {"sub": sub, "after": NOOP, "repair": NOOP}, outputs={"answer": {"type": "string"}})


async def play(workflow: JsonObject, **rehearsal: Any) -> Any:
    return await rehearse(workflow, on=stage(rules=RULES), **rehearsal)


async def test_what_it_gives_is_taken() -> None:
    report = await play(
        calling(), results={"sub": [{"outputs": {"answer": "fine", "executionId": "x"}}]}, expected={"outputs": {"answer": "fine"}}
    )
    assert (report.is_as_expected, report.status, way(report)) == (True, Status.COMPLETED, ["sub", "after"])


async def test_a_result_that_is_missing_is_asked_for() -> None:
    report = await play(calling())
    assert [kind for kind, _, _ in told(report)] == [DivergenceKind.MISSING_RESULT]


async def test_a_doubt_takes_the_way_out_without_another_attempt() -> None:
    doubt = {"result": "FAILED", "error": {"code": "CHILD_IN_DOUBT", "message": "why"}}
    report = await play(calling(retry={"maxAttempts": 2}, onFailureStepId="repair"), results={"sub": [doubt]})
    assert way(report) == ["sub", "repair"]


async def test_its_time_limit_counts() -> None:
    report = await play(calling(timeoutSeconds=60, onFailureStepId="repair"), results={"sub": [{"seconds": 61}]})
    assert (way(report), report.seconds) == (["sub", "repair"], 60)


@pytest.mark.parametrize("result", [{"lost": True}, {"result": "UNKNOWN"}])
async def test_it_is_never_in_doubt_itself(result: JsonObject) -> None:
    with pytest.raises(InvalidRequestError, match="CHILD_IN_DOUBT"):
        await play(calling(), results={"sub": [result]})
