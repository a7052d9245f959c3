"""A vRO on a real TLS socket: the part of its REST API that the step types use, in the documented JSON, well or badly.

It leaves out: packages, presentations, user interactions that are answered, permissions beyond one login, pages of lists (it gives all), objects
of plug-ins, XML, and every workflow engine: a run does what `FakeWorkflow.work` does to it at once, and then what the test says. `honours_ids` says
whether a run may be begun under an id that the client proposes, which the documentation of newer releases has a field for and says no more about.
"""

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, unquote

from tests.certificates import own_certificate
from tests.steps.http_server import Asked, Handler, HttpServer, reply

USER: Final = "stepswitch"
PASSWORD: Final = "vro-password-4711"
ENDED: Final = ("completed", "failed", "canceled")
BROKEN: Final = "<ff>"
"""What goes out as a byte that is no UTF-8, wherever it stands in a text."""


def given(kind: str, value: Any) -> dict[str, Any]:
    """Return a value as vRO wraps those of its simple types."""
    return {kind: {"value": value}}


@dataclass
class FakeRun:
    """A run of a workflow. The test says how it goes on."""

    id: str
    parameters: dict[str, Any]
    state: str = "running"
    outputs: list[dict[str, Any]] = field(default_factory=list)
    exception: str | None = None
    logs: list[dict[str, Any]] = field(default_factory=list)
    cancels: int = 0
    ignores_cancel: bool = False
    looked_at: asyncio.Event = field(default_factory=asyncio.Event)

    def says(self, message: str, severity: str = "info", long: str = "") -> None:
        """Add an entry to its log."""
        time = 1_700_000_000_000 + len(self.logs)
        entry = {"severity": severity, "short-description": message, "long-description": long, "time-stamp-val": time, "user": USER}
        self.logs.append(entry)

    def gives(self, name: str, kind: str, wrapped: dict[str, Any]) -> None:
        """Add an output."""
        self.outputs.append({"name": name, "type": kind, "scope": "local", "value": wrapped})

    def value(self, name: str) -> Any:
        """Return what it was given as an input of a simple type."""
        ((_, inner),) = self.parameters[name]["value"].items()
        return inner["value"]


@dataclass
class FakeWorkflow:
    """A workflow: inputs and outputs with their types, and what a run of it does at once."""

    id: str
    name: str
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    work: Callable[[FakeRun], None] = lambda run: None
    runs: dict[str, FakeRun] = field(default_factory=dict)

    def described(self) -> dict[str, Any]:
        """Return how vRO describes it."""
        ways = {"input-parameters": self.inputs, "output-parameters": self.outputs}
        lists = {way: [{"name": name, "type": kind} for name, kind in each.items()] for way, each in ways.items()}
        return {"id": self.id, "name": self.name, "version": "1.0.0", "customized-icon": False, **lists}


class FakeVro(HttpServer):
    """A vRO. `next` are handlers for the requests to come, the first one first; None answers as a vRO does."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls)
        self.certificate: Path | None = None
        self.workflows: dict[str, FakeWorkflow] = {}
        self.authorizations = {f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"}
        self.called = USER
        """What our user is called where runs are listed."""
        self.honours_ids = True
        self.refuses_ids = False
        self.has_syslogs = True
        self.next: list[Handler | None] = []
        self.begun = asyncio.Event()
        self.loses_answer = False
        """Whether the connection is cut when a run has begun, before that is answered."""
        self.withholds_answer = False
        """Whether nothing more is said when a run has begun."""
        self._spoilt: Handler | None = None
        self._refusals: dict[str, tuple[int, Handler]] = {}
        self._ids = count(1)

    def refuses_next_begin_of(self, name: str, after: int, handler: Handler) -> None:
        """Have a run of a workflow not begin, and that be answered so, once `after` of its runs have."""
        self._refusals[name] = (after, handler)

    def spoil_begin(self, handler: Handler) -> None:
        """Have the next run begin, and that be answered so."""
        self._spoilt = handler

    def workflow(self, name: str, workflow_id: str | None = None, **more: Any) -> FakeWorkflow:
        """Add a workflow."""
        found = FakeWorkflow(workflow_id or f"id-of-{name.replace(' ', '-')}", name, **more)
        self.workflows[found.id] = found
        return found

    @property
    def authority(self) -> str:
        """The certificate that its own is checked against, in PEM."""
        assert self.certificate is not None
        return self.certificate.read_text(encoding="utf-8")

    @property
    def runs(self) -> list[FakeRun]:
        """Every run, the first one first."""
        return [run for workflow in self.workflows.values() for run in workflow.runs.values()]

    async def first_run(self, timeout_seconds: float = 10.0) -> FakeRun:
        """Return the first run, as soon as there is one."""
        async with asyncio.timeout(timeout_seconds):
            await self.begun.wait()
        return self.runs[0]

    def handler_of(self, asked: Asked) -> Handler:
        """Return what answers a request."""
        special = self.next.pop(0) if self.next else None
        if special is not None:
            return special
        if asked.header("authorization") not in self.authorizations:
            return reply(401)
        path, _, query = asked.target.partition("?")
        match [unquote(each) for each in path.removeprefix("/vco/api/").split("/")]:
            case ["workflows"]:
                return _json(self._called(parse_qs(query)))
            case ["workflows", workflow_id, *rest] if workflow_id in self.workflows:
                return self._of_workflow(self.workflows[workflow_id], rest, asked)
        return reply(404)

    def _called(self, query: dict[str, list[str]]) -> dict[str, Any]:
        wanted = query.get("conditions", ["name="])[0].removeprefix("name=")
        found = [each for each in self.workflows.values() if wanted.lower() in each.name.lower()]
        return {"total": len(found), "link": [_link(id=each.id, name=each.name, type="Workflow") for each in found]}

    def _of_workflow(self, workflow: FakeWorkflow, rest: list[str], asked: Asked) -> Handler:
        match rest:
            case []:
                return _json(workflow.described())
            case ["executions"] if asked.method == "POST":
                return self._begin(workflow, asked)
            case ["executions"]:
                links = [
                    _link(id=run.id, state=run.state, startedBy=self.called, startDate=f"2026-01-01T00:{n:06}Z")
                    for n, run in enumerate(workflow.runs.values())
                ]
                return _json({"relations": {"total": len(links), "link": links}})
            case ["executions", run_id, *what] if run_id in workflow.runs:
                return self._of_run(workflow, workflow.runs[run_id], what, asked)
        return reply(404)

    def _begin(self, workflow: FakeWorkflow, asked: Asked) -> Handler:
        body = json.loads(asked.body)
        if "executionId" in body and self.refuses_ids:
            return reply(400, b'{"message": "Unrecognized field \\"executionId\\""}')
        after, refusal = self._refusals.get(workflow.name, (None, silent))
        if after == len(workflow.runs):
            del self._refusals[workflow.name]
            return refusal
        proposed = body.get("executionId") if self.honours_ids else None
        run = FakeRun(proposed or f"run-{next(self._ids)}", {each["name"]: each for each in body["parameters"]})
        workflow.runs[run.id] = run
        workflow.work(run)
        self.begun.set()
        if self._spoilt is not None:
            return self._spoilt
        if self.loses_answer or self.withholds_answer:
            return cut if self.loses_answer else silent
        return reply(202, location=f"{self.url()}vco/api/workflows/{workflow.id}/executions/{run.id}/")

    def _of_run(self, workflow: FakeWorkflow, run: FakeRun, what: list[str], asked: Asked) -> Handler:
        match what:
            case [] | [""]:
                run.looked_at.set()
                return _json(
                    {
                        "id": run.id, "name": workflow.name, "state": run.state, "started-by": USER, "content-exception": run.exception,
                        "input-parameters": list(run.parameters.values()), "output-parameters": run.outputs,
                    }
                )  # fmt: skip
            case ["syslogs"] if self.has_syslogs:
                return _json({"logs": list(reversed(run.logs))})
            case ["logs"]:
                return _json({"logs": [{"entry": each} for each in run.logs]})
            case ["state"] if asked.method == "DELETE":
                run.cancels += 1
                if run.state in ENDED:
                    return reply(400)
                if not run.ignores_cancel:
                    run.state = "canceled"
                return reply(202)
        return reply(404)


@asynccontextmanager
async def open_vro(place: Path) -> AsyncIterator[FakeVro]:
    """Give a vRO over TLS, whose `certificate` is in `place`."""
    certificate, tls = own_certificate(place)
    async with FakeVro(tls) as vro:
        vro.certificate = certificate
        yield vro


def _link(**attributes: str) -> dict[str, Any]:
    return {"rel": "down", "attributes": [{"name": name, "value": value} for name, value in attributes.items()]}


def _json(content: object) -> Handler:
    return reply(200, json.dumps(content).encode().replace(BROKEN.encode(), b"\xff"), content_type="application/json;charset=UTF-8")


async def cut(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Break the connection in place of an answer."""
    writer.transport.abort()


async def cut_in_half(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Break the connection in the middle of an answer."""
    writer.write(b'HTTP/1.1 200 x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"state": "comp')
    await writer.drain()
    writer.transport.abort()


async def silent(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say nothing, until the client goes."""
    await reader.read()
