"""Tenants side by side, each with a world of its own: whatever one does is done once beside the others and once alone, and compared.

A play is a list of acts of two tenants. It is played with both, and for each of them alone. What a tenant is answered has to be the same, but for
ids, and for the numbers of audit records, which are one chain for all. So nothing of another tenant is told: no value, no count, no place, and not
even that a thing is there.
"""

import hashlib
import itertools
import json
import re
import secrets
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from starlette.types import ASGIApp

from stepswitch.api.operation import OWN_ROOT, Operation
from stepswitch.api.operations import served
from stepswitch.domain.errors import NotAuthenticatedError
from stepswitch.engine.privileges import ADMINISTRATOR
from stepswitch.engine.records import Account, Session
from stepswitch.storage.accounts import SqlAccountStore
from tests.api import inventories
from tests.api.house import KEY
from tests.engine.scripted import House

NAMES: Final = ("north", "south")
SERVED: Final = tuple((path, operation) for path, operation, _ in served())
WAYS: Final = {f"{operation.method} {path}": (path, operation) for path, operation in SERVED}
SECONDS_APART: Final = 1.0
PASSWORD: Final = "a pigeon on the roof"
COMPARED_HEADERS: Final = (
    "x-error-code",
    "etag",
    "x-total-count",
    "x-stepswitch-warnings",
    "retry-after",
    "content-disposition",
    "www-authenticate",
)
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_SESSION: Final = re.compile(r"(?<![0-9a-f])[0-9a-f]{24}(?![0-9a-f])")
_TOKEN: Final = re.compile(r"ssw_[A-Za-z0-9_-]{43}")
_DIGEST: Final = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_TAG: Final = re.compile(r'W/"([0-9a-f]+-[0-9a-f]+)(\.[0-9a-f]{16})*"')
"""The tag of an execution: its state, and digests of what is shown, ids too."""
_CHAIN: Final = re.compile(r'"hash":"[0-9a-f]{64}","number":\d+,"previous":"[0-9a-f]{64}"')


@dataclass(frozen=True)
class Act:
    """One request: who asks, how, and whether for something of his own or of the other tenant. `pick` says which one of several."""

    who: str
    way: str
    of_other: bool = False
    pick: int = 0
    in_other_root: bool = False
    """Whether the path names the other tenant, where it names one."""


@dataclass
class Party:
    """A tenant in one playing. Its mark stands in all that it plants: nobody can guess it, while others may know what it is called."""

    name: str
    called: str = field(default_factory=lambda: secrets.token_hex(8))
    mark: str = field(default_factory=lambda: f"planted{secrets.token_hex(8)}")
    header: str = ""
    is_there: bool = True
    held: dict[str, list[str]] = field(default_factory=dict)
    made_up: dict[tuple[str, int], str] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    @property
    def tenant(self) -> str:
        return f"tenant-{self.called}"

    @property
    def user(self) -> str:
        return f"admin-{self.called}"

    def thing(self, kind: str, pick: int) -> str:
        """Return the id of what it has of a kind; one that nothing has where it has not so many."""
        held = self.held.get(kind, [])
        if pick < len(held):
            return held[pick]
        if kind in ("user", "role", "credential", "entry"):
            return f"{kind}-{self.called}-{pick}"
        made = secrets.token_hex(12) if kind == "session" else str(uuid.uuid4())
        return self.made_up.setdefault((kind, pick), made)

    def keep(self, kind: str, name: object) -> None:
        if isinstance(name, str):
            self.held.setdefault(kind, []).append(name)


@dataclass
class Playing:
    """Two tenants, of whom one may be missing, at one service."""

    house: House
    app: ASGIApp
    parties: dict[str, Party]
    address: str

    @classmethod
    async def open(cls, house: House, app: ASGIApp, present: Iterable[str], number: int) -> "Playing":
        there = set(present)
        parties = {name: Party(name, is_there=name in there) for name in NAMES}
        playing = cls(house, app, parties, f"192.0.{number // 250 % 250}.{number % 250}")
        store = SqlAccountStore(house.service._database)
        for party in parties.values():
            if party.is_there:
                stored = await house.service.users._passwords.hash(PASSWORD)
                await store.add_account(Account(party.user, party.tenant, stored, (ADMINISTRATOR,)))
        return playing

    async def play(self, acts: Sequence[Act]) -> None:
        """Let everybody who is there do what he does, each act at its own moment."""
        start = self.house.clock.now()
        for number, act in enumerate(acts):
            self.house.clock.jump((start - self.house.clock.now()) / 1000 + number * SECONDS_APART)
            if self.parties[act.who].is_there:
                await self.ask(act)
        self.house.clock.jump((start - self.house.clock.now()) / 1000)

    async def ask(self, act: Act) -> httpx.Response:
        """Carry out one act, note what is answered, and see that nothing of the other tenant stands in it."""
        own = self.parties[act.who]
        other = self.parties[next(name for name in NAMES if name != act.who)]
        await self._log_in(own)
        request = Asked(own, other, act)
        transport = httpx.ASGITransport(self.app, client=(f"{self.address}{NAMES.index(own.name)}", 4711))
        async with httpx.AsyncClient(transport=transport, base_url="http://house", timeout=60) as client:
            sent = client.build_request(request.method, request.path, headers=request.headers, **request.body)
            answer = await client.send(sent)
        shown = f"{answer.status_code} {answer.headers} ".encode() + answer.content
        own.told.append(self._plain(own, other, act.way, answer))
        assert answer.status_code != 500, (act, answer.text)
        place = shown.find(other.mark.encode())
        assert place < 0, f"{act} is shown what is another tenant's: …{shown[max(0, place - 100) : place + 100]!r}"
        request.learn(answer)
        return answer

    async def _log_in(self, party: Party) -> None:
        """Give a party a login where it has none any more."""
        try:
            await self.house.service.accounts.authenticate(party.header)
        except NotAuthenticatedError:
            store = SqlAccountStore(self.house.service._database)
            account = await store.account(party.user)
            assert account is not None
            party.header = secrets.token_urlsafe(32)
            token_hash = hashlib.sha256(party.header.encode()).hexdigest()
            expires = self.house.clock.now() + 10**9
            await store.put_session(Session(token_hash, party.user, party.tenant, account.roles, expires, account.credential))

    def _plain(self, own: Party, other: Party, way: str, answer: httpx.Response) -> str:
        """Return an answer without what differs from playing to playing: ids, by their turn, and marks."""
        headers = {name: answer.headers[name] for name in COMPARED_HEADERS if name in answer.headers}
        text = f"{way}: {answer.status_code} {headers} {answer.text}"
        said = {own.mark: "<own mark>", own.called: "<own>", other.called: "<other>", self.address: "<address>"}
        for name, plain in said.items():
            text = text.replace(name, plain)
        text = _CHAIN.sub('"chain"', text)
        return _TAG.sub(r"\1", _TOKEN.sub("<token>", text))


@dataclass
class Asked:
    """The request that an act comes to."""

    own: Party
    other: Party
    act: Act

    def __post_init__(self) -> None:
        path, self.operation = WAYS[self.act.way]
        self.whose = self.other if self.act.of_other else self.own
        is_stream = self.operation.media_type == "text/event-stream"  # it does not end
        self.method = "HEAD" if is_stream else self.operation.method
        self.headers = {"x-hm-authorization": self.own.header}
        if self.operation.id.startswith("list"):
            self.headers["x-stepswitch-count"] = "true"
        names = {
            "tenantId": (self.other if self.act.in_other_root else self.own).tenant,
            "workflowId": self._workflow_id(),
            "workflowExecutionId": self._of("execution"),
            "revision": self.act.pick + 1,
            "username": self._of("user"),
            "role": self._of("role"),
            "credential": self._of("credential"),
            **dict.fromkeys(inventories.NAMES, self._of("entry")),
            "sessionId": self._of("session"),
        }
        self.path = path.format(**names) + self._query()
        self.body = self._body()

    def _of(self, kind: str) -> str:
        return self.whose.thing(kind, self.act.pick)

    def _workflow_id(self) -> str:
        if self.operation.id == "createWorkflowAs" and not self.act.of_other:
            return str(uuid.uuid4())
        return self._of("workflow")

    def _query(self) -> str:
        if "attachmentId" in {each.name for each in self.operation.parameters}:
            return f"?attachmentId={self._of('file')}"
        if self.operation.id == "forgetHostKeys":
            return "?host=192.0.2.1"
        if self.operation.id == "listUsage" and (self.act.pick or self.act.of_other):
            return f"?tenantId={self.whose.tenant}"
        if self.operation.id == "compareRevisions":
            return "?with=1"
        if self.operation.id == "listWorkflowExecutions" and self.act.pick == 1:
            return f"?filter=(eq,workflow/id,{self._of('workflow')})"
        if self.operation.id == "listWorkflows" and self.act.pick == 1:
            return f"?filter=(in,id,{self._of('workflow')},x);(cont,name,core)"
        return ""

    def _body(self) -> dict[str, Any]:
        """Return what is sent; an operation that nobody has thought of here fails."""
        if self.operation.request_media_type == "multipart/form-data":
            return {"files": self._parts()}
        if self.operation.request is None:
            return {}
        return {"json": BODIES[self.operation.id](self)}

    def _parts(self) -> dict[str, Any]:
        file = (f"{self.own.mark}.txt", f"content of {self.own.mark} {next(self.own.numbers)}".encode())
        if "attachments" in self.operation.path:
            return {"file": file}
        name = {"createWorkflowWithFiles": "workflow", "createWorkflowExecutionWithFiles": "workflowExecution"}[self.operation.id]
        value = self.workflow() if name == "workflow" else self.order()
        return {"files": file, name: (None, json.dumps(value).encode())}

    def workflow(self) -> dict[str, Any]:
        """Return a document of the caller's that names a file and a credential of whom the act is about."""
        number, mark = next(self.own.numbers), self.own.mark
        opened_by = self._of("credential") if self.act.pick == 1 else self.own.thing("credential", 0)
        password = {"type": "password", "required": False, "defaultValue": {"credential": opened_by}}
        act = {"host": {"type": "string", "defaultValue": f"{mark}.example"}, "pw": {"type": "password", "exportName": "pw"}}
        return {
            "name": f"core {mark} {number}",
            "version": "1",
            "schemaVersion": "3.0",
            "description": f"planted {mark}",
            "tags": [{"name": f"tag {mark}", "autoCreated": False}],
            "startStepId": "wait",
            "inputs": {"note": {"type": "string", "required": False, "defaultValue": f"note {mark}"}, "pw": password},
            "variables": {"kept": {"type": "string", "defaultValue": f"kept {mark}"}},
            "attachments": {"script": {"id": self.whose.thing("file", 0), "reference": f"{mark}.js"}} if self.act.pick == 2 else {},
            "steps": {"wait": {"type": "NOOP", "nextStepId": "act"}, "act": {"type": "ACT", "inBindings": act}},
        }

    def order(self) -> dict[str, Any]:
        """Return a request for an execution of a workflow of whom the act is about; with the second one it pauses at once."""
        order: dict[str, Any] = {
            "workflowId": self._of("workflow"),
            "contextType": "NONE",
            "context": {"ticket": f"ticket {self.own.mark}"},
        }
        order["assignments"] = {"note": f"assigned {self.own.mark}"}
        if self.act.pick == 1:
            order["debugStepIds"] = ["wait"]
        if self.act.pick == 2:
            order["attachments"] = {"own": {"id": self.whose.thing("file", 0), "reference": "x"}}
        return order

    def name(self, kind: str) -> str:
        """Return a name of the caller's own: those of users are taken once, whatever the tenant, and that is told."""
        return f"{kind}-{self.own.called}-{len(self.own.held.get(kind, []))}"

    def learn(self, answer: httpx.Response) -> None:
        """Keep what the caller now has."""
        if answer.status_code != 200 or self.operation.id not in MAKES:
            return
        kind, field_name = MAKES[self.operation.id]
        made = answer.json()
        self.own.keep(kind, made[field_name])
        for attached in made.get("attachments", {}).values() if kind in ("workflow", "execution") else ():
            self.own.keep("file", attached["id"])


MAKES: Final = {
    "createWorkflow": ("workflow", "id"),
    "createWorkflowAs": ("workflow", "id"),
    "createWorkflowWithFiles": ("workflow", "id"),
    "createWorkflowExecution": ("execution", "id"),
    "createWorkflowExecutionWithFiles": ("execution", "id"),
    "attachToWorkflow": ("file", "id"),
    "attachToExecution": ("file", "id"),
    "createUser": ("user", "username"),
    "createRole": ("role", "name"),
    "createCredential": ("credential", "name"),
    "createOwnToken": ("session", "id"),
    "createTokenOfUser": ("session", "id"),
}


def _rehearsal(asked: Asked) -> dict[str, Any]:
    given = {"rehearsals": [{"name": "r", "results": {}, "expected": {"status": "COMPLETED"}}]}
    return given | (
        {"workflow": asked.workflow()} if asked.act.pick == 1 else {"workflowId": asked.whose.thing("workflow", asked.act.pick)}
    )


def _change(asked: Asked) -> dict[str, Any]:
    step = {"type": "NOOP", "description": f"edited {asked.own.mark}"}
    return ({"pauseAtFailure": True}, {"steps": {"more": step}}, {"retainedTil": "2031-01-01T00:00:00Z"})[asked.act.pick % 3]


def _credential(asked: Asked) -> dict[str, Any]:
    said = {"source": {"kind": "stored", "value": f"secret of {asked.own.mark}"}, "description": f"for {asked.own.mark}"}
    return {"name": asked.name("credential"), "roles": ["*"], "workflows": ["*"], "devices": ["*"], **said}


def _inventory(asked: Asked) -> dict[str, Any]:
    """Return an inventory in which everything is called so that the other tenant may ask for it."""
    name, described = asked.own.thing("entry", 0), {"description": f"known to {asked.own.mark}"}
    whole = {section: {name: dict(entry)} for section in inventories.WHOLE for entry in [inventories.WHOLE[section][inventories.SPARE]]}
    for section in ("virtualMachines", "networkFunctions"):
        whole[section][name]["vimLocation"] = name
    whole["devices"][name]["addresses"] = [f"{asked.own.mark}.example"]
    return {section: {name: entry | described} for section, entries in whole.items() for entry in entries.values()}


def _entry(section: str) -> Callable[[Asked], dict[str, Any]]:
    def entry(asked: Asked) -> dict[str, Any]:
        found: dict[str, Any] = _inventory(asked)[section][asked.own.thing("entry", 0)]
        if "vimLocation" in found:
            found["vimLocation"] = asked.whose.thing("entry", 0)
        return found | ({"addresses": [f"{asked.own.mark}-{asked.act.pick}.example"]} if section == "devices" else {})

    return entry


def _new_user(asked: Asked) -> dict[str, Any]:
    foreign = {"tenantId": asked.other.tenant} if asked.act.of_other else {}
    roles = [asked.whose.thing("role", 0)] if asked.act.pick else []
    return {"username": asked.name("user"), "password": PASSWORD, "roles": roles, **foreign}


def _login(asked: Asked) -> dict[str, Any]:
    """Return a login of the caller's own. Whoever tries one of the other tenant is told to that, as a guess at the password of its user."""
    return {"username": asked.own.user, "password": f"{PASSWORD} {asked.own.mark}" if asked.act.pick else PASSWORD}


BODIES: Final[dict[str, Callable[[Asked], Any]]] = {
    "convertWorkflow": lambda asked: {
        "owner": {"id": asked.own.user, "type": "USER"},
        "original": asked.workflow() | {"schemaVersion": "2.0"},
    },
    "createWorkflow": Asked.workflow,
    "createWorkflowAs": Asked.workflow,
    "replaceWorkflow": Asked.workflow,
    "validateWorkflow": Asked.workflow,
    "rehearseWorkflow": _rehearsal,
    "createWorkflowExecution": Asked.order,
    "changeWorkflowExecution": _change,
    "breakExecutionLock": lambda _: {"lockId": "17"},
    "abandonExecutionCleanup": lambda asked: ({}, {"stepNumbers": [0]}, {"stepNumbers": [1, 0]})[asked.act.pick % 3],
    "setExecutionValues": lambda asked: {"values": {"kept": f"corrected {asked.own.mark}"}},
    "createUser": _new_user,
    "changeUser": lambda asked: {"roles": [asked.whose.thing("role", asked.act.pick)] if asked.act.pick else ["Workflow Designer"]},
    "createRole": lambda asked: {"name": asked.name("role"), "privileges": ["Workflow Read"], "workflowNames": [f"core {asked.own.mark}*"]},
    "createOwnToken": lambda asked: {"name": f"token {asked.own.mark} {next(asked.own.numbers)}", "privileges": []},
    "createTokenOfUser": lambda asked: {"name": f"token {asked.own.mark} {next(asked.own.numbers)}", "privileges": []},
    "changeOwnPassword": lambda asked: {"oldPassword": f"{PASSWORD}!", "newPassword": f"{PASSWORD} {asked.own.mark}"},
    "createCredential": _credential,
    "changeCredential": lambda asked: {"description": f"changed for {asked.own.mark}"},
    "replaceInventory": _inventory,
    **{name: _entry(section) for name, section in zip(inventories.ENTRY_PUTS, inventories.WHOLE, strict=True)},
    "login": _login,
    "loginSingular": _login,
    "openDeviceSession": lambda asked: {"deviceCode": f"code of {asked.own.mark}"},
    "trustHostKey": lambda asked: {"host": "192.0.2.1", "publicKey": KEY},
    "scanHostKeys": lambda asked: {"host": "127.0.0.1", "port": 1},
}
PLAIN: Final = "/telco/api/workflows"
PLANTED: Final = (
    ("POST", f"{OWN_ROOT}/roles", 0),
    ("POST", f"{OWN_ROOT}/users", 0),
    ("POST", f"{OWN_ROOT}/credentials", 0),
    ("PUT", f"{OWN_ROOT}/inventory", 0),
    ("POST", f"{OWN_ROOT}/tokens", 0),
    ("POST", f"{PLAIN}/workflow", 0),
    ("PUT", f"{PLAIN}/workflow", 2),
    ("POST", f"{PLAIN}/workflow/{{workflowId}}", 0),
    ("POST", f"{PLAIN}/workflowExecution", 0),
    ("PUT", f"{PLAIN}/workflowExecution", 1),
    ("PUT", f"{PLAIN}/workflowExecution", 0),
    ("POST", f"{PLAIN}/workflowExecution/{{workflowExecutionId}}/abort", 0),
)
"""What everybody has before anything else happens; the first execution is aborted, the second paused, the third stands in line."""


def planting(who: str) -> list[Act]:
    """Return what a tenant does first."""
    return [Act(who, f"{method} {path}", pick=pick) for method, path, pick in PLANTED]


def inspection(who: str) -> list[Act]:
    """Return a look of a tenant at all that it has."""
    reads = [way for way, (path, operation) in WAYS.items() if operation.method == "GET" and not path.startswith("/tca")]
    return [Act(who, way, pick=pick) for way in reads for pick in range(3 if "{" in way else 2)]


def as_told(party: Party) -> list[str]:
    """Return what a party was answered, each id by its turn."""
    turns: dict[str, str] = {}

    def by_turn(found: "re.Match[str]") -> str:
        return turns.setdefault(found.group(), f"#{len(turns)}")

    return [_SESSION.sub(by_turn, _UUID.sub(by_turn, _DIGEST.sub(by_turn, text))) for text in party.told]


def is_known(operation: Operation) -> bool:
    """Return whether an operation can be asked for here."""
    return operation.request is None or operation.request_media_type == "multipart/form-data" or operation.id in BODIES
