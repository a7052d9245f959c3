"""Risk: somebody changes something, or is refused something, and the audit trail does not have it, has it twice, or has a secret."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from stepswitch.api.operation import OWN_ROOT, Audit, Operation
from stepswitch.api.operations import served
from stepswitch.bootstrap.server import application
from stepswitch.engine.audit import Actor, Entry, written_time
from stepswitch.engine.audit_trail import LOOK_SECONDS, AuditTrail, check_chain
from stepswitch.storage.audit import SqlAuditStore
from tests.api.house import KEY, PLAIN, TENANT
from tests.api.real import real_service
from tests.api.test_who_may import Office, body_of, of, open_office
from tests.domain.documents import document
from tests.engine.scripted import ANN, open_house

PASSWORD = "long enough"
NOOP = {"name": "n", "version": "1", "schemaVersion": "3.0", "startStepId": "a", "steps": {"a": {"type": "NOOP"}}}
FAILS = {"a": {"type": "JS", "inBindings": {"script": {"type": "string", "defaultValue": "throw Error('no')"}}}}
SUCCESS = (200, 204)
SENSITIVE = {"getVroLoginDetails", "listAuditRecords", "exportAuditRecords"}


class Watched:
    """An office whose audit trail is looked at after each request."""

    def __init__(self, office: Office, trail: SqlAuditStore) -> None:
        self.office, self.trail = office, trail
        self.seen = 0

    async def new(self) -> list[dict[str, Any]]:
        """Return what was recorded since the last look."""
        found = await self.trail.behind(self.seen, 1_000)
        self.seen = found[-1].record.number if found else self.seen
        return [json.loads(each.record.text) for each in found]


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    async with open_office(tmp_path) as office:
        yield Watched(office, office.audit)


def test_an_operation_that_does_not_say_what_is_recorded_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="audit"):
        Operation("x", "GET", f"{OWN_ROOT}/x", None, "Service", "x", "x", None, needs=None)  # type: ignore[call-arg, arg-type]


def test_what_changes_something_is_recorded_and_what_reads_is_not() -> None:
    """The methods say it, but for a few that are named here: so that nobody marks a new operation wrongly without a look."""
    posts_that_read = {"convertWorkflow", "validateWorkflow", "rehearseWorkflow", "beginDeviceLogin"}
    for _, operation, _ in served():
        is_read = operation.method == "GET" or operation.id in posts_that_read
        assert (operation.audit is Audit.CHANGE) != is_read, operation.id
    assert {operation.id for _, operation, _ in served() if operation.audit is Audit.SENSITIVE} == SENSITIVE


async def test_every_operation_leaves_one_record_where_it_changes_something_and_none_where_it_reads(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart: list[str] = []
    real = AuditTrail.record

    async def noted(self: AuditTrail, entry: Entry) -> None:
        apart.append(entry.operation)
        await real(self, entry)

    monkeypatch.setattr(AuditTrail, "record", noted)
    office, wrong, walked = watched.office, [], set()
    for path, operation, _ in served():
        workflow_id = await office.workflow()
        execution_id = await office.execution(workflow_id)
        await watched.new()
        answer = await office.ask(path, operation, "maker", workflow_id, execution_id)
        records = await watched.new()
        if answer.status_code in SUCCESS:
            walked.add(operation.id)
            wanted = [] if operation.audit is Audit.READ else [(operation.id, "allowed", answer.status_code)]
            found = [(record["operation"], record["outcome"], record["status"]) for record in records]
            if found != wanted:
                wrong.append(f"{operation.method} {path}: {found}, not {wanted}")
        elif operation.audit is not Audit.SENSITIVE and [record for record in records if record["operation"] != "changeOwnPassword"]:
            wrong.append(f"{operation.method} {path} is {answer.status_code} and leaves {records}")
    assert not wrong, "\n".join(wrong)
    assert set(apart) <= CHANGE_NOTHING, "the others have to be recorded by the store that makes the change, in its transaction"
    left = {operation.id for _, operation, _ in served() if operation.audit is Audit.CHANGE} - walked
    assert left == NEED_ANOTHER_STATE, "these want a state of their own: ask them in a test of their own"
    check = await check_chain(watched.trail)
    assert check.finding is None


CHANGE_NOTHING = {
    *("checkCredential", "login", "loginSingular", "openProviderSession", "openDeviceSession"),
    *("logout", "logoutSingular", "logoutAtProvider"),
    "updateWorkflowFromExecution",
}
"""The logins of this office know no store, and steps that nobody has edited are written back without a change."""
NEED_ANOTHER_STATE = {
    "detachFromWorkflow",
    "detachFromExecution",
    "deleteWorkflowExecution",
    "resumeWorkflowExecution",
    "retryWorkflowExecution",
    "setExecutionValues",
    "changeOwnPassword",
    "removeRole",
    "endOwnSession",
    "endSessionOfUser",
    "scanHostKeys",
    "breakExecutionLock",
    "abandonExecutionCleanup",
    "refreshSource",
}


async def test_every_operation_leaves_one_record_where_somebody_is_refused(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepswitch.engine.audit_trail.MOST_CALLERS", 1_000)
    wrong: list[str] = []
    office = watched.office
    for path, operation, _ in served():
        if path.startswith("/tca"):
            continue
        workflow_id = await office.workflow()
        execution_id = await office.execution(workflow_id)
        await watched.new()
        answer = await office.ask(path, operation, "no role", workflow_id, execution_id)
        records = await watched.new()
        if answer.status_code in (403, 404) and operation.id != "endOwnSession":  # of which there is none
            found = [(record["operation"], record["outcome"], record["status"], record["actor"]["user"]) for record in records]
            if found != [(operation.id, "refused", answer.status_code, "no role")]:
                wrong.append(f"{operation.method} {path} is {answer.status_code} and leaves {found}")
    assert not wrong, "\n".join(wrong)


async def test_what_is_not_there_is_no_refusal_and_what_is_hidden_is_one(watched: Watched) -> None:
    office = watched.office
    execution_id = await office.execution(await office.workflow())
    await watched.new()
    assert (await office.client.get(f"{PLAIN}/workflowExecution/nothing", headers=of("no role"))).status_code == 404
    assert await watched.new() == []
    assert (await office.client.get(f"{PLAIN}/workflowExecution/{execution_id}", headers=of("no role"))).status_code == 404
    (record,) = await watched.new()
    assert (record["object"], record["status"]) == ({"id": execution_id, "kind": "execution", "name": ""}, 404)
    place = "/tca/workflows/api/v1/orgs/somebody-elses/workflow"
    assert (await office.client.get(place, headers=of("no role"))).status_code == 404
    (record,) = await watched.new()
    assert (record["operation"], record["outcome"]) == ("listWorkflows", "refused")


# --- a whole service, with its logins ---


class Desk:
    """A service with an administrator who is logged in, and its audit trail."""

    def __init__(self, client: httpx.AsyncClient, trail: SqlAuditStore) -> None:
        self.client, self.trail = client, trail
        self.seen = 0

    async def new(self) -> list[dict[str, Any]]:
        found = await self.trail.behind(self.seen, 1_000)
        self.seen = found[-1].record.number if found else self.seen
        return [json.loads(each.record.text) for each in found]

    async def login(self, user: str, password: str) -> httpx.Response:
        return await self.client.post(
            "/hybridity/api/sessions", json={"username": user, "password": password}, headers={"x-hm-authorization": ""}
        )


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_house(tmp_path, start=False) as house:
        transport = httpx.ASGITransport(application(house.service), client=("192.0.2.9", 4711))
        async with httpx.AsyncClient(transport=transport, base_url="http://house", timeout=30) as client:
            desk = Desk(client, SqlAuditStore(house.service._database))
            token = (await desk.login("admin", PASSWORD)).headers["x-hm-authorization"]
            client.headers["x-hm-authorization"] = token
            yield desk


async def test_logins_good_and_bad_and_logouts_say_who_and_from_where(desk: Desk) -> None:
    made, login = await desk.new()
    assert (made["operation"], made["actor"]["kind"], made["object"]["id"]) == ("createUser", "system", "admin")
    assert (login["operation"], login["outcome"], login["from"], login["actor"]["user"]) == ("login", "allowed", "192.0.2.9", "admin")
    session = login["actor"]["session"]
    assert login["object"] == {"id": session, "kind": "session", "name": ""}
    assert (await desk.login("admin", "wrong horse")).status_code == 401
    (bad,) = await desk.new()
    assert (bad["outcome"], bad["status"], bad["actor"]) == ("refused", 401, {"kind": "unknown", "session": "", "user": "admin"})
    assert (bad["from"], bad["tenant"]) == ("192.0.2.9", "default")
    assert (await desk.client.delete("/hybridity/api/sessions")).status_code == 204
    (out,) = await desk.new()
    assert (out["operation"], out["status"], out["actor"]["session"]) == ("logout", 204, session)


async def test_what_is_typed_for_a_user_that_is_none_is_not_recorded(desk: Desk) -> None:
    await desk.new()
    assert (await desk.login("my secret password", "admin")).status_code == 401
    (record,) = await desk.new()
    assert (record["actor"]["user"], record["tenant"], record["outcome"]) == ("", "", "refused")
    assert "my secret password" not in json.dumps(record)


async def test_guessing_makes_few_records(desk: Desk) -> None:
    await desk.new()
    for _ in range(30):
        await desk.login("admin", "wrong horse")
    assert [record["status"] for record in await desk.new()] == [401, 429]


async def test_users_are_told_before_and_after_and_passwords_never(desk: Desk) -> None:
    new = {"username": "ann", "password": "a pigeon on the roof", "roles": ["Operations"]}
    await desk.client.post(f"{OWN_ROOT}/users", json=new)
    await desk.client.patch(f"{OWN_ROOT}/users/ann", json={"roles": ["System Auditor"], "password": "another pigeon entirely"})
    made, changed = (await desk.new())[-2:]
    assert made["after"] == {"isDisabled": False, "roles": ["Operations"], "tenantId": "default"}
    assert changed["before"] == {"password": "********", "roles": ["Operations"]}
    assert changed["after"] == {"password": "********", "roles": ["System Auditor"]}
    wrong = {"oldPassword": "no such horse", "newPassword": "a third pigeon in the air"}
    assert (await desk.client.post(f"{OWN_ROOT}/password", json=wrong)).status_code == 400
    (refused,) = await desk.new()
    assert (refused["operation"], refused["outcome"], refused["status"]) == ("changeOwnPassword", "refused", 400)
    assert (await desk.client.post(f"{OWN_ROOT}/password", json=wrong | {"oldPassword": PASSWORD})).status_code == 204
    (own,) = await desk.new()
    assert (own["object"]["id"], own["after"]) == ("admin", {"password": "********"})


async def test_tokens_sessions_and_roles_are_told(desk: Desk) -> None:
    await desk.new()
    made = (await desk.client.post(f"{OWN_ROOT}/tokens", json={"name": "nightly", "privileges": ["Workflow Read"]})).json()
    (record,) = await desk.new()
    assert record["object"] == {"id": made["id"], "kind": "token", "name": "nightly"}
    assert (record["after"]["user"], record["after"]["privileges"]) == ("admin", ["Workflow Read"])
    by_token = {"x-hm-authorization": made["token"]}
    assert (await desk.client.put(f"{PLAIN}/workflow", json=document(), headers=by_token)).status_code == 403
    (record,) = await desk.new()
    assert (record["actor"]["kind"], record["actor"]["session"]) == ("token", made["id"])
    assert (await desk.client.delete(f"{OWN_ROOT}/sessions/{made['id']}")).status_code == 204
    await desk.client.post(f"{OWN_ROOT}/roles", json={"name": "core", "privileges": ["Workflow Execute"], "workflowNames": ["core *"]})
    await desk.client.delete(f"{OWN_ROOT}/roles/core")
    ended, role, removed = await desk.new()
    assert (ended["operation"], ended["object"]["kind"]) == ("endOwnSession", "token")
    assert role["after"] == removed["before"] == {"privileges": ["Workflow Execute", "Workflow Read"], "workflowNames": ["core *"]}
    assert made["token"] not in json.dumps([record, ended])
    session = (await desk.client.get(f"{OWN_ROOT}/users/admin/sessions")).json()[0]["id"]
    assert (await desk.client.delete(f"{OWN_ROOT}/users/admin/sessions/{session}")).status_code == 204
    (of_user,) = await desk.new()
    assert (of_user["operation"], of_user["object"]["id"], of_user["before"]) == ("endSessionOfUser", session, {"user": "admin"})


async def test_workflows_and_executions_are_told_by_what_changed_and_no_value(desk: Desk) -> None:
    plain = {name: value for name, value in document(variables={"note": {"type": "string"}}).items() if value is not None}
    workflow = (await desk.client.put(f"{PLAIN}/workflow", json=plain)).json()
    steps = plain["steps"] | {"more": {"type": "NOOP"}}
    await desk.client.post(f"{PLAIN}/workflow/{workflow['id']}", json=plain | {"steps": steps, "description": "new"})
    created, replaced = (await desk.new())[-2:]
    assert (created["object"]["id"], created["after"]["revision"]) == (workflow["id"], 1)
    assert (replaced["before"], replaced["after"]["revision"]) == ({"revision": 1}, 2)
    assert set(replaced["after"]["changed"]) == {"description", "steps.more"}
    order = {"workflowId": workflow["id"], "contextType": "NONE", "debugStepIds": [next(iter(plain["steps"]))]}
    execution = (await desk.client.put(f"{TENANT}/workflowExecution", json=order)).json()
    place = f"{PLAIN}/workflowExecution/{execution['id']}"
    assert (await desk.client.patch(place, json={"pauseAtFailure": True})).status_code == 200
    assert (await desk.client.post(f"{place}/abort")).status_code == 200
    assert (await desk.client.post(f"{place}/abort")).status_code == 200
    assert (await desk.client.delete(place)).status_code == 204
    made, patched, aborted, again, gone = await desk.new()
    assert made["after"] == {"assignments": [], "contextType": "NONE", "workflowId": workflow["id"]}
    assert (patched["before"], patched["after"]) == ({"pauseAtFailure": False}, {"pauseAtFailure": True})
    assert aborted["after"] == {"status": "ABORTED"}
    assert (again["before"], again["after"], again["outcome"]) == ({}, {}, "allowed")
    assert (gone["operation"], gone["status"], gone["object"]["id"]) == ("deleteWorkflowExecution", 204, execution["id"])


async def test_host_keys_and_a_request_that_is_sent_again(desk: Desk) -> None:
    await desk.new()
    server = {"host": "192.0.2.1"}
    await desk.client.post(f"{OWN_ROOT}/host-keys", json=server | {"publicKey": KEY})
    assert (await desk.client.delete(f"{OWN_ROOT}/host-keys", params=server)).status_code == 204
    assert (await desk.client.delete(f"{OWN_ROOT}/host-keys", params=server)).status_code == 404
    assert [(record["operation"], record["object"]["id"]) for record in await desk.new()] == [
        ("trustHostKey", "192.0.2.1:22"),
        ("forgetHostKeys", "192.0.2.1:22"),
    ]
    workflow = (await desk.client.put(f"{PLAIN}/workflow", json=document())).json()
    order = {"workflowId": workflow["id"], "contextType": "NONE"}
    await desk.new()
    for _ in range(2):
        await desk.client.put(f"{PLAIN}/workflowExecution", json=order, headers={"idempotency-key": "once"})
    first, second = await desk.new()
    assert (first["object"]["kind"], second["object"]["kind"]) == ("execution", "")


def test_the_bodies_of_the_walk_are_right_for_every_operation() -> None:
    for _, operation, _ in served():
        assert operation.request is None or body_of(operation, "w"), operation.id


async def test_steering_and_files_are_recorded_by_the_store_that_makes_the_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def apart(self: AuditTrail, entry: Entry) -> None:
        raise AssertionError(f"{entry.operation} was recorded by itself")

    monkeypatch.setattr(AuditTrail, "record", apart)
    async with real_service(tmp_path) as real:
        trail = SqlAuditStore(real.service._database)
        workflow = await real.create({**NOOP, "variables": {"note": {"type": "string", "defaultValue": "old"}}})
        order = {"workflowId": workflow["id"], "contextType": "NONE", "debugStepIds": ["a"]}
        execution = (await real.client.put(f"{PLAIN}/workflowExecution", json=order)).json()
        place, own = f"{PLAIN}/workflowExecution/{execution['id']}", f"{OWN_ROOT}/executions/{execution['id']}"
        failed = await real.execute((await real.create({**NOOP, "name": "fails", "steps": FAILS}))["id"])
        seen = await trail.newest()
        file = {"file": ("notes.txt", b"content")}
        wanted = [
            ("attachToExecution", await real.client.post(f"{place}/attachments", files=file)),
            ("detachFromExecution", await real.client.delete(f"{place}/attachments", params={"attachmentId": "notes.txt"})),
            ("setExecutionValues", await real.client.post(f"{own}/values", json={"values": {"note": "planted-value"}})),
            (
                "changeWorkflowExecution",
                await real.client.patch(place, json={"steps": {"a": {"type": "NOOP", "description": "planted-text"}}}),
            ),
            ("updateWorkflowFromExecution", await real.client.post(f"{place}/updateWorkflow")),
            ("resumeWorkflowExecution", await real.client.post(f"{place}/resume")),
            ("retryWorkflowExecution", await real.client.post(f"{failed['links']['self']}/retry")),
        ]
        workflow_place = f"{PLAIN}/workflow/{workflow['id']}/attachments"
        wanted += [
            ("attachToWorkflow", await real.client.post(workflow_place, files=file)),
            ("detachFromWorkflow", await real.client.delete(workflow_place, params={"attachmentId": "notes.txt"})),
            ("restoreRevision", await real.client.post(f"{OWN_ROOT}/workflows/{workflow['id']}/revisions/1/restore")),
            ("deleteWorkflow", await real.client.delete(f"{PLAIN}/workflow/{workflow['id']}")),
        ]
        assert [(name, answer.status_code) for name, answer in wanted if answer.status_code not in SUCCESS] == []
        texts = [each.record.text for each in await trail.behind(seen, 100)]
    records = [json.loads(text) for text in texts]
    assert [record["operation"] for record in records] == [name for name, _ in wanted]
    assert {(record["outcome"], record["actor"]["user"]) for record in records} == {("allowed", "admin")}
    assert records[2]["after"] == {"values": ["note"]}
    assert [records[place]["before"]["status"] for place in (5, 6)] == ["PAUSED", "FAILED"]
    assert "planted" not in "".join(texts)


# --- reading it ---


async def test_administrators_read_the_trail_page_by_page_and_as_lines(desk: Desk) -> None:
    for number in range(5):
        await desk.client.post(f"{OWN_ROOT}/roles", json={"name": f"role {number}", "privileges": ["Workflow Read"]})
    numbers: list[int] = []
    place = f"{OWN_ROOT}/audit?operation=createRole&page_size=2"
    while place:
        answer = await desk.client.get(place)
        assert answer.status_code == 200, answer.text
        numbers += [each["number"] for each in answer.json()]
        place = answer.links.get("next", {}).get("url", "")
    assert numbers == sorted(numbers, reverse=True)
    assert len(numbers) == 5
    lines = (await desk.client.get(f"{OWN_ROOT}/audit/export")).text.splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["number"] for record in records] == list(range(1, len(records) + 1))
    assert {record["record"]["operation"] for record in records} >= {"login", "createRole", "listAuditRecords"}
    one = await desk.client.get(f"{OWN_ROOT}/audit", params={"object": "role 3"})
    assert [each["record"]["object"]["id"] for each in one.json()] == ["role 3"]
    assert (await desk.client.get(f"{OWN_ROOT}/audit", params={"outcome": "refused"})).json() == []


async def test_who_reads_the_trail_is_in_it_and_who_may_not_is_refused(watched: Watched) -> None:
    client = watched.office.client
    for path, name in ((f"{OWN_ROOT}/audit", "listAuditRecords"), (f"{OWN_ROOT}/audit/export", "exportAuditRecords")):
        await watched.new()
        assert (await client.get(path, headers=of("maker"))).status_code == 200
        assert (await client.get(path, headers=of("System Auditor"))).status_code == 403
        assert [(record["operation"], record["outcome"]) for record in await watched.new()] == [(name, "allowed"), (name, "refused")]


async def test_an_administrator_of_a_tenant_sees_that_tenant_and_no_other(watched: Watched) -> None:
    await watched.office.workflow()
    elsewhere = of("administrator of another tenant")
    await watched.office.client.put(f"{PLAIN}/workflow", json=document(), headers=elsewhere)
    for path in (f"{OWN_ROOT}/audit", f"{OWN_ROOT}/audit/export"):
        lines = (await watched.office.client.get(path, headers=elsewhere)).text
        assert "creator" not in lines
        assert "stranger" in lines


# --- what the service does by itself ---


async def test_old_records_go_by_themselves_where_the_settings_say_so_and_that_is_recorded(tmp_path: Path) -> None:
    async with open_house(tmp_path, start=False) as house:
        trail = SqlAuditStore(house.service._database)
        for number in range(5):
            await trail.append(Entry("createUser", house.clock.now() + number, "default", "ann", Actor.SESSION))
    async with open_house(tmp_path, start=False, audit_retention_days=30) as house:
        house.clock.jump(31 * 86_400)
        house.service._background.append(asyncio.get_running_loop().create_task(house.service.audit.run()))
        await house.clock.until_sleeping_for(LOOK_SECONDS)
        await house.clock.advance(LOOK_SECONDS)
        trail = SqlAuditStore(house.service._database)
        await house.clock.until_sleeping_for(LOOK_SECONDS)
        (left,) = await trail.behind(0, 10)
        record = json.loads(left.record.text)
        assert (record["operation"], record["actor"], record["tenant"]) == ("pruneAudit", {"kind": "system", "session": "", "user": ""}, "")
        assert (record["after"]["why"], record["after"]["number"]) == ("audit_retention_days", 6)
        check = await check_chain(trail)
        assert (check.finding, check.missing, check.count) == (None, 6, 1)


async def test_what_the_retention_removes_is_recorded_with_why(tmp_path: Path) -> None:
    async with open_house(tmp_path, start=False) as house:
        view = await house.create(document(), debug_step_ids=("a",))
        await house.service.steering.abort(ANN, view.head.id, "")
        house.clock.jump(31 * 86_400)
        assert await house.service.conductor.remove_expired(view.head.id)
        trail = SqlAuditStore(house.service._database)
        record = json.loads((await trail.behind(await trail.newest() - 1, 1))[0].record.text)
        assert (record["operation"], record["object"]["id"], record["tenant"]) == ("removeExpiredExecution", view.head.id, "default")
        assert (record["actor"]["kind"], record["before"]["status"], record["before"]["creationUser"]) == ("system", "ABORTED", "ann")
        assert record["before"]["retainedTil"] < written_time(house.clock.now())
