"""What Schemathesis is told besides the description: requests that mean something, things to ask for, and two more checks. Loaded by its name.

It runs in a process of its own, which `test_api` starts; what was answered how often is written to FUZZ_COUNTS at the end.
"""

import atexit
import json
import os
import random
import re
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Final

import httpx
import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, CheckContext, HookContext, Response
from schemathesis.engine.run.stateful import _executor
from schemathesis.generation.meta import TestPhase
from schemathesis.generation.stateful import control
from schemathesis.specs.openapi import stateful

from tests.api import inventories
from tests.fuzz.meaningful import ATTACHMENT, CREDENTIAL, WORKFLOW, bodies

ID_LENGTH: Final = 36
"""Of what the service makes."""
ROOT: Final = "/telco/api/workflows"
SESSION_LENGTH: Final = 24
"""Of the id of a session."""
TOKEN: Final = "x-hm-authorization"
TOKEN_LENGTH: Final = 43
"""Of one that the service gave."""
KEPT_USERS: Final = ("admin", "elsewhere", "supplier")
"""Who sends the requests: what would end their sessions, or change their passwords, is done to others."""
SHAPE: Final = frozenset({"MALFORMED_REQUEST", "MALFORMED_JSON", "MISSING_FIELD", "UNKNOWN_FIELD", "WRONG_TYPE", "TOO_DEEP"})
"""What is only said of a request that has not the form that the description gives."""
EXCUSED: Final = re.compile(
    r"(^|\.)(defaultValue|value)( |:)"  # a value has the type that the document itself declares
    r"|^(assignments|context|values|rehearsals\[\d+\])\."
    r"|an array is no object"  # where schema 2.0 may have one
    r"|^(filter|fields|exclude_fields|nextpage_opaque_marker): "  # languages of their own
    r"|give either |only documents of schema"
)
STANDARD: Final = frozenset(
    {"date", "content-length", "content-type", "connection", "transfer-encoding", "keep-alive", "vary", "cache-control", "content-encoding"}
    | {"x-content-type-options", "x-frame-options", "referrer-policy"}
)
"""Headers that HTTP itself has, and those that every answer has; all others are described for each operation."""
AnyCase = Case[Any]
_chance = random.Random(os.environ.get("FUZZ_SEED", "1"))
_counts: Counter[tuple[str, str]] = Counter()
"""Of answers, by operation, and by status with the code of its first fault."""


class Supply:
    """What is there to be asked for, so that not every answer is 404; made when it is needed."""

    def __init__(self) -> None:
        self._client = httpx.Client(base_url=os.environ["FUZZ_URL"], timeout=30)
        self._makers: dict[str, Callable[[], str]] = {
            "workflowId": self._workflow,
            "workflowExecutionId": self._execution,
            "username": self._user,
            "role": self._role,
            "credential": self._credential,
            **dict.fromkeys(inventories.NAMES, self._entry),
        }
        self._names: dict[str, list[str]] = {kind: [] for kind in self._makers}
        self._made = 0

    def log_in(self, username: str = "supplier") -> str:
        """Return a new token."""
        answer = self._client.post("/hybridity/api/sessions", json={"username": username, "password": os.environ["FUZZ_PASSWORD"]})
        return str(answer.raise_for_status().headers[TOKEN])

    def kinds(self) -> Collection[str]:
        """Return the parameters of paths that name what can be made."""
        return self._makers.keys()

    def one(self, kind: str) -> str:
        """Return the name of something that is there, or was until somebody deleted it."""
        names = self._names[kind]
        if len(names) < 3 or _chance.random() < 0.05:
            names.append(self.new(kind))
        return _chance.choice(names[-5:])

    def new(self, kind: str) -> str:
        """Return the name of something that is made for whoever asks."""
        self._begin()
        return self._makers[kind]()

    def _begin(self) -> None:
        if TOKEN not in self._client.headers:
            self._client.headers[TOKEN] = self.log_in()
        self._made += 1

    def name(self) -> str:
        """Return a name that was never given."""
        self._made += 1
        return f"n{self._made}"

    def session_of(self, username: str) -> str:
        """Return the id of an API token that is made for a user."""
        self._begin()
        answer = self._client.post(f"/stepswitch/api/v1/users/{username}/tokens", json={"name": f"t{self._made}"})
        return str(answer.json()["id"]) if answer.is_success else "none"  # where the user is disabled

    def _workflow(self) -> str:
        return self._post("workflow", "workflow", WORKFLOW)

    def _execution(self) -> str:
        more: dict[str, Any] = _chance.choice([{"debugStepIds": ["a"]}, {"debugStepIds": ["a"]}, {"assignments": {"word": "fail"}}, {}])
        return self._post("workflowExecution", "workflowExecution", {"workflowId": self._workflow(), "contextType": "NONE", **more})

    def _user(self) -> str:
        order = {"username": f"u{self._made}", "password": os.environ["FUZZ_PASSWORD"], "roles": ["Workflow Executor"]}
        return str(self._client.post("/stepswitch/api/v1/users", json=order).raise_for_status().json()["username"])

    def _role(self) -> str:
        order = {"name": f"r{self._made}", "privileges": ["Workflow Read"]}
        return str(self._client.post("/stepswitch/api/v1/roles", json=order).raise_for_status().json()["name"])

    def _credential(self) -> str:
        order = {"name": f"c{self._made}", **CREDENTIAL}
        return str(self._client.post("/stepswitch/api/v1/credentials", json=order).raise_for_status().json()["name"])

    def _entry(self) -> str:
        """Return what an entry of every kind is called."""
        self._client.put("/stepswitch/api/v1/inventory", json=inventories.WHOLE).raise_for_status()
        return inventories.SPARE

    def _post(self, path: str, part: str, value: Any) -> str:
        parts: list[tuple[str, tuple[str | None, str, str]]] = [
            (part, (None, json.dumps(value), "application/json")),
            ("files", (ATTACHMENT, "hello", "text/plain")),
        ]
        return str(self._client.post(f"{ROOT}/{path}", files=parts).raise_for_status().json()["id"])


_supply = Supply()


def operation_id(case: AnyCase) -> str:
    """Return which operation it is, whatever its root."""
    return str(case.operation.definition.raw["operationId"]).removesuffix("OfTenant")


def is_positive(case: AnyCase) -> bool:
    """Return whether a case is meant to fit the description."""
    return case.meta is not None and case.meta.generation.mode.is_positive


def begins_a_walk(operation: Any, *_: object) -> bool:
    """Return whether a walk along the links may begin with an operation: where its path names nothing, and its answer leads somewhere."""
    names_nothing = all(parameter.name == "tenantId" for parameter in operation.path_parameters)
    return names_nothing and any("links" in response for response in operation.definition.raw["responses"].values())


stateful.is_likely_root_transition = begins_a_walk  # type: ignore[assignment] # there is no setting for it, and without it hardly any walk finds an execution
_classify_flaky = _executor._classify_flaky


def go_on(**about: Any) -> _executor.SuiteOutcome:
    """Begin to walk again where a walk could not be repeated, until there were as many as are wanted.

    Two walks are not answered alike where the first one has left something behind, and so Hypothesis stops; for Schemathesis that is the end.
    """
    status, has_more, events = _classify_flaky(**about)
    return status, has_more or about["ctx"].completed_scenarios < int(os.environ["FUZZ_WALKS"]), events


_executor._classify_flaky = go_on
control.MAX_OPERATIONS_PER_SOURCE_CAP = 4
"""How often a walk goes from one answer to the same operation: a breakpoint is resumed more than once."""


@schemathesis.hook
def flatmap_case(context: HookContext, case: AnyCase) -> st.SearchStrategy[AnyCase]:
    """Give three of four requests a body that means something."""
    meant = bodies().get(operation_id(case))
    if meant is None or not is_positive(case):
        return st.just(case)

    def with_body(body: Any) -> AnyCase:
        if isinstance(body, dict) and isinstance(case.body, dict) and "workflowId" in case.body:
            body = {**body, "workflowId": case.body["workflowId"]}  # which a link may have given
        case.body = body
        return case

    return st.integers(0, 3).flatmap(lambda drawn: meant.map(with_body) if drawn else st.just(case))


@schemathesis.hook
def before_call(context: HookContext, case: AnyCase, kwargs: dict[str, Any]) -> None:
    """Let most requests name what is there; keep them from waiting, from leaving this machine, and from locking out who sends them."""
    if "Prefer" in case.headers:
        case.headers["Prefer"] = "wait=0"
    name = operation_id(case)
    if name.startswith("logout") and len(case.headers.get(TOKEN, "")) == TOKEN_LENGTH:
        case.headers[TOKEN] = _supply.log_in()
    if name.startswith("login") and isinstance(case.body, dict) and case.body.get("username") in KEPT_USERS:
        case.body = {**case.body, "password": os.environ["FUZZ_PASSWORD"]}  # else nobody could log in for a while
    if case.path_parameters.get("username") in KEPT_USERS and name != "getUser":
        case.path_parameters["username"] = _supply.one("username")
    if name == "endOwnSession" and len(str(case.path_parameters.get("sessionId"))) == SESSION_LENGTH:
        case.path_parameters["sessionId"] = _supply.session_of("admin")  # and never the one that it is sent with
    if not is_positive(case):
        return
    if "tenantId" in case.path_parameters:
        case.path_parameters["tenantId"] = "default"
    if _chance.random() < 0.8:
        case.headers.pop("Idempotency-Key", None)
    if name in ("trustHostKey", "scanHostKeys") and isinstance(case.body, dict):
        case.body = {**case.body, "host": "127.0.0.1", "port": 1}
    if name == "changeOwnPassword" and TOKEN in case.headers and _chance.random() < 0.5:
        case.headers[TOKEN] = _supply.log_in(_supply.new("username"))
        case.body = {"oldPassword": os.environ["FUZZ_PASSWORD"], "newPassword": "a pigeon on the roof"}
    if case.meta is not None and case.meta.phase.name is TestPhase.STATEFUL:
        _let_it_happen_again(case, name)
    elif _chance.random() < 0.8:
        _name_what_is_there(case, name)


def _let_it_happen_again(case: AnyCase, name: str) -> None:
    """Let a request of a walk be answered as it was before; where it is not, Hypothesis ends all walks: it needs to repeat them."""
    case.headers.pop("Idempotency-Key", None)
    if name == "createWorkflowAs":
        case.path_parameters["workflowId"] = _supply.name()
    taken = {
        "createUser": "username",
        "createRole": "name",
        "createCredential": "name",
        "createOwnToken": "name",
        "createTokenOfUser": "name",
    }.get(name)
    if taken is not None and isinstance(case.body, dict) and case.body.get(taken):
        case.body = {**case.body, taken: _supply.name()}
    _name_workflow(case, _supply.new, debugStepIds=["a"])  # so that it waits until the walk goes on with it


def _name_what_is_there(case: AnyCase, name: str) -> None:
    if name == "forgetHostKeys":
        case.query["host"], case.query["port"] = "127.0.0.1", 1
    if "attachmentId" in case.query:
        case.query["attachmentId"] = ATTACHMENT
    for kind in case.path_parameters.keys() & _supply.kinds():
        case.path_parameters[kind] = _supply.name() if name == "createWorkflowAs" else _supply.one(kind)
    if "sessionId" in case.path_parameters:
        case.path_parameters["sessionId"] = _supply.session_of(str(case.path_parameters.get("username", "admin")))
    if "revision" in case.path_parameters:
        case.path_parameters["revision"] = 1
    _name_workflow(case, _supply.one)


def _name_workflow(case: AnyCase, supplied: Callable[[str], str], **more: Any) -> None:
    """Let what asks for an execution ask for one of a workflow that is there, unless a link has named one."""
    name = operation_id(case)
    order = case.body.get("workflowExecution") if name.endswith("WithFiles") and isinstance(case.body, dict) else case.body
    if name.startswith("createWorkflowExecution") and isinstance(order, dict):
        is_named = len(str(order.get("workflowId"))) == ID_LENGTH
        order = {**order, **more} if is_named else {**order, **more, "workflowId": supplied("workflowId")}
        case.body = {"workflowExecution": order} if name.endswith("WithFiles") else order


@schemathesis.hook
def after_call(context: HookContext, case: AnyCase, response: Response) -> None:
    """Count the answer."""
    _counts[str(case.operation.definition.raw["operationId"]), _answered(response)] += 1


def _answered(response: Response) -> str:
    code = response.headers.get("x-error-code", [""])[0]
    return f"{response.status_code} {code}".strip()


@atexit.register
def write_counts() -> None:
    """Write down how often which operation was answered with which status."""
    found: dict[str, dict[str, int]] = {}
    for (name, status), count in sorted(_counts.items()):
        found.setdefault(name, {})[status] = count
    if "FUZZ_COUNTS" in os.environ:
        Path(os.environ["FUZZ_COUNTS"]).write_text(json.dumps(found), encoding="utf-8")


@schemathesis.check
def a_described_shape_is_not_refused(ctx: CheckContext, response: Response, case: AnyCase) -> None:
    """What fits the description may still mean nothing, but nobody may say that it has the wrong form."""
    if response.status_code == 400 and is_positive(case):
        refused = [each for each in response.json()["errors"] if each["code"] in SHAPE and not EXCUSED.search(each["message"])]
        assert not refused, f"the description allows this: {refused}"


@schemathesis.check
def every_header_is_described(ctx: CheckContext, response: Response, case: AnyCase) -> None:
    """An answer has no header that its description does not name."""
    described = case.operation.definition.raw["responses"].get(str(response.status_code))
    if described is not None:
        known = {name.lower() for name in described.get("headers", {})} | STANDARD
        unknown = {name.lower() for name in response.headers} - known
        assert not unknown, f"{response.status_code} has headers that are not described: {sorted(unknown)}"
