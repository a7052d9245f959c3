"""Risk: a rehearsal over HTTP stores or sends something, lets a secret be guessed, or does not do what its description says."""

import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from stepswitch.api.operations import served
from stepswitch.api.wire import rehearsal_models
from stepswitch.api.wire.rehearsals import rehearsal_order
from stepswitch.engine.rehearsal_orders import rehearsal_faults
from tests.api.house import STRANGER_TOKEN, House, codes, messages
from tests.api.real import OWN, PLAIN, Real, real_service

REHEARSE: Final = f"{OWN}/rehearse"
EXAMPLE: Final[Any] = next(operation.example for _, operation, _ in served() if operation.id == "rehearseWorkflow")
SECRET: Final[dict[str, Any]] = {
    "name": "Compare",
    "version": "1",
    "schemaVersion": "3.0",
    "startStepId": "take",
    "inputs": {"guess": {"type": "string"}, "host": {"type": "string", "defaultValue": "192.0.2.1"}},
    "variables": {"pw": {"type": "password", "defaultValue": "stored-word"}, "text": {"type": "string"}, "equal": {"type": "boolean"}},
    "steps": {
        "take": {
            "type": "JS",
            "inBindings": {
                "script": {"type": "string", "defaultValue": "return { text: pw + '!', equal: pw === guess }"},
                "pw": {"type": "password", "exportName": "pw"},
                "guess": {"type": "string", "exportName": "guess"},
            },
            "outBindings": {"text": {"name": "text", "type": "string"}, "equal": {"name": "equal", "type": "boolean"}},
            "conditions": [{"name": "pw", "comparator": "match", "value": "stored-word", "nextStepId": "same"}],
        },
        "same": {"type": "NOOP"},
    },
}


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[Real]:
    async with real_service(tmp_path) as real:
        yield real


async def test_the_example_comes_out_as_it_says_and_nothing_is_stored(house: House) -> None:
    answer = await house.client.post(REHEARSE, json=EXAMPLE)
    assert answer.status_code == 200, answer.text
    body = rehearsal_models.RehearsalReports.model_validate(answer.json())
    assert [(report.name, report.as_expected, report.divergences) for report in body.rehearsals] == [
        (each["name"], True, []) for each in EXAMPLE["rehearsals"]
    ]
    assert body.as_expected
    assert [house.catalogue_store.workflows, house.store.heads, house.store.snapshots, house.dispatcher.tasks] == [{}, {}, {}, []]


async def test_another_way_is_no_error_and_every_field_is_described(house: House) -> None:
    rehearsal = {"name": "no", "results": {"ask": [{"result": "UNKNOWN", "error": {"code": "CONNECTION_CUT", "message": "cut"}}]}}
    body = {**EXAMPLE, "rehearsals": [{**rehearsal, "expected": {"way": ["ask", "lock"], "status": "COMPLETED"}}]}
    answer = await house.client.post(REHEARSE, json=body)
    assert answer.status_code == 200
    (report,) = rehearsal_models.RehearsalReports.model_validate(answer.json()).rehearsals
    assert not answer.json()["asExpected"]
    assert [(each.kind, each.path) for each in report.divergences] == [
        ("way", "rehearsals[0].expected.way[1]"),
        ("status", "rehearsals[0].expected.status"),
    ]
    assert answer.json()["rehearsals"][0]["way"] == [
        {"stepId": "ask", "attempt": 1, "result": "UNKNOWN", "error": "CONNECTION_CUT", "message": "cut"}
    ]
    assert [line.step_execution for line in report.log] == [0]


async def test_scripts_run_and_every_fault_is_listed_with_its_path(house: House) -> None:
    script = {"script": {"type": "string", "defaultValue": "console.log('here'); return { text: 'x'.repeat(3) }"}}
    step = {"type": "JS", "inBindings": script, "outBindings": {"text": {"name": "text", "type": "string"}}}
    workflow = {
        "name": "n",
        "version": "1",
        "schemaVersion": "3.0",
        "startStepId": "a",
        "steps": {"a": step},
        "outputs": {"text": {"type": "string"}},
    }
    answer = await house.client.post(
        REHEARSE, json={"workflow": workflow, "rehearsals": [{"name": "run", "expected": {"outputs": {"text": "xxx"}}}]}
    )
    assert answer.json()["asExpected"], answer.text
    assert answer.json()["rehearsals"][0]["log"][0]["msg"] == "here"
    faulty = {"workflow": {**workflow, "startStepId": "b"}, "rehearsals": [{"nmae": "x"}]}
    refused = await house.client.post(REHEARSE, json=faulty)
    assert (refused.status_code, codes(refused)) == (400, ["UNKNOWN_FIELD", "MISSING_FIELD", "UNKNOWN_STEP"])
    assert [message.partition(":")[0] for message in messages(refused)] == [
        "rehearsals[0].nmae",
        "rehearsals[0].name",
        "workflow.startStepId",
    ]


async def test_a_workflow_of_the_catalogue_is_rehearsed_as_it_is_shown_to_its_readers(house: House) -> None:
    """Whoever may read a workflow sees no password in it; playing it must not be a way to find one out by guessing."""
    workflow_id = await house.put_workflow(SECRET)
    asked = [("wrong-word", "right"), ("stored-word", "guess")]
    rehearsals = [
        {"name": name, "assignments": {"guess": guess}, "expected": {"values": {"pw": guess, "text": f"{guess}!", "equal": True}}}
        for guess, name in asked
    ]
    answer = await house.client.post(REHEARSE, json={"workflowId": workflow_id, "rehearsals": rehearsals})
    wrong, right = answer.json()["rehearsals"]
    assert [each["path"].partition("expected.")[2] for each in right["divergences"]] == ["values.pw", "values.text", "values.equal"]
    alike = [
        json.dumps({**report, "name": ""}).replace(guess, "word").replace("rehearsals[1]", "rehearsals[0]")
        for report, (guess, _) in zip((wrong, right), asked, strict=True)
    ]
    assert alike[0] == alike[1]
    assert [taken["stepId"] for taken in right["way"]] == ["take"]


async def test_who_may_not_see_a_workflow_cannot_rehearse_it(house: House) -> None:
    workflow_id = await house.put_workflow({**SECRET, "steps": {"take": {"type": "NOOP"}}})
    body = {"workflowId": workflow_id, "rehearsals": [{"name": "a"}]}
    assert (await house.client.post(REHEARSE, json=body)).status_code == 200
    stranger = await house.client.post(REHEARSE, json=body, headers={"x-hm-authorization": STRANGER_TOKEN})
    unknown = await house.client.post(REHEARSE, json={**body, "workflowId": "none"})
    nobody = await house.client.post(REHEARSE, json=body, headers={"x-hm-authorization": ""})
    assert [answer.status_code for answer in (stranger, unknown, nobody)] == [404, 404, 401]


async def test_a_large_document_is_read_and_checked_aside(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: dict[str, int] = {}

    def noting(name: str, work: Any) -> Any:
        def noted(*arguments: Any) -> Any:
            threads[name] = threading.get_ident()
            return work(*arguments)

        return noted

    monkeypatch.setattr("stepswitch.api.rehearsals.rehearsal_order", noting("read", rehearsal_order))
    monkeypatch.setattr("stepswitch.engine.rehearsals.rehearsal_faults", noting("checked", rehearsal_faults))
    answer = await house.client.post(REHEARSE, json={**EXAMPLE, "rehearsals": [{"name": "a", "attachments": {"f": "x" * 70_000}}]})
    assert answer.status_code == 200
    assert threading.get_ident() not in threads.values()
    assert (await house.client.post(REHEARSE, json=EXAMPLE)).status_code == 200
    assert set(threads.values()) == {threading.get_ident()}


async def test_a_script_in_a_file_is_run_from_the_catalogue_or_from_the_document(real: Real) -> None:
    document = {
        **SECRET,
        "startStepId": "run",
        "inputs": {"code": {"type": "file", "defaultValue": "code.js"}},
        "outputs": {"said": {"type": "string"}},
        "steps": {
            "run": {
                "type": "JS",
                "inBindings": {"script": {"type": "file", "exportName": "code"}},
                "outBindings": {"said": {"name": "said", "type": "string"}},
            }
        },
    }
    workflow_id = (await real.create(document))["id"]
    files = {"file": ("code.js", b"return { said: 'from the catalogue' }")}
    assert (await real.client.post(f"{PLAIN}/workflow/{workflow_id}/attachments", files=files)).status_code == 200
    own = {"name": "own", "attachments": {"code.js": "return { said: 'from the document' }"}}
    answer = await real.client.post(REHEARSE, json={"workflowId": workflow_id, "rehearsals": [{"name": "stored"}, own]})
    assert [report["outputs"] for report in answer.json()["rehearsals"]] == [{"said": "from the catalogue"}, {"said": "from the document"}]
    inline = (await real.client.get(f"{PLAIN}/workflow/{workflow_id}")).json()
    answer = await real.client.post(REHEARSE, json={"workflow": inline, "rehearsals": [{"name": "stored"}, own]})
    stored, given = answer.json()["rehearsals"]
    assert given["outputs"] == {"said": "from the document"}
    assert stored["way"][0]["error"] == "UNKNOWN_ATTACHMENT"
