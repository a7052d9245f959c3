"""The API over real use cases and stores in dicts, asked through ASGI. Used by the tests of the API.

Nothing carries out steps here: what an execution looks like later is written into the store by the test.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import httpx
from fastapi import FastAPI

from stepswitch.access.accounts import Passwords
from stepswitch.access.sessions import new_api_token
from stepswitch.api.app import ApiServices, HostKeyTools, create_app
from stepswitch.domain.errors import ErrorCode, NotAuthenticatedError, TargetError, VersionConflictError
from stepswitch.domain.execution import Head, LogEntry, StepExecution
from stepswitch.domain.rules import Rules
from stepswitch.engine.audit import Act, Entry
from stepswitch.engine.audit_ports import AuditStore
from stepswitch.engine.audit_trail import AuditTrail
from stepswitch.engine.body_digests import BodyDigests
from stepswitch.engine.callers import Caller, administrator
from stepswitch.engine.catalogue import Catalogue
from stepswitch.engine.conductor import Conductor
from stepswitch.engine.credential_records import Credential
from stepswitch.engine.credential_use import NO_CREDENTIALS
from stepswitch.engine.credentials import Credentials
from stepswitch.engine.cut_answers import CutAnswers
from stepswitch.engine.executions import Executions
from stepswitch.engine.feed import Feed
from stepswitch.engine.held_locks import HeldLocks
from stepswitch.engine.intake import Intake
from stepswitch.engine.inventories import Inventories
from stepswitch.engine.inventory_ports import NO_INVENTORY, InventoryStore
from stepswitch.engine.inventory_sources import InventorySources
from stepswitch.engine.keyed_requests import KeyedRequests
from stepswitch.engine.leftovers import Leftovers
from stepswitch.engine.lists import Lists
from stepswitch.engine.lock_ports import NO_LOCKS
from stepswitch.engine.logbook import Logbook
from stepswitch.engine.logins import Logins
from stepswitch.engine.ports import ExecutionStore, FileStore, ListStore
from stepswitch.engine.privileges import ADMINISTRATOR, grants_of
from stepswitch.engine.records import (
    WHOLE_LOG,
    LogPage,
    RequestMark,
    Revision,
    Save,
    Session,
    Snapshot,
    StoredFile,
    StoredWorkflow,
    TrustedKey,
)
from stepswitch.engine.rehearsals import Rehearsals
from stepswitch.engine.roles import Roles
from stepswitch.engine.snapshots import Snapshots
from stepswitch.engine.steering import ExecutionSteering
from stepswitch.engine.usage import Usages
from stepswitch.engine.users import Users
from stepswitch.engine.views import Views
from stepswitch.engine.vro_logins import VroLogins
from stepswitch.engine.watchers import Watchers
from stepswitch.secrets.credential_sources import CredentialSources
from stepswitch.secrets.kubernetes import Cluster
from stepswitch.secrets.local_values import Folder, Variables
from stepswitch.secrets.masking import Masking
from stepswitch.steps.host_keys import fingerprint, parse_public_key
from stepswitch.steps.javascript import JavaScriptStep
from tests.access.account_store import DictAccountStore
from tests.dispatchers import StillDispatcher, StillQueue
from tests.domain.documents import TYPES

NOW = 1_900_000_000_250
NOW_TEXT = "2030-03-17T17:46:40.250Z"
ADMIN_TOKEN, USER_TOKEN, STRANGER_TOKEN = "token-of-admin", "token-of-user", "token-of-stranger"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
PLAIN, TENANT = "/telco/api/workflows", "/tca/workflows/api/v1/orgs/default"


class HandClock:
    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> int:
        return self.time

    def monotonic(self) -> float:
        return self.time / 1000

    async def sleep(self, seconds: float) -> None:
        self.time += round(seconds * 1000)


class CountedIds:
    def __init__(self) -> None:
        self.count = 0

    def new(self) -> str:
        self.count += 1
        return f"id-{self.count}"


class DictCatalogueStore:
    def __init__(self) -> None:
        self.workflows: dict[str, StoredWorkflow] = {}
        self.failure: Exception | None = None

    async def create(self, workflow: StoredWorkflow, entry: Entry | None = None) -> None:
        self.workflows[workflow.id] = workflow

    async def get(self, tenant: str, workflow_id: str) -> StoredWorkflow | None:
        if self.failure is not None:
            raise self.failure
        found = self.workflows.get(workflow_id)
        return found if found is not None and found.tenant == tenant else None

    async def replace(self, workflow: StoredWorkflow, changed_at: int, changed_by: str, entry: Entry | None = None) -> None:
        self.workflows[workflow.id] = workflow

    async def delete(self, workflow: StoredWorkflow, entry: Entry | None = None) -> None:
        del self.workflows[workflow.id]

    async def revisions(self, workflow: StoredWorkflow) -> Sequence[Revision]:
        return [Revision(workflow.revision, workflow.created_at, workflow.creation_user)]

    async def revision(self, workflow: StoredWorkflow, number: int) -> StoredWorkflow | None:
        return workflow if workflow.revision == number else None


@dataclass
class DictExecutionStore:
    """What the use cases of this milestone's API ask of an execution store, and no more."""

    heads: dict[str, Head] = field(default_factory=dict)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    rows: dict[str, list[StepExecution]] = field(default_factory=dict)
    lines: dict[str, list[LogEntry]] = field(default_factory=dict)

    async def create(self, save: Save, snapshot: Snapshot, mark: RequestMark | None = None) -> None:
        self.heads[save.head.id] = save.head
        self.rows[save.head.id] = list(save.rows)
        self.lines[save.head.id] = list(save.logs)
        self.snapshots[snapshot.id] = snapshot
        assert mark is None, "requests with a key are asked of a real service"

    async def load(self, execution_id: str) -> Head | None:
        return self.heads.get(execution_id)

    async def snapshot(self, snapshot_id: str) -> Snapshot | None:
        return self.snapshots.get(snapshot_id)

    async def steps(self, execution_id: str, first: int = 0, count: int = 1_000, limit_bytes: int = 0) -> Sequence[StepExecution]:
        return self.rows[execution_id][first : first + count]

    async def logs(self, execution_id: str, page: LogPage = WHOLE_LOG) -> tuple[Sequence[LogEntry], LogPage | None]:
        return self.lines[execution_id], None

    async def log_end(self, execution_id: str) -> int:
        return len(self.lines[execution_id])


class OneFile:
    """Knows the file `file-1`."""

    async def find(self, tenant: str, file_id: str) -> StoredFile | None:
        return StoredFile("file-1", tenant, "check.js", "0" * 64, 4) if file_id == "file-1" else None

    def hold(self, file_ids: Iterable[str]) -> None:
        self.held = set(file_ids)

    async def settle(self, file_ids: Iterable[str]) -> None:
        assert self.held == set(file_ids)


class KnownTokens:
    def __init__(self) -> None:
        self.callers = {
            ADMIN_TOKEN: administrator("admin"),
            USER_TOKEN: Caller("user", "default", grants_of(["Workflow Executor"], {})),
            STRANGER_TOKEN: administrator("stranger", "elsewhere"),
        }

    async def login(self, username: str, password: str, address: str = "", act: Act | None = None) -> tuple[str, Session]:
        if (username, password) != ("admin", "correct horse"):
            raise NotAuthenticatedError("no", ErrorCode.WRONG_CREDENTIALS)
        return ADMIN_TOKEN, Session("hash", "admin", "default", (ADMINISTRATOR,), NOW + 1, "")

    async def authenticate(self, token: str) -> Caller:
        if token not in self.callers:
            raise NotAuthenticatedError("unknown token")
        return self.callers[token]

    async def logout(self, token: str, entry: Entry | None = None) -> None:
        self.callers.pop(token, None)

    async def ended(self, token: str) -> None:
        await asyncio.Event().wait()


class DictHostKeys:
    def __init__(self) -> None:
        self.keys: list[TrustedKey] = []

    async def trusted(self, host: str, port: int) -> Sequence[TrustedKey]:
        return [key for key in self.keys if (key.host, key.port) == (host, port)]

    async def all(self) -> Sequence[TrustedKey]:
        return self.keys

    async def trust(self, key: TrustedKey, entry: Entry | None = None) -> None:
        self.keys.append(key)

    async def forget(self, host: str, port: int, entry: Entry | None = None) -> int:
        found = await self.trusted(host, port)
        self.keys = [key for key in self.keys if key not in found]
        return len(found)


class ListedRecords:
    """What is recorded by itself; the stores of this house record nothing."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    async def append(self, entry: Entry) -> None:
        self.entries.append(entry)


async def scan_one(host: str, port: int, timeout_seconds: float) -> Sequence[str]:
    if host == "192.0.2.99":
        raise TargetError(f"{host}:{port} does not answer")
    return [KEY]


class DictCredentialStore:
    """Implements `CredentialStore` with a dictionary."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], Credential] = {}

    async def find(self, tenant: str, name: str) -> Credential | None:
        return self.held.get((tenant, name))

    async def all(self, tenant: str, after: str, count: int) -> Sequence[Credential]:
        found = [each for (of, name), each in sorted(self.held.items()) if of == tenant and name > after]
        return found[:count]

    async def add(self, credential: Credential, entry: Entry | None = None) -> None:
        if (credential.tenant, credential.name) in self.held:
            raise VersionConflictError(credential.name)
        self.held[credential.tenant, credential.name] = credential

    async def replace(self, credential: Credential, entry: Entry | None = None) -> None:
        self.held[credential.tenant, credential.name] = credential

    async def remove(self, credential: Credential, entry: Entry | None = None) -> None:
        del self.held[credential.tenant, credential.name]


class House:
    """Everything behind the application, open to look at, and a client that is logged in as admin."""

    def __init__(self, body_limit_bytes: int = 10 * 1024 * 1024, most: int = 100_000) -> None:
        self.clock, self.ids = HandClock(), CountedIds()
        self.catalogue_store, self.store = DictCatalogueStore(), DictExecutionStore()
        self.dispatcher, self.queue = StillDispatcher(), StillQueue()
        self.host_keys, self.tokens = DictHostKeys(), KnownTokens()
        self.records = ListedRecords()
        self.state: Mapping[str, Any] = {"status": "ok"}
        self.credentials = DictCredentialStore()
        self.sources = CredentialSources(Variables("STEPSWITCH_CREDENTIAL_", {}), Folder(None), Cluster(None, {}))
        rules = Rules(TYPES)
        store = cast("ExecutionStore", self.store)
        snapshots = Snapshots(store)
        conductor = Conductor(store, snapshots, rules, self.clock)
        conductor.dispatch_through(self.dispatcher)
        self.conductor = conductor
        self.catalogue = Catalogue(self.catalogue_store, TYPES, self.clock, self.ids)
        self.views = Views(
            store=store,
            queue=self.queue,
            snapshots=snapshots,
            conductor=conductor,
            dispatcher=self.dispatcher,
            secrets=Masking(),
        )
        self.executions = Executions(
            catalogue=self.catalogue,
            conductor=conductor,
            intake=Intake(self.queue, self.clock, most),
            views=self.views,
            files=cast("FileStore", OneFile()),
            rules=rules,
            clock=self.clock,
            ids=self.ids,
        )
        self.watchers = Watchers()
        conductor.observe(self.watchers)
        self.rehearsals = Rehearsals(
            computing={"JS": JavaScriptStep(kept_children=1, max_children=1)},
            rules=rules,
            secrets=Masking(),
            clock=self.clock,
            catalogue=self.catalogue,
            files=cast("FileStore", OneFile()),
        )
        repeats: dict[str, Any] = {
            "executions": self.executions,
            "views": self.views,
            "store": None,
            "digests": BodyDigests(b"key"),
            "clock": self.clock,
            "ids": self.ids,
        }
        self.app: FastAPI = create_app(
            ApiServices(
                catalogue=self.catalogue,
                executions=self.executions,
                keyed_requests=KeyedRequests(**repeats),
                cut_answers=CutAnswers(**repeats),
                steering=ExecutionSteering(
                    conductor=conductor,
                    catalogue=self.catalogue,
                    snapshots=snapshots,
                    views=self.views,
                    files=cast("FileStore", OneFile()),
                    rules=rules,
                    clock=self.clock,
                    ids=self.ids,
                    leftovers=Leftovers(store, snapshots, rules.types),
                ),
                held_locks=HeldLocks(NO_LOCKS, cast("ListStore", self.store), snapshots, Masking()),
                logbook=Logbook(store, snapshots, conductor, Masking()),
                views=self.views,
                vro_logins=VroLogins(
                    views=self.views, store=store, snapshots=snapshots, inventory=NO_INVENTORY, credentials=NO_CREDENTIALS
                ),
                watchers=self.watchers,
                feed=cast("Feed", None),  # nobody follows here
                lists=Lists(cast("ListStore", self.store), self.views, snapshots),
                accounts=self.tokens,
                provider_logins=None,
                users=Users(DictAccountStore(), Passwords()),
                roles=Roles(DictAccountStore()),
                usages=cast("Usages", None),  # nobody counts here
                credentials=Credentials(self.credentials, DictAccountStore(), self.sources, self.clock),
                inventories=Inventories(cast("InventoryStore", None), self.credentials, self.clock),  # nobody has one here
                inventory_sources=cast("InventorySources", None),
                logins=Logins(DictAccountStore(), Users(DictAccountStore(), Passwords()), self.clock, new_api_token, lambda _: None),
                files=cast("FileStore", OneFile()),
                host_keys=self.host_keys,
                host_key_tools=HostKeyTools(scan_one, parse_public_key, fingerprint),
                rehearsals=self.rehearsals,
                audit=AuditTrail(cast("AuditStore", self.records), self.clock),
                health=self._health,
                clock=self.clock,
                ids=self.ids,
                version="1.2.3",
                body_limit_bytes=body_limit_bytes,
            )
        )
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url="http://house", headers={"x-hm-authorization": ADMIN_TOKEN}
        )

    async def _health(self) -> Mapping[str, Any]:
        return self.state

    async def put_workflow(self, document: Mapping[str, Any], root: str = PLAIN) -> str:
        answer = await self.client.put(f"{root}/workflow", json=document)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    async def put_execution(self, root: str = PLAIN, **fields: Any) -> httpx.Response:
        return await self.client.put(f"{root}/workflowExecution", json=fields)


def messages(answer: httpx.Response) -> list[str]:
    """Return what an errorResponse lists."""
    body = answer.json()
    assert set(body) == {"errors"}
    assert all(set(error) == {"code", "message"} for error in body["errors"])
    assert answer.headers["x-error-code"] == body["errors"][0]["code"]
    return [error["message"] for error in body["errors"]]


def codes(answer: httpx.Response) -> list[str]:
    """Return the codes that an errorResponse lists."""
    return [error["code"] for error in answer.json()["errors"]]
