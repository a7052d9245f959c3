"""Risk: whoever is refused because too much is waiting is not told so, or not when to come back."""

import json
from pathlib import Path

import pytest

from stepswitch.cli.execution import waits
from stepswitch.client import Execution
from stepswitch.client.pacing import Pacing
from stepswitch.domain.execution import COUNTED_PLACES
from tests.cli.calling import Caller
from tests.cli.distant import distant_office

QUEUED = {
    "id": "e1",
    "status": "QUEUED",
    "contextType": "NONE",
    "workflow": {"id": "w1", "name": "n"},
    "creationTime": "2027-01-15T08:00:00.000Z",
    "creationUser": "me",
    "aborted": False,
}


def test_a_start_is_refused_in_a_sentence_with_the_seconds(stepswitch: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pacing, "delay", lambda *_: 0.0)
    with distant_office(tmp_path / "data", max_queued_executions=1) as desk:
        monkeypatch.setenv("STEPSWITCH_URL", desk.url)
        monkeypatch.setenv("STEPSWITCH_TOKEN", desk.token)
        queued = desk.queue("a")
        refused = stepswitch("execution", "start", desk.read(queued).workflow_id)
        listed = json.loads(stepswitch("execution", "list", "--json").out)
    assert refused.exit == 5
    assert refused.err.splitlines() == [
        "as many executions wait or run as may (1); nothing was stored: try again later [OVERLOADED]",
        "Try again in 5 s.",
    ]
    assert [each["id"] for each in listed] == [queued]


@pytest.mark.parametrize(
    ("position", "said"),
    [(1, "place 1 in the queue"), (COUNTED_PLACES, "place 10000 in the queue"), (COUNTED_PLACES + 1, "behind place 10000 in the queue")],
)
def test_a_place_is_said_as_far_as_it_is_known(position: int, said: str) -> None:
    assert waits(Execution.read({**QUEUED, "queuePosition": position})) == said
