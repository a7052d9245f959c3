"""Risk: a password that a designer stored is sent to a host of somebody else, or told by a step that he did not write.

Whoever tries has a socket that takes down what it is sent. Whether he is refused at once or when the step begins is no matter: nothing may arrive.
"""

import json
from collections.abc import AsyncIterator
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.api.real import OWN, PLAIN, Real, real_service
from tests.api.test_credentials import host_of_somebody_else

STORED: Final = "stored-by-the-designer"
TEXT: Final = {"type": "string"}
REFUSED: Final = {400, 403}


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[Real]:
    async with real_service(tmp_path, host_keys="accept-new") as running:
        yield running


def of_designer(*, first: str = "reach") -> dict[str, Any]:
    """Return a workflow with a stored password, whose port is a variable that a script may write."""
    script = {"type": "string", "defaultValue": "return { port: site === 'a' ? 1 : Number(site) }"}
    return {
        "name": "core", "version": "1", "schemaVersion": "3.0", "startStepId": first,
        "variables": {
            "kept": {"type": "password", "defaultValue": STORED},
            "port": {"type": "number", "defaultValue": 1},
            "site": {"type": "string", "defaultValue": "a"},
        },
        "outputs": {"told": TEXT},
        "steps": {
            "find": {
                "type": "JS", "nextStepId": "reach", "inBindings": {"script": script, "site": {"type": "string", "exportName": "site"}},
                "outBindings": {"port": {"name": "port", "type": "number"}},
            },
            "use": {
                "type": "JS",
                "inBindings": {"script": {"type": "string", "defaultValue": "return { told: String(kept.length) }"}, "kept": taken("kept")},
                "outBindings": {"told": {"name": "told", "type": "string"}},
            },
            "reach": {
                "type": "TCA_SSH",
                "inBindings": {
                    "hostNameOrIP": {"type": "string", "defaultValue": "127.0.0.1"}, "port": {"type": "number", "exportName": "port"},
                    "username": {"type": "string", "defaultValue": "nobody"}, "password": taken("kept"),
                    "cmd": {"type": "string", "defaultValue": "true"},
                },
            },
        },
    }  # fmt: skip


def taken(name: str) -> dict[str, Any]:
    return {"type": "password", "exportName": name}


async def start(real: Real, who: dict[str, str], workflow: str, **fields: Any) -> httpx.Response:
    order = {"workflowId": workflow, "contextType": "NONE", **fields}
    return await real.client.put(f"{PLAIN}/workflowExecution", json=order, headers=who)


async def come_to_its_end(real: Real, answer: httpx.Response) -> dict[str, Any]:
    """Return the execution that an answer shows when it has ended; nothing where somebody was refused."""
    if answer.status_code in REFUSED:
        return {}
    assert answer.status_code == 200, answer.text
    await real.ended.wait_for(answer.json()["id"])
    return dict((await real.client.get(f"{PLAIN}/workflowExecution/{answer.json()['id']}")).json())


async def test_whoever_executes_corrects_no_variable_that_leads_a_stored_password(real: Real) -> None:
    workflow = (await real.create(of_designer()))["id"]
    tom = await real.add_user("tom", "Workflow Executor")
    execution = (await start(real, tom, workflow, debugStepIds=["reach"])).json()["id"]
    async with host_of_somebody_else() as (port, heard):
        corrected = await real.client.post(f"{OWN}/executions/{execution}/values", json={"values": {"port": port}}, headers=tom)
        assert corrected.status_code == 403
        await come_to_its_end(real, await real.client.post(f"{PLAIN}/workflowExecution/{execution}/resume", headers=tom))
        assert not heard


async def test_a_context_does_not_lead_a_stored_password(real: Real) -> None:
    workflow = (await real.create(of_designer()))["id"]
    tom = await real.add_user("tom", "Workflow Executor")
    async with host_of_somebody_else() as (port, heard):
        await come_to_its_end(real, await start(real, tom, workflow, context={"port": port}))
        assert not heard


async def test_a_variable_that_leads_to_one_that_leads_a_stored_password_is_the_designers_too(real: Real) -> None:
    workflow = (await real.create(of_designer(first="find")))["id"]
    tom = await real.add_user("tom", "Workflow Executor")
    async with host_of_somebody_else() as (port, heard):
        await come_to_its_end(real, await start(real, tom, workflow, context={"site": str(port)}))
        assert not heard
        execution = (await start(real, tom, workflow, debugStepIds=["find"])).json()["id"]
        corrected = await real.client.post(f"{OWN}/executions/{execution}/values", json={"values": {"site": str(port)}}, headers=tom)
        await real.client.post(f"{PLAIN}/workflowExecution/{execution}/resume", headers=tom)
        await come_to_its_end(real, corrected)
        assert not heard


async def test_a_step_that_writes_where_another_acts_does_not_take_its_stored_password_along(real: Real) -> None:
    workflow = (await real.create(of_designer()))["id"]
    eve = await real.add_user("eve", "Workflow Designer", "Workflow Executor")
    shown = (await real.client.get(f"{PLAIN}/workflow/{workflow}", headers=eve)).json()
    async with host_of_somebody_else() as (port, heard):
        sent = deepcopy(shown) | {"startStepId": "mine"}
        sent["steps"]["mine"] = {
            "type": "JS", "nextStepId": "reach", "outBindings": {"port": {"name": "port", "type": "number"}},
            "inBindings": {"script": {"type": "string", "defaultValue": f"return {{ port: {port} }}"}},
        }  # fmt: skip
        if (await real.client.post(f"{PLAIN}/workflow/{workflow}", json=sent, headers=eve)).status_code == 200:
            await come_to_its_end(real, await start(real, eve, workflow))
        assert not heard


async def test_an_edited_step_takes_no_declared_password_elsewhere(real: Real) -> None:
    workflow = (await real.create(of_designer()))["id"]
    eve = await real.add_user("eve", "Workflow Designer", "Workflow Executor")
    execution = (await start(real, eve, workflow, debugStepIds=["reach"])).json()
    place = f"{PLAIN}/workflowExecution/{execution['id']}"
    async with host_of_somebody_else() as (port, heard):
        step = execution["workflow"]["steps"]["reach"]
        step["inBindings"]["port"] = {"type": "number", "defaultValue": port}
        if (await real.client.patch(place, json={"steps": {"reach": step}}, headers=eve)).status_code == 200:
            await come_to_its_end(real, await real.client.post(f"{place}/resume", headers=eve))
        assert not heard


async def test_a_script_that_is_given_a_stored_password_is_not_somebody_elses(real: Real) -> None:
    workflow = (await real.create(of_designer(first="use")))["id"]
    eve = await real.add_user("eve", "Workflow Designer", "Workflow Executor")
    sent = (await real.client.get(f"{PLAIN}/workflow/{workflow}", headers=eve)).json()
    sent["steps"]["use"]["inBindings"]["script"]["defaultValue"] = "return { told: kept.split('').join(' ') }"
    if (await real.client.post(f"{PLAIN}/workflow/{workflow}", json=sent, headers=eve)).status_code == 200:
        ended = await come_to_its_end(real, await start(real, eve, workflow))
        assert ended["outputs"].get("told") != " ".join(STORED)


async def test_a_condition_on_a_stored_password_is_not_somebody_elses_question(real: Real) -> None:
    workflow = (await real.create(of_designer(first="find") | {"name": "asked"}))["id"]
    eve = await real.add_user("eve", "Workflow Designer", "Workflow Executor")
    sent = (await real.client.get(f"{PLAIN}/workflow/{workflow}", headers=eve)).json() | {"startStepId": "ask"}
    question = {"name": "kept", "comparator": "match", "value": "^s.*", "nextStepId": "yes"}
    sent["steps"] |= {"ask": {"type": "NOOP", "conditions": [question]}, "yes": {"type": "NOOP"}}
    if (await real.client.post(f"{PLAIN}/workflow/{workflow}", json=sent, headers=eve)).status_code == 200:
        ended = await come_to_its_end(real, await start(real, eve, workflow))
        assert "yes" not in [step["stepSnapshot"]["id"] for step in ended["stepExecutions"]]


async def test_an_edit_of_a_step_that_finds_out_the_host_does_not_take_a_stored_password_along(real: Real) -> None:
    workflow = (await real.create(of_designer(first="find")))["id"]
    eve = await real.add_user("eve", "Workflow Designer", "Workflow Executor")
    execution = (await start(real, eve, workflow, debugStepIds=["find"])).json()
    place = f"{PLAIN}/workflowExecution/{execution['id']}"
    async with host_of_somebody_else() as (port, heard):
        step = execution["workflow"]["steps"]["find"]
        step["inBindings"]["script"]["defaultValue"] = f"return {{ port: {port} }}"
        edited = await real.client.patch(place, json={"steps": {"find": step}}, headers=eve)
        assert edited.status_code == 400
        assert [each["message"] for each in edited.json()["errors"]] == [
            "variables.kept.defaultValue: the step find, which finds out where it is sent, changes too; "
            "give each edited step that uses it the password itself"
        ]
        reach = execution["workflow"]["steps"]["reach"]
        reach["inBindings"]["password"] = {"type": "password", "defaultValue": "known to eve"}
        both = await real.client.patch(place, json={"steps": {"find": step, "reach": reach}}, headers=eve)
        assert both.status_code == 200, both.text
        assert not heard


async def test_another_designer_leads_no_stored_password_by_a_value(real: Real) -> None:
    workflow = (await real.create(of_designer()))["id"]
    eve = await real.add_user("eve", "Workflow Designer", "Workflow Executor")
    async with host_of_somebody_else() as (port, heard):
        assert (await start(real, eve, workflow, context={"port": port})).status_code == 403
        execution = (await start(real, eve, workflow, debugStepIds=["reach"])).json()["id"]
        place = f"{OWN}/executions/{execution}/values"
        assert (await real.client.post(place, json={"values": {"port": port}}, headers=eve)).status_code == 403
        known = {"port": 1, "kept": "known to eve"}
        assert (await real.client.post(place, json={"values": known}, headers=eve)).status_code == 200
        assert (await real.client.post(place, json={"values": {"port": 2}})).status_code == 403  # what is used there is Eve's now
        assert (await real.client.post(place, json={"values": {"port": 2, "kept": "known to all"}})).status_code == 200
        assert not heard


async def test_who_operates_does_not_lead_a_password_that_somebody_else_assigned(real: Real) -> None:
    document = of_designer()
    document["inputs"] = {"given": {"type": "password", "required": True}}
    document["steps"]["reach"]["inBindings"]["password"] = taken("given")
    workflow = (await real.create(document))["id"]
    tom = await real.add_user("tom", "Workflow Executor")
    ops = await real.add_user("ops", "Operations")
    execution = (await start(real, tom, workflow, debugStepIds=["reach"], assignments={"given": "toms own word"})).json()["id"]
    place = f"{OWN}/executions/{execution}/values"
    async with host_of_somebody_else() as (port, heard):
        assert (await real.client.post(place, json={"values": {"port": port}}, headers=ops)).status_code == 403
        resumed = await real.client.post(f"{PLAIN}/workflowExecution/{execution}/resume", headers=ops)
        await come_to_its_end(real, resumed)
        assert not heard
        corrected = await real.client.post(place, json={"values": {"port": port}}, headers=tom)
        assert corrected.status_code == 200, corrected.text


async def test_a_file_that_a_script_is_read_from_is_not_replaced_where_it_is_given_a_stored_password(real: Real) -> None:
    document = of_designer(first="use")
    document["steps"]["use"]["inBindings"]["script"] = {"type": "file", "defaultValue": "use.js"}
    parts: list[tuple[str, Any]] = [("workflow", (None, json.dumps(document), "application/json")), ("files", ("use.js", b"return {}"))]
    workflow = (await real.client.post(f"{PLAIN}/workflow", files=parts)).json()["id"]
    eve = await real.add_user("eve", "Workflow Designer")
    place = f"{PLAIN}/workflow/{workflow}/attachments"
    refused = await real.client.post(place, files={"file": ("use.js", b"return { told: kept }")}, headers=eve)
    assert refused.status_code == 400
    assert "replace the workflow instead, with the file and the password itself" in refused.text
    assert (await real.client.delete(place, params={"attachmentId": "use.js"}, headers=eve)).status_code == 400
    assert (await real.client.post(place, files={"file": ("notes.txt", b"text")}, headers=eve)).status_code == 200


async def test_validation_warns_where_whoever_starts_a_workflow_leads_its_stored_password(real: Real) -> None:
    document = of_designer()
    document["inputs"] = {"host": TEXT}
    document["steps"]["reach"]["inBindings"]["hostNameOrIP"] = {"type": "string", "exportName": "host"}
    answer = (await real.client.post(f"{OWN}/validate", json=document)).json()
    assert answer["faults"] == []
    found = [each["path"] for each in answer["warnings"] if each["code"] == "UNSAFE_TEMPLATE"]
    assert found == ["steps.reach.inBindings.hostNameOrIP"]


def running_a_file(script: str) -> dict[str, Any]:
    """Return a workflow that runs one of its files where the credential `core` may be used."""
    document = of_designer()
    inputs = document["steps"]["reach"]["inBindings"]
    del inputs["cmd"]
    inputs["script"] = {"type": "file", "defaultValue": script}
    return document


async def test_whoever_may_not_use_a_credential_changes_no_file_of_the_workflow_that_takes_it(real: Real) -> None:
    credential = {
        "name": "core", "source": {"kind": "stored", "value": STORED}, "roles": ["Operations"], "workflows": ["*"], "devices": ["127.0.0.1"],
    }  # fmt: skip
    assert (await real.client.post(f"{OWN}/credentials", json=credential)).status_code == 200
    document = running_a_file("run.sh")
    document["steps"]["reach"]["inBindings"]["password"] = {"type": "password", "defaultValue": {"credential": "core"}}
    parts: list[tuple[str, Any]] = [("workflow", (None, json.dumps(document), "application/json")), ("files", ("run.sh", b"exit 0"))]
    made = await real.client.post(f"{PLAIN}/workflow", files=parts)
    assert made.status_code == 200, made.text
    place = f"{PLAIN}/workflow/{made.json()['id']}"
    eve = await real.add_user("eve", "Workflow Designer")
    assert (await real.client.post(place, json=made.json(), headers=eve)).status_code == 400
    assert (await real.client.post(f"{place}/attachments", files={"file": ("run.sh", b"exit 1")}, headers=eve)).status_code in REFUSED
    assert (await real.client.delete(f"{place}/attachments", params={"attachmentId": "run.sh"}, headers=eve)).status_code in REFUSED


async def test_a_file_that_is_called_as_the_id_of_one_of_the_workflow_does_not_take_its_place(real: Real) -> None:
    parts: list[tuple[str, Any]] = [
        ("workflow", (None, json.dumps(running_a_file("run.sh")), "application/json")), ("files", ("run.sh", b"exit 0")),
    ]  # fmt: skip
    made = (await real.client.post(f"{PLAIN}/workflow", files=parts)).json()
    own = made["attachments"]["run.sh"]["id"]
    document = running_a_file(own) | {"attachments": made["attachments"]}
    workflow = (await real.create(document))["id"]
    tom = await real.add_user("tom", "Workflow Executor")
    order = json.dumps({"workflowId": workflow, "contextType": "NONE"})
    sent: list[tuple[str, Any]] = [("workflowExecution", (None, order, "application/json")), ("files", (own, b"exit 1"))]
    assert (await real.client.post(f"{PLAIN}/workflowExecution", files=sent, headers=tom)).status_code in REFUSED


async def test_a_context_chooses_no_file_that_is_run_with_a_stored_password(real: Real) -> None:
    document = running_a_file("run.sh")
    document["variables"]["which"] = {"type": "file", "defaultValue": "run.sh"}
    document["steps"]["reach"]["inBindings"]["script"] = {"type": "file", "exportName": "which"}
    parts: list[tuple[str, Any]] = [("workflow", (None, json.dumps(document), "application/json")), ("files", ("run.sh", b"exit 0"))]
    workflow = (await real.client.post(f"{PLAIN}/workflow", files=parts)).json()["id"]
    tom = await real.add_user("tom", "Workflow Executor")
    order = json.dumps({"workflowId": workflow, "contextType": "NONE", "context": {"which": "mine.sh"}})
    sent: list[tuple[str, Any]] = [("workflowExecution", (None, order, "application/json")), ("files", ("mine.sh", b"exit 1"))]
    assert (await real.client.post(f"{PLAIN}/workflowExecution", files=sent, headers=tom)).status_code in REFUSED


async def test_whoever_may_not_use_a_credential_says_nothing_of_what_is_done_with_it(real: Real) -> None:
    credential = {
        "name": "core", "source": {"kind": "stored", "value": STORED}, "roles": ["Workflow Designer"], "workflows": ["*"],
        "devices": ["127.0.0.1"],
    }  # fmt: skip
    assert (await real.client.post(f"{OWN}/credentials", json=credential)).status_code == 200
    document = running_a_file("run.sh")
    document["inputs"] = {"user": TEXT, "note": TEXT}
    bindings = document["steps"]["reach"]["inBindings"]
    bindings |= {
        "password": {"type": "password", "defaultValue": {"credential": "core"}},
        "username": {"type": "string", "exportName": "user"},
    }
    parts: list[tuple[str, Any]] = [("workflow", (None, json.dumps(document), "application/json")), ("files", ("run.sh", b"exit 0"))]
    workflow = (await real.client.post(f"{PLAIN}/workflow", files=parts)).json()["id"]
    ops = await real.add_user("ops", "Operations")
    knowing = await real.add_user("knowing", "Operations", "Workflow Designer")
    order = {"workflowId": workflow, "contextType": "NONE", "debugStepIds": ["reach"], "assignments": {"user": "nobody"}}
    execution = (await real.client.put(f"{PLAIN}/workflowExecution", json=order)).json()["id"]
    values, files = f"{OWN}/executions/{execution}/values", f"{PLAIN}/workflowExecution/{execution}/attachments"
    refused = await real.client.post(values, json={"values": {"user": "root"}}, headers=ops)
    assert (refused.status_code, [each["code"] for each in refused.json()["errors"]]) == (400, ["CREDENTIAL_REFUSED"])
    assert (await real.client.post(values, json={"values": {"note": "n"}}, headers=ops)).status_code == 200
    assert (await real.client.post(values, json={"values": {"user": "root"}}, headers=knowing)).status_code == 200
    assert (await real.client.post(files, files={"file": ("run.sh", b"exit 1")}, headers=ops)).status_code in REFUSED
    assert (await real.client.post(files, files={"file": ("run.sh", b"exit 1")}, headers=knowing)).status_code == 200
    assert (await real.client.delete(files, params={"attachmentId": "run.sh"}, headers=ops)).status_code in REFUSED
