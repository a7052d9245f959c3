"""Risk: somebody sees or does what his role does not let him, or is refused what it does; an operation is added that nobody thought of."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from stepswitch.api.operation import OWN_ROOT, Operation
from stepswitch.api.operations import served
from stepswitch.bootstrap.server import application
from stepswitch.domain.errors import NotAuthenticatedError
from stepswitch.engine.account_ports import BegunLogin, DeviceLogin
from stepswitch.engine.audit import Act, Entry
from stepswitch.engine.callers import Caller
from stepswitch.engine.privileges import ROLES, Grant, Privilege, grant, grants_of
from stepswitch.engine.records import Account, Session
from stepswitch.storage.accounts import SqlAccountStore
from stepswitch.storage.audit import SqlAuditStore
from tests.api import inventories
from tests.api.house import KEY, PLAIN
from tests.domain.documents import document
from tests.engine.scripted import open_house

CORE, EDGE = "core restart", "edge restart"
SOURCE: Final = {name: value for name, value in document(name=CORE).items() if value is not None}
NARROW: Final = ("core *",)
PEOPLE: Final = {
    **{name: Caller(name, "default", grants_of([name], {})) for name in ROLES},
    "designer of core": Caller("designer of core", "default", (grant([Privilege.WORKFLOW_DESIGN], NARROW),)),
    "executor of edge": Caller("executor of edge", "default", (grant([Privilege.WORKFLOW_EXECUTE], ["edge *"]),)),
    "operator of core": Caller("operator of core", "default", (grant([Privilege.EXECUTION_OPERATE], NARROW),)),
    "operator of edge": Caller("operator of edge", "default", (grant([Privilege.EXECUTION_OPERATE], ["edge restart"]),)),
    "no role": Caller("no role"),
    "creator, now designer of edge": Caller("creator", "default", (grant([Privilege.WORKFLOW_DESIGN], ["edge *"]),)),
    "creator, now executor of edge": Caller("creator", "default", (grant([Privilege.WORKFLOW_EXECUTE], ["edge *"]),)),
    "creator without a role": Caller("creator"),
    "program of an administrator": Caller("System Administrator", "default", grants_of(["System Administrator"], {}), is_program=True),
    "administrator of another tenant": Caller("stranger", "other", grants_of(["System Administrator"], {})),
}
MAKER: Final = Caller("creator", "default", grants_of(["System Administrator"], {}))
REFUSED: Final = (401, 403, 404)
ALLOWED: Final = 0
"""Any answer but a refusal: what was asked may still not fit the state that the thing is in."""


class Tokens:
    """An `Authenticator` whose tokens are the names of people."""

    def __init__(self) -> None:
        self.people = {name.replace(" ", "-").replace(",", ""): caller for name, caller in (*PEOPLE.items(), ("maker", MAKER))}

    async def authenticate(self, token: str) -> Caller:
        if token not in self.people:
            raise NotAuthenticatedError("unknown token")
        return self.people[token]

    async def login(self, username: str, password: str, address: str = "", act: Act | None = None) -> tuple[str, Session]:
        return "token", Session("hash", username, "default", (), 1_900_000_000_000, "")

    async def logout(self, token: str, entry: Entry | None = None) -> None:
        """Nobody is logged out here."""

    async def ended(self, token: str) -> None:
        await asyncio.Event().wait()


class Vouched:
    """Logins through a provider that vouches for everybody."""

    async def begin(self, return_to: str) -> BegunLogin:
        return BegunLogin("https://login.example.net", "secret")

    async def finish(self, secret: str, answer: Mapping[str, str]) -> tuple[str, str]:
        return "ticket", "/"

    async def session_of(self, ticket: str, address: str, act: Act | None) -> tuple[str, Session]:
        return await Tokens().login("oidc:somebody", "")

    async def logout_address(self, user: str, return_to: str) -> str | None:
        return "https://login.example.net/logout"

    def logged_out(self, state: str) -> str | None:
        return "/"

    async def begin_on_device(self) -> DeviceLogin:
        return DeviceLogin("device", "user", "https://login.example.net/device", None, 600, 5)

    async def finish_on_device(self, device_code: str, address: str, act: Act | None) -> tuple[str, Session]:
        return await Tokens().login("oidc:somebody", "")


@dataclass
class Office:
    client: httpx.AsyncClient
    numbers: "itertools.count[int]"
    session: str
    audit: SqlAuditStore

    async def workflow(self, name: str = CORE) -> str:
        answer = await self.client.put(f"{PLAIN}/workflow", json=SOURCE | {"name": name}, headers=of("maker"))
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    async def execution(self, workflow_id: str) -> str:
        order = {"workflowId": workflow_id, "contextType": "NONE"}
        answer = await self.client.put(f"{PLAIN}/workflowExecution", json=order, headers=of("maker"))
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    async def ask(self, path: str, operation: Operation, who: str | None, workflow_id: str, execution_id: str) -> httpx.Response:
        target = workflow_id if operation.id != "createWorkflowAs" else f"0f9b7c1e-1111-4a9e-9d52-{next(self.numbers):012}"
        place = path.format(
            tenantId="default",
            workflowId=target,
            workflowExecutionId=execution_id,
            revision=1,
            username="worker",
            role="made",
            credential="made",
            **inventories.NAMES,
            sessionId=self.session,
        )
        query = {"attachmentId": "file.txt"} if "attachments" in path else {"host": "192.0.2.1"} if "host-keys" in path else {}
        method = "HEAD" if operation.media_type == "text/event-stream" else operation.method  # a stream does not end
        return await self.client.request(
            method, place, params=query, headers={} if who is None else of(who), **body_of(operation, workflow_id)
        )


def of(person: str) -> dict[str, str]:
    return {"x-hm-authorization": person.replace(" ", "-").replace(",", "")}


def body_of(operation: Operation, workflow_id: str) -> dict[str, Any]:
    """Return a request that is right in every other respect."""
    order = {"workflowId": workflow_id, "contextType": "NONE"}
    bodies: dict[str, Any] = {
        "createWorkflow": SOURCE,
        "createWorkflowAs": SOURCE,
        "replaceWorkflow": SOURCE,
        "validateWorkflow": SOURCE,
        "rehearseWorkflow": {"workflowId": workflow_id, "rehearsals": [{"name": "r", "results": {}, "expected": {"status": "COMPLETED"}}]},
        "createWorkflowExecution": order,
        "changeWorkflowExecution": {"pauseAtFailure": True},
        "setExecutionValues": {"values": {}},
        "createUser": {"username": f"worker {workflow_id}", "password": "a pigeon on the roof", "roles": []},
        "changeUser": {"isDisabled": False},
        "createRole": {"name": f"role {workflow_id}", "privileges": ["Workflow Read"]},
        "createOwnToken": {"name": f"token {workflow_id}", "privileges": []},
        "createTokenOfUser": {"name": f"token {workflow_id}", "privileges": []},
        "createCredential": {
            "name": "made",
            "source": {"kind": "stored", "value": "a pigeon"},
            "roles": ["*"],
            "workflows": ["*"],
            "devices": ["*"],
        },
        "changeCredential": {"description": "for people"},
        "trustHostKey": {"host": "192.0.2.1", "publicKey": KEY},
        "scanHostKeys": {"host": "127.0.0.1", "port": 1},
        **inventories.BODIES,
    }
    if operation.request_media_type == "multipart/form-data":
        files = {"file" if "attachments" in operation.path else "files": ("file.txt", b"content")}
        part = {"workflow": SOURCE} if operation.path == "/workflow" else {"workflowExecution": order}
        return {"files": files if "attachments" in operation.path else files | {name: (None, _json(value)) for name, value in part.items()}}
    if operation.request is None:
        return {}
    return {"json": bodies.get(operation.id, operation.example)}


def _json(value: Any) -> bytes:
    return httpx.Request("POST", "http://x", json=value).content


def expected(operation: Operation, person: Caller | None) -> int:
    """Return what the table and the roles say, in other words than the service does."""
    needs = operation.needs
    if needs.is_public:
        return ALLOWED
    if person is None:
        return 401
    if needs.of_people and person.is_program:
        return 403
    is_execution, is_workflow = "{workflowExecutionId}" in operation.path, "{workflowId}" in operation.path and operation.method != "PUT"
    orders = operation.id.startswith("createWorkflowExecution")
    names_one = operation.id == "rehearseWorkflow" or orders
    is_own = person.user == "creator" and (is_execution or is_workflow or names_one)
    held = {privilege for each in person.grants if _good_for_core(each) or is_own for privilege in each.privileges}
    held_anywhere = {privilege for each in person.grants for privilege in each.privileges}
    if orders and Privilege.WORKFLOW_EXECUTE not in held_anywhere:
        return 403
    seen = Privilege.EXECUTION_READ if is_execution else Privilege.WORKFLOW_READ
    is_seen = person.tenant == "default" and (is_own or seen in held)
    if (is_execution or is_workflow or orders) and not is_seen:
        return 404
    if "{username}" in operation.path and person.tenant != "default":
        return 404
    if needs.of_installation and person.tenant != "default":
        return 403
    if needs.privilege is None or needs.is_read:
        return ALLOWED
    if operation.id == "rehearseWorkflow":
        return 403 if Privilege.WORKFLOW_READ not in held_anywhere else ALLOWED if is_seen else 404
    if operation.id == "updateWorkflowFromExecution" and not is_own and Privilege.WORKFLOW_READ not in held:
        return 404  # of the workflow
    wanted = needs.of_others if is_execution and not is_own else needs.privilege
    if operation.id in ("convertWorkflow", "validateWorkflow", "getInventory", "listSourceStates", *inventories.ENTRY_READS):
        held = held_anywhere
    return ALLOWED if wanted in held else 403


def _good_for_core(each: Grant) -> bool:
    return not each.names or any(CORE.startswith(name.rstrip("*")) for name in each.names)


@asynccontextmanager
async def open_office(directory: Path) -> AsyncIterator[Office]:
    async with open_house(directory, start=False, vro_login_details=True) as house:
        house.service.accounts = Tokens()
        house.service.provider_logins = Vouched()
        store = SqlAccountStore(house.service._database)
        await store.put_account(Account("worker", "default", "no hash", ()))
        for name, caller in PEOPLE.items():
            await store.put_account(Account(caller.user, caller.tenant, "no hash", (name,) if name in ROLES else ()))
        transport = httpx.ASGITransport(application(house.service))
        async with httpx.AsyncClient(transport=transport, base_url="http://house", timeout=30) as client:
            yield Office(client, itertools.count(), "0" * 24, SqlAuditStore(house.service._database))


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as office:
        yield office


async def test_every_operation_lets_every_role_do_what_the_table_says_and_no_more(office: Office) -> None:
    wrong: list[str] = []
    for path, operation, _ in served():
        workflow_id = execution_id = ""
        people: list[tuple[str, Caller | None]] = [*PEOPLE.items(), ("nobody", None)]
        for name, person in people if "{tenantId}" not in path else (people[0], *people[-2:]):
            if not workflow_id:
                workflow_id = await office.workflow()
                execution_id = await office.execution(workflow_id)
            answer = await office.ask(path, operation, None if person is None else name, workflow_id, execution_id)
            want = expected(operation, person)
            if path.startswith("/tca") and person is not None and person.tenant != "default":
                want = 404
            if want == ALLOWED and answer.status_code not in REFUSED:
                workflow_id = ""  # it may be gone, or another one
            elif answer.status_code != want and not is_nothing_there(operation, answer, want):
                wrong.append(f"{name}: {operation.method} {path} is {answer.status_code}, not {want or 'allowed'}")
            if answer.status_code in REFUSED:
                assert not answer.content
                assert answer.headers["x-error-code"]
    assert not wrong, "\n".join(wrong)


def is_nothing_there(operation: Operation, answer: httpx.Response, want: int) -> bool:
    """Return whether somebody who may was told that there is nothing of what he asked for: a file, a login, a key."""
    asks = "attachmentId" in {each.name for each in operation.parameters} or operation.id in (
        "getVroLoginDetails",
        "forgetHostKeys",
        "removeRole",
        "endOwnSession",
        "endSessionOfUser",
    )
    may_be_gone = ("getCredential", "changeCredential", "removeCredential", "checkCredential", "refreshSource")
    if operation.id in (*may_be_gone, *inventories.ENTRY_READS, *inventories.ENTRY_REMOVALS):
        return want == ALLOWED and answer.status_code == 404
    return want == ALLOWED and asks and answer.status_code == 404 and operation.method in ("GET", "DELETE")


def test_the_roles_are_those_that_are_documented() -> None:
    read, design, execute = Privilege.WORKFLOW_READ, Privilege.WORKFLOW_DESIGN, Privilege.WORKFLOW_EXECUTE
    assert {name: role.privileges for name, role in ROLES.items()} == {
        "Workflow Designer": {read, design},
        "Workflow Executor": {read, execute},
        "System Administrator": set(Privilege),
        "System Auditor": {read, Privilege.EXECUTION_READ, Privilege.INVENTORY_READ},
        "Operations": {
            *(read, execute, Privilege.EXECUTION_READ, Privilege.EXECUTION_OPERATE),
            *(Privilege.FUNCTION_MANAGE, Privilege.INVENTORY_READ),
        },
    }
    assert grants_of(["workflow-executor", "SYSTEM-AUDITOR"], {}) == grants_of(["Workflow Executor", "System Auditor"], {})
    assert grants_of(["no such role"], {}) == ()


def test_an_operation_that_does_not_say_what_it_needs_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="needs"):
        Operation("x", "GET", f"{OWN_ROOT}/x", None, "Service", "x", "x", None)  # type: ignore[call-arg, arg-type]


# --- lists ---


@pytest.mark.parametrize(
    ("person", "workflows", "executions"),
    [
        ("System Administrator", {CORE, EDGE}, {CORE, EDGE}),
        ("System Auditor", {CORE, EDGE}, {CORE, EDGE}),
        ("Workflow Executor", {CORE, EDGE}, set()),
        ("designer of core", {CORE}, set()),
        ("operator of core", set(), {CORE}),
        ("operator of edge", set(), {EDGE}),
        ("no role", set(), set()),
        ("creator without a role", {CORE, EDGE}, {CORE, EDGE}),
        ("administrator of another tenant", set(), set()),
    ],
)
@pytest.mark.parametrize("any_match", ["false", "true"])
async def test_lists_show_and_count_what_may_be_seen(
    office: Office, person: str, workflows: set[str], executions: set[str], any_match: str
) -> None:
    for name in (CORE, EDGE):
        await office.execution(await office.workflow(name))
    headers = of(person) | {"x-stepswitch-count": "true", "x-tca-anymatch": any_match}
    for path, filtered, seen in (
        ("workflow", "(eq,readOnly,false);(cont,name,restart)", workflows),
        ("workflowExecution", "(in,status,QUEUED,RUNNING);(eq,contextType,NONE)", executions),
    ):
        for query in ({}, {"filter": filtered}):
            answer = await office.client.get(f"{PLAIN}/{path}", headers=headers, params=query)
            assert answer.status_code == 200, answer.text
            found = [each["name"] if path == "workflow" else each["workflow"]["name"] for each in answer.json()]
            assert sorted(found) == sorted(seen)
            assert answer.headers["x-total-count"] == str(len(seen))


async def test_pages_of_a_narrowed_role_are_full_and_skip_nothing(office: Office) -> None:
    wanted = [await office.workflow(CORE if number % 3 else EDGE) for number in range(12)]
    expected_ids = [each for number, each in enumerate(wanted) if number % 3]
    found: list[str] = []
    place = f"{PLAIN}/workflow?nextpage_opaque_marker=page_number=1,page_size=3,sort=createdAt,asc"
    while place:
        answer = await office.client.get(place, headers=of("designer of core"))
        assert answer.status_code == 200, answer.text
        page = [each["id"] for each in answer.json()]
        found += page
        place = answer.links.get("next", {}).get("url", "")
        assert len(page) == 3 or not place
    assert found == expected_ids


# --- rules that are more than a row of the table ---


async def test_steps_are_changed_by_designers_only_for_they_may_hold_passwords(office: Office) -> None:
    execution = await office.execution(await office.workflow())
    edit = {"steps": {"a": {"type": "NOOP"}}}
    place = f"{PLAIN}/workflowExecution/{execution}"
    assert (await office.client.patch(place, json=edit, headers=of("Operations"))).status_code == 403
    assert (await office.client.patch(place, json=edit, headers=of("creator, now executor of edge"))).status_code == 403
    assert (await office.client.patch(place, json=edit, headers=of("maker"))).status_code == 400  # it is not paused
    assert (await office.client.patch(place, json={"pauseAtFailure": True}, headers=of("Operations"))).status_code == 200


async def test_a_file_takes_the_place_of_one_of_the_workflow_for_designers_only(office: Office) -> None:
    document = {"workflow": (None, _json(SOURCE), "application/json")}
    script: list[tuple[str, Any]] = [*document.items(), ("files", ("run.sh", b"exit 0"))]
    made = await office.client.post(f"{PLAIN}/workflow", files=script, headers=of("maker"))
    order = {"workflowExecution": (None, _json({"workflowId": made.json()["id"], "contextType": "NONE"}), "application/json")}

    async def start(person: str, name: str) -> httpx.Response:
        files: list[tuple[str, Any]] = [*order.items(), ("files", (name, b"exit 1"))]
        return await office.client.post(f"{PLAIN}/workflowExecution", files=files, headers=of(person))

    assert (await start("Workflow Executor", "run.sh")).status_code == 403
    assert (await start("maker", "run.sh")).status_code == 200
    own = await start("Workflow Executor", "input.txt")
    assert own.status_code == 200
    place = f"{PLAIN}/workflowExecution/{own.json()['id']}/attachments"

    async def attach(name: str) -> int:
        answer = await office.client.post(place, files={"file": (name, b"exit 1")}, headers=of("Workflow Executor"))
        return answer.status_code

    assert await attach("run.sh") == 403
    assert await attach("more.txt") in (200, 400)  # 400 where it has ended meanwhile


@pytest.mark.parametrize("context", ["VNF", "CNF", "NS"])
async def test_a_context_needs_the_privilege_to_manage_what_it_is_about(office: Office, context: str) -> None:
    order = {"workflowId": await office.workflow(), "contextType": context, "context": {}}
    answers = {
        person: (await office.client.put(f"{PLAIN}/workflowExecution", json=order, headers=of(person))).status_code
        for person in ("Workflow Executor", "Operations", "System Administrator")
    }
    assert answers["Workflow Executor"] == 403
    assert set(answers.values()) - {403} == {answers["Operations"]} == {answers["System Administrator"]}


async def test_nobody_puts_a_workflow_under_a_name_beyond_his_role(office: Office) -> None:
    designer = of("designer of core")
    made = await office.client.put(f"{PLAIN}/workflow", json=SOURCE, headers=designer)
    assert made.status_code == 200
    beyond = SOURCE | {"name": EDGE}
    assert (await office.client.put(f"{PLAIN}/workflow", json=beyond, headers=designer)).status_code == 403
    place = f"{PLAIN}/workflow/{made.json()['id']}"
    assert (await office.client.post(place, json=beyond, headers=designer)).status_code == 403
    assert (await office.client.post(place, json=SOURCE | {"name": "core other"}, headers=designer)).status_code == 200


async def test_a_workflow_that_is_sent_along_is_rehearsed_for_designers_only(office: Office) -> None:
    order = {"workflow": SOURCE, "rehearsals": [{"name": "r", "results": {}, "expected": {"status": "COMPLETED"}}]}
    assert (await office.client.post(f"{OWN_ROOT}/rehearse", json=order, headers=of("Operations"))).status_code == 403
    assert (await office.client.post(f"{OWN_ROOT}/rehearse", json=order, headers=of("Workflow Designer"))).status_code == 200


@pytest.mark.parametrize(
    ("names", "name", "covered"),
    [
        ((), "anything", True),
        (("core",), "core", True),
        (("core",), "core 2", False),
        (("core*",), "core 2", True),
        (("core*",), "Core 2", False),
        (("*",), "", True),
        (("a", "b*"), "bc", True),
        (("a_c", "a%"), "abc", False),
    ],
)
def test_a_role_is_narrowed_by_whole_names_and_beginnings(names: tuple[str, ...], name: str, covered: bool) -> None:
    assert grant([Privilege.WORKFLOW_READ], names).covers(name) is covered
