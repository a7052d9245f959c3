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
from typing import Any, Final

import uvicorn
from rich.console import Console
from rich.text import Text

from stepswitch.bootstrap import Service, application, open_service
from stepswitch.config.settings import Settings
from stepswitch.demo.acts import ACTS, Act
from stepswitch.demo.router import Router
from stepswitch.demo.session import ROOT, TOKEN, Session
from stepswitch.domain.errors import SettingsError
from stepswitch.engine.ports import TrustedKey

ADMIN: Final = "admin"
_MARKS: Final = {"SUCCEEDED": ("✔", "green"), "FAILED": ("✘", "red"), "UNKNOWN": ("?", "magenta"), "SKIPPED": ("–", "yellow")}
_WIDTH: Final = 16


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the demo plays: the console, the service's address and login, the router."""

    console: Console
    url: str
    password: str
    router: Router


async def show(settings: Settings, console: Console, *, keep: bool) -> bool:
    """Play the demo and return whether everything came out as expected; with `keep` the service stays up until Ctrl-C."""
    settings = settings.model_copy(update={"admin_password": settings.admin_password or secrets.token_urlsafe(12)})
    async with Router() as router, _service_up(settings, console, router) as stage, Session(stage.url) as session:
        _introduce(stage)
        await session.log_in(ADMIN, stage.password)
        faults = [fault for number, act in enumerate(ACTS, 1) for fault in await _play(stage, session, act, number)]
        _count_commands(stage)
        _conclude(stage, session, faults, keep=keep)
        if keep:
            await _until_stopped()
        return not faults


@asynccontextmanager
async def _service_up(settings: Settings, console: Console, router: Router) -> AsyncIterator[Stage]:
    """Give a service that answers on a port of its own."""
    service = await open_service(settings)
    try:
        await _trust(service, router)
        with contextlib.closing(_listening(settings.host, settings.port)) as listening:
            host, port = listening.getsockname()[:2]
            server = _Server(uvicorn.Config(application(service), log_config=None, access_log=False))
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
    say = stage.console.print
    say(Text("Stepswitch demo", style="bold"))
    say(f"  service   {stage.url}   (login {ADMIN} / {stage.password})")
    say(f"  router    ssh -p {stage.router.port} {stage.router.user}@{stage.router.host}   (password {stage.router.password})")


async def _play(stage: Stage, session: Session, act: Act, number: int) -> list[str]:
    """Store one workflow, execute it, show it, and return what was not as expected."""
    document = act.document()
    say = stage.console.print
    say()
    say(Text.assemble((f"{number}  {document['name']}", "bold cyan"), (f"  {act.what}", "")))
    router = stage.router
    assignments = {"host": router.host, "port": router.port, "user": router.user, "password": router.password}
    execution = await session.execute(await session.store(document), assignments)
    say(Text(f"   PUT {ROOT}/workflowExecution → {execution['id']}", style="dim"))
    execution = await session.follow(execution["id"])
    for step in execution["stepExecutions"]:
        _show_step(stage.console, step)
    faults = act.faults(execution)
    _show_end(stage.console, execution, act, faults)
    return [f"{document['name']}: {fault}" for fault in faults]


def _show_step(console: Console, step: Mapping[str, Any]) -> None:
    snapshot, result = step["stepSnapshot"], step.get("result") or "SKIPPED"
    mark, style = _MARKS[result]
    console.print(
        Text.assemble((f"   {mark} {snapshot['id']:<{_WIDTH}}", style), (f"{snapshot['type']:<8} {result if mark != '✔' else ''}", "dim"))
    )
    if error := step.get("error"):
        console.print(Text(f"       {error['code']}: {error['message']}", style=style), soft_wrap=True)
    for entry in step.get("logs", []):
        if entry["level"] in ("INFO", "WARN") and not entry["msg"].startswith("ended "):
            console.print(Text(f"       {entry['msg']}", style="dim"), soft_wrap=True)


def _show_end(console: Console, execution: Mapping[str, Any], act: Act, faults: list[str]) -> None:
    outputs = ", ".join(f"{name} = {value}" for name, value in execution.get("outputs", {}).items())
    style = "green" if execution["status"] == "COMPLETED" else "red"
    console.print(Text.assemble(("   " + execution["status"], f"bold {style}"), ("   " + outputs, "")), soft_wrap=True)
    console.print(Text(f"   {act.lesson}", style="italic"), soft_wrap=True)
    for fault in faults:
        console.print(Text(f"   not as expected: {fault}", style="bold red"), soft_wrap=True)


def _count_commands(stage: Stage) -> None:
    received = stage.router.device.received
    counts = ", ".join(f"{command} × {received.count(command)}" for command in dict.fromkeys(received))
    stage.console.print()
    stage.console.print(Text.assemble(("The router's own count: ", "bold"), counts), soft_wrap=True)


def _conclude(stage: Stage, session: Session, faults: list[str], *, keep: bool) -> None:
    say = stage.console.print
    if faults:
        say(Text(f"{len(faults)} things were not as expected.", style="bold red"))
    say()
    if not keep:
        say(
            "Next: `stepswitch demo --keep` leaves the service up to look at; `stepswitch serve` starts one of your own; examples/ has more."
        )
        return
    say(Text("The service stays up until Ctrl-C. Look around:", style="bold"))
    say(f"  the API, readable     {stage.url}/docs")
    say("  the three executions  in the answers of (the token is good for this service only):")
    say(f"    curl -s -H {shlex.quote(f'{TOKEN}: {session.token}')} {stage.url}{ROOT}/workflowExecution/ID", soft_wrap=True)
    say(f"  the router itself     ssh -p {stage.router.port} {stage.router.user}@{stage.router.host}   (then: help)")


async def _until_stopped() -> None:
    """Return when somebody has pressed Ctrl-C, or the process is told to end."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()


class _Server(uvicorn.Server):
    """A server that leaves the signals to the demo."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield
