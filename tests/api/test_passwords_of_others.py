"""Risk: a designer has a password sent to a host of his own, or told, that somebody else gave an execution, or that a script has handed on.

Whoever tries has a socket that takes down what it is sent.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import pytest

from tests.api.real import OWN, PLAIN, Real, real_service
from tests.api.test_credentials import host_of_somebody_else
from tests.api.test_redirected_passwords import STORED, TEXT, come_to_its_end, of_designer, start, taken

BACKWARDS: Final = STORED[::-1]
TOMS: Final = "toms own word"


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[Real]:
    async with real_service(tmp_path, host_keys="accept-new") as running:
        yield running


def asking() -> dict[str, Any]:
    """Return a workflow that is given its password by whoever executes it."""
    document = of_designer()
    document["inputs"] = {"given": {"type": "password", "required": True}}
    document["steps"]["reach"]["inBindings"]["password"] = taken("given")
    return document


async def begun_by_tom(real: Real) -> dict[str, Any]:
    """Return an execution that Tom began, and that waits before the step that uses his password."""
    workflow = (await real.create(asking()))["id"]
    tom = await real.add_user("tom", "Workflow Executor")
    answer = await start(real, tom, workflow, debugStepIds=["reach"], assignments={"given": TOMS})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_an_edit_takes_no_password_elsewhere_that_somebody_else_gave_the_execution(real: Real) -> None:
    execution = await begun_by_tom(real)
    eve = await real.add_user("eve", "Workflow Designer", "Operations")
    place = f"{PLAIN}/workflowExecution/{execution['id']}"
    reach = execution["workflow"]["steps"]["reach"]
    async with host_of_somebody_else() as (port, heard):
        moved = deepcopy(reach)
        moved["inBindings"]["port"] = {"type": "number", "defaultValue": port}
        telling = {
            "type": "JS", "inBindings": {"script": {"type": "string", "defaultValue": "return { told: given }"}, "given": taken("given")},
            "outBindings": {"told": {"name": "told", "type": "string"}},
        }  # fmt: skip
        asking_of_it = {"type": "NOOP", "conditions": [{"name": "given", "comparator": "match", "value": "^t.*", "nextStepId": "reach"}]}
        for steps in ({"reach": moved}, {"telling": telling}, {"asking": asking_of_it}):
            refused = await real.client.patch(place, json={"steps": steps}, headers=eve)
            assert refused.status_code == 400, refused.text
            assert [each["message"].rpartition("; ")[2] for each in refused.json()["errors"]] == [
                "correct the value of given first, with one that is yours"
            ]
        await come_to_its_end(real, await real.client.post(f"{place}/resume", headers=eve))
        assert not heard


async def test_whoever_gives_the_password_himself_edits_as_he_likes(real: Real) -> None:
    execution = await begun_by_tom(real)
    eve = await real.add_user("eve", "Workflow Designer", "Operations")
    place = f"{PLAIN}/workflowExecution/{execution['id']}"
    moved = execution["workflow"]["steps"]["reach"]
    moved["inBindings"]["port"] = {"type": "number", "defaultValue": 2}
    values = f"{OWN}/executions/{execution['id']}/values"
    assert (await real.client.post(values, json={"values": {"port": 2}}, headers=eve)).status_code == 403
    assert (await real.client.post(values, json={"values": {"given": "eves own word"}}, headers=eve)).status_code == 200
    tom = await real.login("tom", "a password")
    assert (await real.client.post(values, json={"values": {"port": 3}}, headers=tom)).status_code == 403  # it is Eve's now
    assert (await real.client.patch(place, json={"steps": {"reach": moved}}, headers=eve)).status_code == 200


async def paused(real: Real, eve: dict[str, str], place: str) -> None:
    """Return when an execution waits for somebody."""
    shown = await real.client.get(place, headers=eve)
    async with asyncio.timeout(30):
        while shown.json()["status"] != "PAUSED":
            since = {"Prefer": "wait=20", "If-None-Match": shown.headers["etag"]}
            shown = await real.client.get(place, headers={**eve, **since})


@pytest.mark.parametrize("kept_in", ["variable", "step"])
async def test_a_step_that_hands_a_password_on_does_not_go_before_what_takes_it_is_led_elsewhere(real: Real, kept_in: str) -> None:
    document = of_designer(first="use")
    document["variables"]["made"] = {"type": "password"}
    use = document["steps"]["use"]
    use["inBindings"]["script"]["defaultValue"] = "return { told: kept.split('').reverse().join('') }"
    if kept_in == "step":
        use["inBindings"]["kept"] = {"type": "password", "defaultValue": STORED}
    use |= {"nextStepId": "reach", "outBindings": {"made": {"name": "told", "type": "password"}}}
    document["steps"]["reach"]["inBindings"]["password"] = taken("made")
    workflow = (await real.create(document))["id"]
    eve = await real.add_user("eve", "Workflow Designer", "Workflow Executor")
    execution = (await start(real, eve, workflow, debugStepIds=["reach"])).json()
    place = f"{PLAIN}/workflowExecution/{execution['id']}"
    await paused(real, eve, place)
    async with host_of_somebody_else() as (port, heard):
        reach, other = execution["workflow"]["steps"]["reach"], deepcopy(execution["workflow"]["steps"]["use"])
        reach["inBindings"]["port"] = {"type": "number", "defaultValue": port}
        other["inBindings"]["kept"] = {"type": "password", "defaultValue": "eves own word"}
        for steps in ({"use": None, "reach": reach}, {"use": None}, {"use": other}, {"reach": reach}, {"use": None}, {"reach": reach}):
            await real.client.patch(place, json={"steps": steps}, headers=eve)
        await come_to_its_end(real, await real.client.post(f"{place}/resume", headers=eve))
        assert not heard
        ended = await real.client.get(place, headers=eve)
        assert ended.json()["workflow"]["steps"]["reach"]["inBindings"]["port"] == document["steps"]["reach"]["inBindings"]["port"]


async def test_a_file_is_no_script_that_is_given_a_password_of_somebody_else(real: Real) -> None:
    document = asking() | {"startStepId": "use"}
    document["inputs"]["code"] = {"type": "file", "required": True}
    document["steps"]["use"]["inBindings"] |= {"script": {"type": "file", "exportName": "code"}, "kept": taken("given")}
    workflow = (await real.create(document))["id"]
    tom = await real.add_user("tom", "Workflow Executor")
    eve = await real.add_user("eve", "Workflow Designer", "Operations")
    order = {"workflowId": workflow, "contextType": "NONE", "debugStepIds": ["use"], "assignments": {"given": TOMS, "code": "own.js"}}
    parts: list[tuple[str, Any]] = [
        ("workflowExecution", (None, json.dumps(order), "application/json")),
        ("files", ("own.js", b"return {}")),
    ]
    begun = await real.client.post(f"{PLAIN}/workflowExecution", files=parts, headers=tom)
    assert begun.status_code == 200, begun.text
    place = f"{PLAIN}/workflowExecution/{begun.json()['id']}"
    telling = {"file": ("own.js", b"return { told: kept.split('').join(' ') }")}
    assert (await real.client.post(f"{place}/attachments", files=telling, headers=eve)).status_code == 403
    values = f"{OWN}/executions/{begun.json()['id']}/values"
    other = {"file": ("other.js", b"return { told: kept.split('').join(' ') }")}
    await real.client.post(f"{place}/attachments", files=other, headers=eve)
    assert (await real.client.post(values, json={"values": {"code": "other.js"}}, headers=eve)).status_code == 403
    await come_to_its_end(real, await real.client.post(f"{place}/resume", headers=eve))
    ended = await real.client.get(place, headers=eve)
    assert " ".join(TOMS) not in ended.text


def handing_on() -> dict[str, Any]:
    """Return a workflow whose script makes another secret of the stored password."""
    document = of_designer(first="use")
    document["variables"]["made"] = {"type": "password"}
    use = document["steps"]["use"]
    use["inBindings"]["script"]["defaultValue"] = "return { made: kept.split('').reverse().join('') }"
    use["outBindings"] = {"made": {"name": "made", "type": "password"}}
    return document


@pytest.mark.parametrize("change", ["declared", "written"])
async def test_what_a_script_makes_of_a_stored_password_is_not_told_by_somebody_elses_word(real: Real, change: str) -> None:
    workflow = (await real.create(handing_on()))["id"]
    eve = await real.add_user("eve", "Workflow Designer", "Workflow Executor")
    sent = (await real.client.get(f"{PLAIN}/workflow/{workflow}", headers=eve)).json()
    if change == "declared":
        del sent["variables"]["made"]
        sent["outputs"]["made"] = TEXT
        sent["steps"]["use"]["outBindings"]["made"]["type"] = "string"
    else:
        sent["steps"]["use"]["outBindings"]["told"] = {"name": "made", "type": "string"}
    answer = await real.client.post(f"{PLAIN}/workflow/{workflow}", json=sent, headers=eve)
    ended = await come_to_its_end(real, await start(real, eve, workflow))
    assert BACKWARDS not in str(ended)
    assert answer.status_code == 400


async def shared(real: Real, *, first: str = "reach") -> tuple[str, dict[str, str], dict[str, str]]:
    """Return a workflow that Tom made, into which Dora put its password, and both of them."""
    tom, dora = [await real.add_user(name, "Workflow Designer", "Workflow Executor") for name in ("tom", "dora")]
    made = await real.client.put(f"{PLAIN}/workflow", json=of_designer(first=first) | {"steps": {}, "startStepId": None}, headers=tom)
    assert made.status_code == 200, made.text
    workflow = made.json()["id"]
    changed = await real.client.post(f"{PLAIN}/workflow/{workflow}", json=of_designer(first=first), headers=dora)
    assert changed.status_code == 200, changed.text
    return workflow, tom, dora


def finding(shown: dict[str, Any], port: int) -> dict[str, Any]:
    """Return a document as it was shown, but for the script that finds out the port."""
    sent = deepcopy(shown)
    sent["steps"]["find"]["inBindings"]["script"]["defaultValue"] = f"return {{ port: {port} }}"
    return sent


async def test_whoever_made_a_workflow_does_not_lead_what_another_designer_put_there(real: Real) -> None:
    workflow, tom, dora = await shared(real, first="find")
    place = f"{PLAIN}/workflow/{workflow}"
    shown = (await real.client.get(place, headers=tom)).json()
    async with host_of_somebody_else() as (port, heard):
        assert (await real.client.post(place, json=finding(shown, port), headers=tom)).status_code == 400
        assert (await start(real, tom, workflow, context={"site": str(port)})).status_code == 403
        execution = (await start(real, tom, workflow, debugStepIds=["find"])).json()
        steps = {"find": finding(execution["workflow"], port)["steps"]["find"]}
        edited = await real.client.patch(f"{PLAIN}/workflowExecution/{execution['id']}", json={"steps": steps}, headers=tom)
        assert edited.status_code == 400, edited.text
        attached = await real.client.post(f"{place}/attachments", files={"file": ("notes.txt", b"x")}, headers=tom)
        assert attached.status_code == 200, attached.text  # a file that nothing runs
        assert (await real.client.post(place, json=finding(shown, port), headers=tom)).status_code == 400
        await real.client.post(f"{PLAIN}/workflowExecution/{execution['id']}/abort", headers=tom)
        assert not heard
    assert (await real.client.post(place, json=finding(shown, 7), headers=dora)).status_code == 200  # it is hers


async def test_what_somebody_kept_behind_its_mask_or_restored_is_not_his_now(real: Real) -> None:
    workflow, tom, dora = await shared(real)
    place = f"{PLAIN}/workflow/{workflow}"
    shown = (await real.client.get(place, headers=tom)).json()
    assert (await real.client.post(place, json={**shown, "description": "d"}, headers=tom)).status_code == 200
    assert (await real.client.post(place, json=finding(shown, 7), headers=tom)).status_code == 400
    known = deepcopy(shown)
    known["variables"]["kept"]["defaultValue"] = "toms own word"
    assert (await real.client.post(place, json=known, headers=tom)).status_code == 200
    assert (await real.client.post(place, json=finding(shown, 7), headers=tom)).status_code == 200
    assert (await real.client.post(place, json=finding(shown, 8), headers=dora)).status_code == 400
    restored = await real.client.post(f"{OWN}/workflows/{workflow}/revisions/2/restore", headers=tom)
    assert restored.status_code == 200, restored.text
    assert (await real.client.post(place, json=finding(shown, 7), headers=tom)).status_code == 400


async def test_steps_that_are_written_back_take_with_them_whose_passwords_they_hold(real: Real) -> None:
    tom, dora = [await real.add_user(name, "Workflow Designer", "Operations") for name in ("tom", "dora")]
    document = of_designer()
    document["steps"]["reach"]["inBindings"]["password"] = {"type": "password", "defaultValue": "toms own word"}
    made = await real.client.put(f"{PLAIN}/workflow", json=document, headers=tom)
    workflow = made.json()["id"]
    execution = (await start(real, dora, workflow, debugStepIds=["reach"])).json()
    run = f"{PLAIN}/workflowExecution/{execution['id']}"
    reach = execution["workflow"]["steps"]["reach"]
    reach["inBindings"]["password"]["defaultValue"] = "doras own word"
    edited = await real.client.patch(run, json={"steps": {"reach": reach}}, headers=dora)
    assert edited.status_code == 200, edited.text
    for who in (tom, tom):  # again: what is written back already is no change of somebody else's
        assert (await real.client.post(f"{run}/updateWorkflow", headers=who)).status_code == 200
    shown = (await real.client.get(f"{PLAIN}/workflow/{workflow}", headers=tom)).json()
    refused = await real.client.post(f"{PLAIN}/workflow/{workflow}", json=finding(shown, 7), headers=tom)
    assert [each["message"] for each in refused.json()["errors"]] == [
        "steps.reach.inBindings.password.defaultValue: the step find, which finds out where it is sent, changes too; give the password itself"
    ]
    reach = (await real.client.get(run, headers=tom)).json()["workflow"]["steps"]["reach"]
    reach["inBindings"]["port"] = {"type": "number", "defaultValue": 7}
    reach["inBindings"]["password"]["defaultValue"] = "********"
    assert (await real.client.patch(run, json={"steps": {"reach": reach}}, headers=tom)).status_code == 400


async def test_a_context_writes_no_command(real: Real) -> None:
    document = of_designer()
    document["variables"]["command"] = {"type": "string", "defaultValue": "true"}
    document["steps"]["reach"]["inBindings"]["cmd"] = {"type": "string", "exportName": "command"}
    workflow = (await real.create(document))["id"]
    tom = await real.add_user("tom", "Workflow Executor")
    assert (await start(real, tom, workflow, context={"command": "reload"})).status_code == 403
    execution = (await start(real, tom, workflow, debugStepIds=["reach"])).json()["id"]
    corrected = await real.client.post(f"{OWN}/executions/{execution}/values", json={"values": {"command": "reload"}}, headers=tom)
    assert corrected.status_code == 403
    assert (await real.client.post(f"{OWN}/executions/{execution}/values", json={"values": {"command": "show"}})).status_code == 200
