"""Risk: a workflow comes back other than it was sent, shows a password, or a broken one is stored."""

import json
from base64 import b64encode
from typing import Any

import pytest

from stepswitch.api.wire import models
from tests.api.house import NOW_TEXT, STRANGER_TOKEN, House, codes, messages
from tests.domain.documents import example


async def test_a_workflow_comes_back_as_it_was_sent(house: House, root: str) -> None:
    document = example() | {"unknownToUs": {"kept": [1, "é", None]}, "description": "Ünïcode \x00 ok"}
    created = await house.client.put(f"{root}/workflow", json=document)
    assert created.status_code == 200
    body = created.json()
    models.WorkflowResponse.model_validate(body)
    assert {name: body[name] for name in document} == document
    place = f"{root}/workflow/{body['id']}"
    assert body["links"] == {
        "self": place,
        "executions": f"{root}/workflowExecution?filter=(eq,workflow/id,{body['id']})",
        "attachments": f"{place}/attachments",
    }
    assert (body["createdAt"], body["creationUser"]) == (NOW_TEXT, "admin")
    assert body["owner"] == {"id": "admin", "type": "USER"}
    assert body["readOnly"] is False
    assert body.get("creationTenantId") == ("default" if "/orgs/" in root else None)
    read = await house.client.get(place)
    assert (read.status_code, read.json()) == (200, body)
    assert read.headers["content-type"] == "application/json"


async def test_what_was_read_can_be_sent_back(house: House, root: str) -> None:
    first = await house.client.get(f"{root}/workflow/{await house.put_workflow(example())}")
    again = await house.client.put(f"{root}/workflow", json=first.json())
    assert again.status_code == 200
    assert again.json()["id"] != first.json()["id"]


async def test_warnings_are_counted_in_a_header(house: House, root: str) -> None:
    plain = await house.client.put(f"{root}/workflow", json=example())
    strange = await house.client.put(f"{root}/workflow", json=example() | {"a": 1, "b": 2})
    before = int(plain.headers.get("x-stepswitch-warnings", "0"))
    assert int(strange.headers["x-stepswitch-warnings"]) == before + 2


def secret_document() -> dict[str, Any]:
    password = {"type": "password", "defaultValue": "hunter22"}
    return {
        "name": "s", "version": "1", "schemaVersion": "3.0", "startStepId": "ask",
        "inputs": {"pw": password, "empty": {"type": "password"}, "host": {"type": "string", "defaultValue": "shown"}},
        "variables": {"later": password},
        "steps": {
            "ask": {
                "type": "TCA_SSH",
                "inBindings": {
                    "hostNameOrIP": {"type": "string", "exportName": "host"},
                    "username": {"type": "string", "defaultValue": "root"},
                    "password": password,
                    "cmd": {"type": "string", "defaultValue": "show version"},
                },
                "conditions": [{"name": "pw", "comparator": "equals", "value": "hunter22"}, {"name": "host", "comparator": "equals", "value": "x"}],
            }
        },
    }  # fmt: skip


async def test_no_password_of_a_document_is_shown(house: House, root: str) -> None:
    created = await house.client.put(f"{root}/workflow", json=secret_document())
    read = await house.client.get(f"{root}/workflow/{created.json()['id']}")
    begun = await house.put_execution(root, workflowId=created.json()["id"], contextType="NONE")
    seen = await house.client.get(f"{root}/workflowExecution/{begun.json()['id']}")
    for answer in (created, read, begun, seen):
        assert answer.status_code == 200
        assert "hunter22" not in answer.text
        assert "********" in answer.text
    body = read.json()
    assert body["inputs"]["empty"] == {"type": "password"}
    assert body["inputs"]["host"]["defaultValue"] == "shown"
    assert [condition["value"] for condition in body["steps"]["ask"]["conditions"]] == ["********", "x"]
    assert seen.json()["stepExecutions"][0]["stepSnapshot"]["inBindings"]["password"]["defaultValue"] == "********"
    stored = next(iter(house.catalogue_store.workflows.values()))
    assert stored.document["inputs"]["pw"]["defaultValue"] == "hunter22"


async def test_a_password_of_the_document_is_shown_nowhere_else_in_it(house: House, root: str) -> None:
    document = secret_document()
    document["steps"]["ask"]["inBindings"]["cmd"]["defaultValue"] = "login hunter22"
    created = await house.client.put(f"{root}/workflow", json=document)
    begun = await house.put_execution(root, workflowId=created.json()["id"], contextType="NONE")
    assert begun.status_code == 200
    assert "hunter22" not in begun.text
    assert begun.json()["workflow"]["steps"]["ask"]["inBindings"]["cmd"]["defaultValue"] == "login ********"


async def test_a_password_in_disguise_is_not_shown_in_the_document_and_one_like_a_word_of_the_language_takes_nothing_apart(
    house: House, root: str
) -> None:
    document = secret_document()
    ask = document["steps"]["ask"]
    ask["inBindings"]["cmd"]["defaultValue"] = (
        f"curl -H 'Authorization: {b64encode(b'root:hunter22').decode()}' %68unter22 hunter22-of-root"
    )
    document["variables"] |= {
        "word": {"type": "password", "defaultValue": "string"},
        "pin": {"type": "password", "defaultValue": "83947261"},
        "longer": {"type": "password", "defaultValue": "hunter22-of-root"},
        "count": {"type": "number", "defaultValue": 83947261},
    }
    workflow_id = await house.put_workflow(document, root)
    begun = (await house.put_execution(root, workflowId=workflow_id, contextType="NONE")).json()
    shown = begun["workflow"]["steps"]["ask"]["inBindings"]["cmd"]
    assert shown["type"] == "string"
    assert b64encode(b"root:hunter22").decode()[8:] not in shown["defaultValue"]
    assert shown["defaultValue"].endswith(" ******** ********")
    assert begun["workflow"]["variables"]["count"]["defaultValue"] == "********"


async def test_a_draft_is_stored_and_not_executed(house: House, root: str) -> None:
    draft = {"name": "later", "version": "0", "schemaVersion": "3.0"}
    workflow_id = await house.put_workflow(draft, root)
    answer = await house.put_execution(root, workflowId=workflow_id, contextType="NONE")
    assert answer.status_code == 400
    assert set(codes(answer)) == {"DRAFT"}
    assert not house.store.heads


async def test_every_fault_of_a_document_is_listed_with_its_place(house: House, root: str) -> None:
    document = example()
    del document["name"]
    document["steps"]["ask"]["nextStepId"] = "nowhere"
    document["inputs"]["mode"]["type"] = "text"
    answer = await house.client.put(f"{root}/workflow", json=document)
    assert answer.status_code == 400
    places = {message.partition(":")[0] for message in messages(answer)}
    assert places >= {"name", "steps.ask.nextStepId", "inputs.mode.type"}
    assert not house.catalogue_store.workflows


@pytest.mark.parametrize("body", ["[]", '"x"', "1", "null", "true"])
async def test_what_is_no_object_is_no_workflow(house: House, root: str, body: str) -> None:
    answer = await house.client.put(f"{root}/workflow", content=body)
    assert (answer.status_code, codes(answer)) == (400, ["WRONG_TYPE"])


async def test_ten_thousand_steps_are_refused_in_a_moment(house: House, root: str) -> None:
    document = example()
    document["steps"] |= {f"step-{number}": {"type": "NOOP"} for number in range(10_000)}
    answer = await house.client.put(f"{root}/workflow", json=document)
    assert answer.status_code == 400
    assert "TOO_MANY_STEPS" in codes(answer)
    assert not house.catalogue_store.workflows


@pytest.mark.parametrize("depth", [65, 1_000, 100_000])
async def test_a_deep_document_is_refused(house: House, root: str, depth: int) -> None:
    body = json.dumps(example())[:-1] + ', "deep": ' + "[" * depth + "]" * depth + "}"
    answer = await house.client.put(f"{root}/workflow", content=body)
    assert (answer.status_code, codes(answer)) == (400, ["TOO_DEEP"])


async def test_the_workflows_of_others_are_not_there(house: House, root: str) -> None:
    workflow_id = await house.put_workflow(example(), root)
    others = {"x-hm-authorization": STRANGER_TOKEN}
    elsewhere = root.replace("/orgs/default", "/orgs/elsewhere")
    answers = [
        await house.client.get(f"{root.replace('default', 'elsewhere')}/workflow/{workflow_id}", headers=others),
        await house.client.get(f"{elsewhere}/workflow/{workflow_id}", headers=others),
        await house.client.get("/tca/workflows/api/v1/orgs/elsewhere/workflow/" + workflow_id),
        await house.client.put("/tca/workflows/api/v1/orgs/elsewhere/workflow", json=example()),
    ]
    for answer in answers:
        assert (answer.status_code, answer.content, answer.headers["x-error-code"]) == (404, b"", "NOT_FOUND")
    assert len(house.catalogue_store.workflows) == 1
