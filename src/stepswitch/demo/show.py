"""The demo: the service, a small router, three workflows executed through the HTTP API, and what to look at next. Called by `cli.demo`."""

import asyncio
import contextlib
import secrets
import shlex
import signal
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from textwrap import fill
from typing import Any, Final

import uvicorn
from rich.console import Console
from rich.text import Text

from stepswitch.bootstrap import Service, application, open_service
from stepswitch.client import Execution, NotAuthenticatedError, StepswitchClient
from stepswitch.client.transport import TOKEN_HEADER
from stepswitch.config.settings import Settings
from stepswitch.demo.acts import ACTS, Act
from stepswitch.demo.router import Router
from stepswitch.domain.errors import SettingsError
from stepswitch.engine.records import TrustedKey

ADMIN: Final = "admin"
_EXECUTIONS: Final = "/telco/api/workflows/workflowExecution"
_LOOK_SECONDS: Final = 0.05
_PATIENCE_SECONDS: Final = 60.0
_MARKS: Final = {"SUCCEEDED": ("✔", "green"), "FAILED": ("✘", "red"), "UNKNOWN": ("?", "magenta"), "SKIPPED": ("–", "yellow")}
_WIDEST: Final = 110


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the demo plays: the console, the service's address and login, the router."""

    console: Console
    url: str
    password: str
    router: Router

    def say(self, text: str | Text, style: str = "") -> None:
        """Write lines as they are: what is copied from a terminal must not have been broken in the middle."""
        self.console.print(Text(text, style=style) if isinstance(text, str) else text, soft_wrap=True)

    def explain(self, text: str, style: str = "", indent: int = 3) -> None:
        """Write a sentence for people, wrapped between words."""
        margin = " " * indent
        self.say(fill(text, min(self.console.width, _WIDEST), initial_indent=margin, subsequent_indent=margin), style)


@dataclass(frozen=True, slots=True)
class Played:
    """What came of one act: the execution, and in what it was not as expected."""

    execution_id: str
    faults: tuple[str, ...]


async def show(settings: Settings, console: Console, *, keep: bool) -> bool:
    """Play the demo and return whether everything came out as expected; with `keep` the service stays up until Ctrl-C.

    Ctrl-C before that ends it early, which is not as expected.
    """
    settings = settings.model_copy(update={"admin_password": settings.admin_password or secrets.token_urlsafe(12)})
    stopped = _stop_signal()
    async with Router() as router, _service_up(settings, console, router) as stage, StepswitchClient(stage.url) as client:
        playing = asyncio.create_task(_play_all(stage, client, keep=keep))
        waiting = asyncio.create_task(stopped.wait())
        await asyncio.wait({playing, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not playing.done():
            playing.cancel()
            await asyncio.wait({playing})
            stage.say("Stopped before the end.", style="yellow")
            waiting.cancel()
            return False
        went_well = playing.result()
        if keep:
            await waiting
        waiting.cancel()
        return went_well


async def _play_all(stage: Stage, client: StepswitchClient, *, keep: bool) -> bool:
    _introduce(stage)
    try:
        await client.login(ADMIN, stage.password)
    except NotAuthenticatedError:
        raise SettingsError("this data directory has a user admin already; give the password in STEPSWITCH_ADMIN_PASSWORD") from None
    played = [await _play(stage, client, act, number) for number, act in enumerate(ACTS, 1)]
    faults = [fault for each in played for fault in each.faults]
    _count_commands(stage)
    _conclude(stage, client.token or "", faults, played[-1].execution_id, keep=keep)
    return not faults


@asynccontextmanager
async def _service_up(settings: Settings, console: Console, router: Router) -> AsyncIterator[Stage]:
    """Give a service that answers on a port of its own."""
    service = await open_service(settings)
    try:
        await _trust(service, router)
        with contextlib.closing(_listening(settings.host, settings.port)) as listening:
            host, port = listening.getsockname()[:2]
            server = _Server(uvicorn.Config(application(service), log_config=None, access_log=False, lifespan="off"))
            await service.start()
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            shown = f"[{host}]" if ":" in host else host
            try:
                yield Stage(console, f"http://{shown}:{port}", str(settings.admin_password), router)
            finally:
                server.should_exit = True
                await serving
    finally:
        await service.stop(grace_seconds=0)


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise SettingsError(f"nobody can listen on {host}, port {port}: {error.strerror or error}") from None


async def _trust(service: Service, router: Router) -> None:
    await service.host_keys.trust(TrustedKey(router.host, router.port, router.public_key, "demo", service.clock.now()))


def _introduce(stage: Stage) -> None:
    stage.say("Stepswitch demo", style="bold")
    stage.say(f"  service  {stage.url}  (login {ADMIN} / {stage.password})")
    stage.say(f"  router   {_way_in(stage.router)}")


async def _play(stage: Stage, client: StepswitchClient, act: Act, number: int) -> Played:
    """Store one workflow, execute it, show it, and return what came of it."""
    document, router = act.document(), stage.router
    stage.say(f"\n{number}. {document['name']}", style="bold cyan")
    stage.explain(f"This {act.what}.")
    assignments = {"host": router.host, "port": router.port, "user": router.user, "password": router.password}
    execution = await client.executions.start((await client.workflows.create(document)).id, assignments)
    stage.say(f"   PUT {_EXECUTIONS} → {execution.id}", style="dim")
    execution = await _follow(stage, client, execution.id)
    faults = act.faults(execution.raw)
    _show_end(stage, execution.raw, act, faults)
    return Played(execution.id, tuple(f"{document['name']}: {fault}" for fault in faults))


async def _follow(stage: Stage, client: StepswitchClient, execution_id: str) -> Execution:
    """Return the execution once it has ended or paused, and show each step before; raises TimeoutError where it does neither for a minute."""
    shown = 0
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            execution = await client.executions.get(execution_id)
            for step in execution.step_executions[shown:]:
                if step.end_time is None:
                    break
                _show_step(stage, step.raw)
                shown += 1
            if execution.has_ended or execution.is_paused:
                return execution
            await asyncio.sleep(_LOOK_SECONDS)


def _show_step(stage: Stage, step: Mapping[str, Any]) -> None:
    snapshot, result = step["stepSnapshot"], step.get("result") or "SKIPPED"
    mark, style = _MARKS[result]
    word = "" if result == "SUCCEEDED" else f"  {result}"
    stage.say(Text.assemble((f"   {mark} {snapshot['id']}", style), (f"  {snapshot['type']}{word}", "dim")))
    error = step.get("error")
    again = f"ended {result}: {error['code']}: {error['message']}" if error else None
    for entry in step.get("logs", []):
        if entry["level"] != "DEBUG" and entry["msg"] != again:
            stage.say(f"     │ {entry['msg']}", style="dim")
    if error:
        stage.explain(f"{error['code']}: {error['message']}", style=style, indent=5)


def _show_end(stage: Stage, execution: Mapping[str, Any], act: Act, faults: list[str]) -> None:
    outputs = ", ".join(f"{name} = {value}" for name, value in execution.get("outputs", {}).items())
    style = "bold green" if execution["status"] == "COMPLETED" else "bold red"
    stage.say(Text.assemble("   ", (execution["status"], style), "   ", outputs))
    stage.explain(act.lesson, style="italic")
    for fault in faults:
        stage.explain(f"Not as expected: {fault}", style="bold red")


def _count_commands(stage: Stage) -> None:
    received = stage.router.device.received
    stage.say("\nWhat the router itself counted", style="bold")
    for command in dict.fromkeys(received):
        stage.say(f"   {received.count(command)} × {command}")


def _conclude(stage: Stage, token: str, faults: list[str], last: str, *, keep: bool) -> None:
    if faults:
        stage.say(f"\n{len(faults)} of these things were not as expected.", style="bold red")
    if not keep:
        stage.say("\nNext", style="bold")
        stage.say("   stepswitch demo --keep   leaves all of it up, to look around")
        stage.say("   stepswitch serve         starts a service of your own")
        stage.say("   stepswitch run FILE      runs a workflow without one; examples/ has some")
        return
    stage.say("\nAll of it stays up until Ctrl-C. Look around", style="bold")
    stage.say(f"   the API        {stage.url}/docs")
    stage.say(f"   an execution   curl -s -H {shlex.quote(f'{TOKEN_HEADER}: {token}')} {stage.url}{_EXECUTIONS}/{last}")
    stage.say(f"   the router     {_way_in(stage.router)}, then: help")


def _way_in(router: Router) -> str:
    return f"ssh -p {router.port} {router.user}@{router.host}  (password {router.password})"


def _stop_signal() -> asyncio.Event:
    """Return an event that Ctrl-C sets, or whatever else tells the process to end."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    return stopped


class _Server(uvicorn.Server):
    """A server that leaves the signals to the demo."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield
