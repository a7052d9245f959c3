"""Risk: a replaced or deleted workflow takes executions, revisions or passwords with it, or somebody's change is lost unseen."""

import asyncio
import re
from collections.abc import AsyncIterator
from copy import deepcopy
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from stepswitch.api.wire import catalogue_models, models
from tests.api.house import codes, messages
from tests.api.real import OWN, PLAIN, Real, real_service
from tests.domain.documents import document
from tests.domain.test_conversion import first_schema

MASK = "********"
HELLO: dict[str, Any] = document(
    outputs={"said": {"type": "string"}},
    steps={
        "a": {
            "type": "JS",
            "inBindings": {"script": {"type": "string", "defaultValue": "return { text: 'one' }"}},
            "outBindings": {"said": {"name": "text", "type": "string"}},
        }
    },
)


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[Real]:
    async with real_service(tmp_path) as running:
        yield running


def saying(text: str) -> dict[str, Any]:
    changed = deepcopy(HELLO)
    changed["steps"]["a"]["inBindings"]["script"]["defaultValue"] = f"return {{ text: '{text}' }}"
    return changed


async def test_a_replaced_workflow_is_executed_as_it_is_now_and_shown_as_it_was(real: Real, root: str) -> None:
    created = await real.create(HELLO, root)
    before = await real.execute(created["id"], root)
    answer = await real.client.post(f"{root}/workflow/{created['id']}", json=saying("two"))
    assert answer.status_code == 200, answer.text
    models.WorkflowResponse.model_validate(answer.json())
    assert (answer.json()["createdAt"], answer.json()["owner"]) == (created["createdAt"], created["owner"])
    assert (await real.client.get(f"{root}/workflow/{created['id']}")).json() == answer.json()
    after = await real.execute(created["id"], root)
    assert (before["outputs"], after["outputs"]) == ({"said": "one"}, {"said": "two"})
    assert (await real.client.get(before["links"]["self"])).json()["workflow"] == before["workflow"]


async def test_a_deleted_workflow_is_gone_and_its_executions_are_not(real: Real, root: str) -> None:
    created = await real.create(HELLO, root)
    place = f"{root}/workflow/{created['id']}"
    execution = await real.execute(created["id"], root)
    answer = await real.client.delete(place)
    assert (answer.status_code, answer.content) == (204, b"")
    gone = [
        await real.client.get(place),
        await real.client.delete(place),
        await real.client.post(place, json=HELLO),
        await real.client.put(f"{root}/workflowExecution", json={"workflowId": created["id"], "contextType": "NONE"}),
        await real.client.get(f"{OWN}/workflows/{created['id']}/revisions"),
        await real.client.post(f"{OWN}/workflows/{created['id']}/revisions/1/restore"),
    ]
    assert {(each.status_code, each.content, each.headers["x-error-code"]) for each in gone} == {(404, b"", "NOT_FOUND")}
    assert (await real.client.get(execution["links"]["self"])).json() == execution


async def test_an_id_that_is_used_again_is_executed_as_it_is_now(real: Real) -> None:
    place = f"{OWN}/workflows/mine"
    assert (await real.client.put(place, json=HELLO)).status_code == 200
    tag = (await real.client.get(f"{PLAIN}/workflow/mine")).headers["etag"]
    assert (await real.execute("mine"))["outputs"] == {"said": "one"}
    await real.client.delete(f"{PLAIN}/workflow/mine")
    assert (await real.client.put(place, json=saying("two"))).status_code == 200
    assert (await real.execute("mine"))["outputs"] == {"said": "two"}
    assert (await real.client.delete(f"{PLAIN}/workflow/mine", headers={"If-Match": tag})).status_code == 412


@pytest.mark.parametrize("workflow_id", ["%00", "a%0Ab", "%20", "x" * 257, "%E2%80%AE"])
async def test_an_id_that_cannot_be_one_is_400(real: Real, workflow_id: str) -> None:
    answer = await real.client.put(f"{OWN}/workflows/{workflow_id}", json=HELLO)
    assert (answer.status_code, codes(answer)) == (400, ["INVALID_VALUE"])


async def test_the_links_of_an_id_that_somebody_chose_lead_where_they_should(real: Real, root: str) -> None:
    workflow_id = "it's, 50% (of a) #1 & é?q=1;b+c"
    created = await real.client.put(f"{OWN}/workflows/{quote(workflow_id, safe='')}", json=HELLO)
    read = (await real.client.get(f"{root}/workflow/{quote(workflow_id, safe='')}")).json()
    execution = await real.execute(workflow_id)
    assert created.json()["id"] == read["id"] == execution["workflow"]["id"] == workflow_id
    assert (await real.client.get(read["links"]["self"])).json() == read
    assert [each["id"] for each in (await real.client.get(read["links"]["executions"])).json()] == [execution["id"]]
    assert (await real.client.post(read["links"]["attachments"], files={"file": ("a", b"a")})).status_code == 200
    assert (await real.client.get(execution["links"]["workflow"])).json()["id"] == workflow_id
    assert all(re.fullmatch(r"[\w/.~?=(),%-]+", link, re.ASCII) for link in (*read["links"].values(), *execution["links"].values()))


async def test_an_id_that_exists_is_400_and_changes_nothing(real: Real) -> None:
    created = await real.create(HELLO)
    answer = await real.client.put(f"{OWN}/workflows/{created['id']}", json=saying("two"))
    assert (answer.status_code, codes(answer)) == (400, ["ALREADY_EXISTS"])
    assert (await real.client.get(f"{PLAIN}/workflow/{created['id']}")).json() == created


# --- lost updates ---


async def test_a_lost_update_is_refused(real: Real, root: str) -> None:
    created = await real.create(HELLO, root)
    place = f"{root}/workflow/{created['id']}"
    tag = (await real.client.get(place)).headers["etag"]
    first = await real.client.post(place, json=saying("first"), headers={"If-Match": tag})
    second = await real.client.post(place, json=saying("second"), headers={"If-Match": tag})
    assert (first.status_code, second.status_code, codes(second)) == (200, 412, ["PRECONDITION_FAILED"])
    assert (await real.client.get(place)).json() == first.json()
    assert first.headers["etag"] == (await real.client.get(place)).headers["etag"] != tag
    refused = [await real.client.delete(place, headers={"If-Match": each}) for each in (tag, f"W/{first.headers['etag']}", '""')]
    assert {each.status_code for each in refused} == {412}
    assert (await real.client.delete(place, headers={"If-Match": f'"x", {first.headers["etag"]}'})).status_code == 204


async def test_every_change_of_a_workflow_heeds_what_its_sender_saw(real: Real, root: str) -> None:
    created = await real.create(HELLO, root)
    place, own = f"{root}/workflow/{created['id']}", f"{OWN}/workflows/{created['id']}"
    await real.client.post(f"{place}/attachments", files={"file": ("f", b"content")})
    files: dict[str, Any] = {"files": {"file": ("f", b"other")}}
    gone: dict[str, Any] = {"params": {"attachmentId": "f"}}
    changes: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", place, {"json": saying("other")}),
        ("POST", f"{own}/revisions/1/restore", {}),
        ("POST", f"{place}/attachments", files),
        ("DELETE", f"{place}/attachments", gone),
        ("DELETE", place, {}),
    ]
    for method, path, sent in changes:
        before = await real.client.get(place)
        for stale in ('"old"', f"W/{before.headers['etag']}", f'"old", W/{before.headers["etag"]}'):
            refused = await real.client.request(method, path, headers={"If-Match": stale}, **sent)
            assert (refused.status_code, codes(refused)) == (412, ["PRECONDITION_FAILED"]), (method, path)
        assert (await real.client.get(place)).json() == before.json()
        done = await real.client.request(method, path, headers={"If-Match": f'"old", {before.headers["etag"]}'}, **sent)
        assert done.status_code in (200, 204), (method, path)
        assert (
            "etag" not in done.headers or done.headers["etag"] == (await real.client.get(place)).headers["etag"] != before.headers["etag"]
        )
        assert (await real.client.request(method, path, headers={"If-Match": "*"}, **sent)).status_code in (200, 204, 404)


async def test_what_a_caller_has_already_is_not_sent_again(real: Real, root: str) -> None:
    created = await real.create(HELLO, root)
    place = f"{root}/workflow/{created['id']}"
    await real.client.post(f"{place}/attachments", files={"file": ("f", b"content")})
    for path in (place, f"{place}?fields=name", f"{place}/attachments?attachmentId=f"):
        first = await real.client.get(path)
        assert (first.status_code, first.headers["cache-control"]) == (200, "private, no-cache")
        tag = first.headers["etag"]
        for known in (tag, f"W/{tag}", f'"old", {tag}', "*"):
            for method in ("GET", "HEAD"):
                again = await real.client.request(method, path, headers={"If-None-Match": known})
                assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag), known
        for unknown in ('"old"', f'"x{tag[1:]}', ""):
            assert (await real.client.get(path, headers={"If-None-Match": unknown})).content == first.content
    tag = (await real.client.get(place)).headers["etag"]
    await real.client.post(place, json=saying("other"))
    assert (await real.client.get(place, headers={"If-None-Match": tag})).json()["outputs"] == saying("other")["outputs"]
    missing = await real.client.get(f"{root}/workflow/nowhere", headers={"If-None-Match": "*"})
    assert missing.status_code == 404


@pytest.mark.parametrize("header", ["x", '"a', "W/", "*, *", '"a" "b"'])
async def test_a_tag_that_cannot_be_read_is_400(real: Real, header: str) -> None:
    created = await real.create(HELLO)
    place = f"{PLAIN}/workflow/{created['id']}"
    answers = {
        "If-Match": await real.client.post(place, json=HELLO, headers={"If-Match": header}),
        "If-None-Match": await real.client.get(place, headers={"If-None-Match": header}),
    }
    for name, answer in answers.items():
        assert (answer.status_code, codes(answer)) == (400, ["UNKNOWN_HEADER_VALUE"])
        assert messages(answer)[0].startswith(f"{name}: ")


async def test_of_many_who_change_the_same_revision_one_is_told_that_it_did(real: Real) -> None:
    created = await real.create(HELLO)
    place = f"{PLAIN}/workflow/{created['id']}"
    tag = (await real.client.get(place)).headers["etag"]
    answers = await asyncio.gather(*(real.client.post(place, json=saying(str(n)), headers={"If-Match": tag}) for n in range(8)))
    assert sorted(each.status_code for each in answers) == [200, *[412] * 7]
    winner = next(each for each in answers if each.status_code == 200)
    assert (await real.client.get(place)).json() == winner.json()


async def test_changes_that_ask_for_nothing_all_become_revisions(real: Real) -> None:
    created = await real.create(HELLO)
    answers = [real.client.post(f"{PLAIN}/workflow/{created['id']}", json=saying(str(n))) for n in range(4)]
    assert {each.status_code for each in await asyncio.gather(*answers)} == {200}
    assert len((await real.client.get(f"{OWN}/workflows/{created['id']}/revisions")).json()) == 5


async def test_a_replacement_with_faults_lists_them_all_and_changes_nothing(real: Real, root: str) -> None:
    created = await real.create(HELLO, root)
    wrong = saying("two") | {"startStepId": "nowhere", "name": 5}
    answer = await real.client.post(f"{root}/workflow/{created['id']}", json=wrong)
    assert answer.status_code == 400
    assert {each.partition(":")[0] for each in messages(answer)} == {"startStepId", "name"}
    assert (await real.client.get(f"{root}/workflow/{created['id']}")).json() == created


# --- readOnly ---


async def test_a_read_only_workflow_is_neither_changed_nor_deleted(real: Real, root: str) -> None:
    created = await real.create(HELLO | {"readOnly": True, "owner": {"id": "vnf-1", "type": "VNF"}}, root)
    place = f"{root}/workflow/{created['id']}"
    refused = [
        await real.client.post(place, json=saying("two")),
        await real.client.post(place, json=created | {"readOnly": False}),
        await real.client.delete(place),
        await real.client.post(f"{OWN}/workflows/{created['id']}/revisions/1/restore"),
    ]
    assert {(each.status_code, each.content, each.headers["x-error-code"]) for each in refused} == {(403, b"", "READ_ONLY")}
    assert (await real.client.get(place)).json() == created


async def test_its_user_or_an_administrator_makes_it_writable_and_changes_nothing_else_by_that(real: Real) -> None:
    user, other = await real.add_user("designer", "Workflow Designer"), await real.add_user("other", "Workflow Designer")
    locked = HELLO | {"readOnly": True, "owner": {"id": "designer", "type": "USER"}}
    for allowed in (user, dict(real.client.headers)):
        created = await real.create(locked)
        place = f"{PLAIN}/workflow/{created['id']}"
        unlocked = created | {"readOnly": False}
        assert (await real.client.post(place, json=unlocked, headers=other)).status_code == 403
        assert (await real.client.post(place, json=unlocked | {"name": "else"}, headers=allowed)).status_code == 403
        assert (await real.client.post(place, json=unlocked, headers=allowed)).status_code == 200
        assert (await real.client.post(place, json=saying("two"), headers=other)).status_code == 200


# --- revisions ---


async def test_every_revision_can_be_listed_read_compared_and_brought_back(real: Real) -> None:
    created = await real.create(HELLO)
    changed = saying("two") | {"description": "new"}
    del changed["outputs"], changed["steps"]["a"]["outBindings"]
    await real.client.post(f"{PLAIN}/workflow/{created['id']}", json=changed)
    place = f"{OWN}/workflows/{created['id']}/revisions"
    listed = (await real.client.get(place)).json()
    assert [(catalogue_models.Revision.model_validate(each).number, each["changedBy"]) for each in listed] == [(1, "admin"), (2, "admin")]
    first = (await real.client.get(f"{place}/1")).json()
    assert first == created
    difference = (await real.client.get(f"{place}/2/diff")).json()
    assert {(catalogue_models.Difference.model_validate(each).op, each["path"]) for each in difference} == {
        ("add", "/description"),
        ("remove", "/outputs"),
        ("remove", "/steps/a/outBindings"),
        ("replace", "/steps/a/inBindings/script/defaultValue"),
    }
    back = (await real.client.get(f"{place}/1/diff?against=2")).json()
    assert {(each["op"], each["path"]) for each in back} >= {("remove", "/description"), ("add", "/outputs")}
    assert (await real.client.get(f"{place}/2/diff?against=2")).json() == []
    restored = await real.client.post(f"{place}/1/restore")
    assert (restored.status_code, restored.json()) == (200, created)
    assert (await real.execute(created["id"]))["outputs"] == {"said": "one"}
    assert [each["number"] for each in (await real.client.get(place)).json()] == [1, 2, 3]


@pytest.mark.parametrize("place", ["0", "2", "-1", "x", "99999999999999999999", "1/diff?against=7"])
async def test_a_revision_that_is_not_there_is_404(real: Real, place: str) -> None:
    created = await real.create(HELLO)
    assert (await real.client.get(f"{OWN}/workflows/{created['id']}/revisions/{place}")).status_code == 404


# --- older schemas ---


async def test_an_old_workflow_is_stored_as_sent_and_executed_as_converted(real: Real, root: str) -> None:
    old = {
        "name": "Old", "version": "1", "schemaVersion": "1.0", "outputs": [{"name": "said", "type": "string"}],
        "inputs": [{"name": "pw", "type": "password", "default": "hunter22"}],
        "steps": [
            {"stepId": "a", "workflow": "JS", "namespace": "n", "type": "JS", "nextStep": "END", "stepNumber": 1,
             "inBinding": [{"name": "script", "type": "string", "default": "return {text: 'old'}"}],
             "outBinding": [{"name": "text", "type": "string", "exportName": "said"}]},
        ],
    }  # fmt: skip
    created = await real.create(old, root)
    models.WorkflowResponse.model_validate(created)
    assert created["steps"] == old["steps"]
    assert created["inputs"][0]["default"] == MASK
    execution = await real.execute(created["id"], root)
    models.WorkflowExecution.model_validate(execution)
    assert execution["outputs"] == {"said": "old"}
    assert (execution["workflow"]["schemaVersion"], execution["workflow"]["steps"]["a"]["type"]) == ("3.0", "JS")
    assert "steps[0].namespace is left out" in execution["workflow"]["description"]
    kept = await real.client.post(f"{root}/workflow/{created['id']}", json=created | {"name": "Older"})
    assert kept.status_code == 200, kept.text
    moved = deepcopy(created)
    moved["steps"][0]["inBinding"][0]["default"] = "return {text: pw}"
    assert (await real.client.post(f"{root}/workflow/{created['id']}", json=moved)).status_code == 400


async def test_faults_of_an_old_workflow_name_what_was_sent(real: Real, root: str) -> None:
    source = first_schema()
    source["steps"][0]["nextStep"] = "nowhere"
    stored = await real.client.put(f"{root}/workflow", json=source)
    converted = await real.client.post(f"{root}/convert", json={"owner": {"id": "o", "type": "VNF"}, "original": source})
    assert (stored.status_code, converted.status_code) == (400, 400)
    assert any(each.startswith("steps[0].nextStep: ") for each in messages(stored))
    assert any(each.startswith("original.steps[0].nextStep: ") for each in messages(converted))


async def test_a_conversion_gives_what_can_be_stored(real: Real, root: str) -> None:
    owner = {"id": "vnf-1", "type": "VNF"}
    answer = await real.client.post(f"{root}/convert", json={"owner": owner, "original": first_schema(readOnly="true")})
    assert answer.status_code == 200, answer.text
    models.WorkflowBase.model_validate(answer.json())
    assert (answer.json()["owner"], answer.json()["readOnly"], answer.json()["schemaVersion"]) == (owner, True, "3.0")
    assert (await real.create(answer.json(), root))["owner"] == owner


async def test_two_faults_of_a_conversion_are_both_said(real: Real, root: str) -> None:
    answer = await real.client.post(f"{root}/convert", json={"owner": {"type": "x"}, "orignal": {}})
    assert answer.status_code == 400
    assert {each.partition(":")[0] for each in messages(answer)} == {"orignal", "original", "owner.id", "owner.type"}


async def test_a_validation_says_everything_and_stores_nothing(real: Real) -> None:
    wrong = HELLO | {"startStepId": "nowhere", "strange": 1, "variables": {"pw": {"type": "password", "defaultValue": MASK}}}
    answer = await real.client.post(f"{OWN}/validate", json=wrong)
    assert answer.status_code == 200
    review = catalogue_models.Review.model_validate(answer.json())
    assert {each.path for each in review.faults} == {"startStepId", "variables.pw.defaultValue"}
    assert [each.path for each in review.warnings if each.code == "UNKNOWN_FIELD"] == ["strange"]
    old = (await real.client.post(f"{OWN}/validate", json=first_schema(startStep="x"))).json()
    assert [each["path"] for each in old["faults"]] == ["startStep"]
    assert (await real.client.post(f"{OWN}/validate", json=HELLO)).json() == {"faults": [], "warnings": []}
    assert (await real.client.post(f"{OWN}/validate", json=[])).status_code == 400
