"""Risk: a stop in the middle of a copy leaves half a file under its final name, a part of one for ever, or loses or doubles what was fetched."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stepswitch.engine.crash_points import CrashPoint
from tests.chaos.copying import SCRIPT, names_in, place_at, sending, step, workflow
from tests.chaos.stage import Json, Stage, waits_in_doubt
from tests.chaos.test_crash_points import sweep

P = CrashPoint


@pytest.fixture
def place(stage: Stage) -> Iterator[Path]:
    with place_at(stage) as path:
        yield path


def fetching(stage: Stage, place: Path) -> Json:
    """Return a workflow that fetches a script, and runs what it has fetched."""
    source = {"sourcePath": {"type": "string", "defaultValue": str(place / "script")}}
    fetch = step(stage, "TCA_SCP", source, nextStepId="run", outBindings={"got": {"name": "result", "type": "file"}})
    run = step(
        stage, "TCA_SSH", {"script": {"type": "file", "exportName": "got"}}, outBindings={"said": {"name": "outputText", "type": "string"}}
    )
    variables = {"got": {"type": "file"}}
    return workflow({"fetch": fetch, "run": run}, variables=variables, outputs={"said": {"type": "string"}})


def fetched(stage: Stage, execution_id: str) -> bytes:
    answer = stage.call("GET", f"/workflowExecution/{execution_id}/attachments?attachmentId=script")
    assert answer.status_code == 200
    return answer.content


def has_used_it(stage: Stage, execution_id: str) -> None:
    execution = stage.settled(execution_id)
    assert (execution["status"], execution["outputs"]) == ("COMPLETED", {"said": "told by what was fetched\n"})
    assert list(execution["attachments"]) == ["script"]
    assert fetched(stage, execution_id) == SCRIPT
    sweep(stage)
    assert [path.read_bytes() for path in stage.files] == [SCRIPT]


@pytest.mark.parametrize("point", [P.FILE_RENAMED, P.FILE_SAVED, P.REPORT_UNSAVED])
def test_what_was_fetched_and_not_reported_is_gone_and_fetched_again(stage: Stage, place: Path, point: CrashPoint) -> None:
    stage.service.start(point)
    workflow_id = str(stage.ok("PUT", "/workflow", fetching(stage, place))["id"])
    stage.fatal(lambda: stage.queue(workflow_id))
    stage.service.start()
    execution_id = stage.only_execution()
    assert not waits_in_doubt(stage, execution_id).get("attachments")
    sweep(stage)
    stage.until(lambda: not stage.files)
    stage.ok("POST", f"/workflowExecution/{execution_id}/retry")
    has_used_it(stage, execution_id)


def test_what_was_reported_is_there_and_goes_with_its_execution(stage: Stage, place: Path) -> None:
    stage.service.start(P.REPORT_SAVED)
    workflow_id = str(stage.ok("PUT", "/workflow", fetching(stage, place))["id"])
    stage.fatal(lambda: stage.queue(workflow_id))
    stage.service.start()
    execution_id = stage.only_execution()
    has_used_it(stage, execution_id)
    stage.ok("DELETE", f"/workflowExecution/{execution_id}")
    stage.until(lambda: not stage.files)


def test_a_stop_before_the_rename_leaves_the_old_file_and_the_next_start_removes_the_part(stage: Stage, place: Path) -> None:
    stage.service.start(P.SEND_MARKED)
    workflow_id = sending(stage, place)
    stage.fatal(lambda: stage.queue(workflow_id))
    assert (place / "script").read_bytes() == SCRIPT
    assert names_in(place) == [".part", "script"]
    stage.service.start()
    execution_id = stage.only_execution()
    waits_in_doubt(stage, execution_id)
    stage.until(lambda: names_in(place) == ["script"])
    assert (place / "script").read_bytes() == SCRIPT
    stage.until(lambda: not stage.ok("GET", f"/workflowExecution/{execution_id}")["stepExecutions"][-1].get("cleanupPending"))
    stage.ok("POST", f"/workflowExecution/{execution_id}/retry")
    assert stage.settled(execution_id)["status"] == "COMPLETED"
    assert names_in(place) == ["script"]
    assert (place / "script").read_bytes() == b"new"
