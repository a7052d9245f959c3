"""What every step type is put through: the situations that a target can bring it into, described once for each type.

`test_suite` runs them. A step type that comes later is described by a class here, or in a plug-in's own tests, and added to `CASES`.
"""

import asyncio
import base64
import hashlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Final, Self

import psutil

from stepswitch.plugin import ErrorCode, Networks, Result, StepType, StoredFile, Value
from stepswitch.steps.guest import GuestStep
from stepswitch.steps.http import HttpStep
from stepswitch.steps.javascript import JavaScriptStep
from stepswitch.steps.netconf import NetconfStep
from stepswitch.steps.noop import NoopStep
from stepswitch.steps.scp import ScpStep
from stepswitch.steps.ssh import SshStep
from stepswitch.steps.vro import VroCustomStep, VroStep
from stepswitch.steps.vro_api import Patience
from stepswitch.steps.vro_errands import VroExecStep, VroScpStep, VroSshStep
from stepswitch.steps.vro_runs import Pauses
from tests.certificates import own_certificate
from tests.netconf_devices import OK, ScriptedDevice, data, error
from tests.openssh import OpenSshServer
from tests.proxies import Proxy
from tests.routers.ios import PrivilegedIosShell
from tests.routers.scripted import Device, Quirks, RouterServer
from tests.steps.clusters import Lab
from tests.steps.contexts import RecordingContext
from tests.steps.guest_context import asking, assert_nothing_left, context_for
from tests.steps.http_server import Asked, HttpServer, reply, says
from tests.steps.vro_contexts import VIM, context_with, inventory_with
from tests.steps.vro_server import BROKEN, ENDED, FakeRun, FakeVro, cut_in_half, silent
from tests.steps.vro_server import cut as cut_off
from tests.vcenter import FakeVCenter

BEGUN: Final = "begun-over-there"
"""What stands in the log as soon as a step that goes on for long acts at its target; in no line of the step types' own."""
SECRET: Final = "a-word-that-nobody-may-read"


@dataclass(frozen=True, slots=True)
class Situation:
    """One situation: what the step is given, and what has to come of it."""

    inputs: Mapping[str, Value]
    result: Result = Result.SUCCEEDED
    code: ErrorCode | None = None
    outputs: Mapping[str, Value] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)


class StepTypeCase(ABC):
    """One step type with its situations. What cannot happen to a type its case leaves out, and says why. Opened for one test, and closed after it.

    `server` is a way to the OpenSSH server, which is started only if a case asks.
    """

    name: str
    way: str = ""
    """Tells several cases of one type apart."""
    begun: str = BEGUN
    without: Mapping[str, str] = {}
    """Why a situation cannot happen to the type, by the name of the method that would return it."""
    cannot_reach: str = ""
    """What the log says that may go on at a target that hung, where the type can do no more."""

    def __init__(self, server: Callable[[], OpenSshServer]) -> None:
        self._server = server

    async def __aenter__(self) -> Self:
        self.closing = AsyncExitStack()
        await self.open()
        self.closing.push_async_callback(self.step.close)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.closing.aclose()

    @property
    @abstractmethod
    def step(self) -> StepType:
        """The step under test."""

    @abstractmethod
    async def open(self) -> None:
        """Make ready what the situations need."""

    def context(self, **more: Any) -> RecordingContext:
        """Return a context in which the step may act."""
        return RecordingContext(**more)

    @abstractmethod
    def succeeds(self) -> Situation:
        """Return a situation that ends well."""

    def lacks_inputs(self) -> Situation:
        """Return a situation without the inputs that are required."""
        raise NotImplementedError

    def is_refused(self) -> Situation:
        """Return a situation in which the target does not let it in; `SECRET` is among the inputs where it can be."""
        raise NotImplementedError

    def times_out(self) -> Situation:
        """Return a situation in which a limit of its own passes."""
        raise NotImplementedError

    def is_cut(self) -> Situation:
        """Return a situation that logs `begun` and ends when `cut` is called."""
        raise NotImplementedError

    def cut(self) -> None:
        """Break the connection to the target."""
        raise NotImplementedError

    def goes_on(self) -> Situation:
        """Return a situation that logs `begun` and goes on for long: it will be cancelled."""
        raise NotImplementedError

    async def traces(self) -> list[str]:
        """Return what can be seen at the target of the step that `goes_on`, as soon as something can."""
        raise NotImplementedError

    async def is_clear(self, *, has_hung: bool = False) -> None:
        """Return when none of these `traces` is left there but for what the type says that it cannot reach; raises TimeoutError or AssertionError.

        `has_hung`: nothing could be asked of the target while the step was stopped.
        """
        raise NotImplementedError

    def hang(self) -> None:
        """Let the target say no more, and keep its connections."""
        raise NotImplementedError

    def recover(self) -> None:
        """Let the target answer again."""
        raise NotImplementedError

    def prints_much(self) -> Situation:
        """Return a situation with an output of more than 8 MiB, or with a file that is over its limit."""
        raise NotImplementedError

    def prints_invalid_text(self) -> Situation:
        """Return a situation with output that cannot be decoded."""
        raise NotImplementedError


class NoopCase(StepTypeCase):
    """NOOP: nothing can happen to it."""

    name = "NOOP"
    without = dict.fromkeys(
        ("lacks_inputs", "is_refused", "times_out", "is_cut", "goes_on", "traces", "hang", "prints_much", "prints_invalid_text"),
        "it takes what it is given, has no target, takes no time and says nothing",
    )

    @property
    def step(self) -> StepType:
        return self._step

    async def open(self) -> None:
        self._step = NoopStep()

    def succeeds(self) -> Situation:
        return Situation({"whatever": "is dropped"})


class JavaScriptCase(StepTypeCase):
    """JS: it has no target, and nothing that could be refused or cut."""

    name = "JS"
    without = dict.fromkeys(
        ("is_refused", "is_cut", "hang"), "a script runs in a process of this machine: there is no target and no connection"
    )

    @property
    def step(self) -> StepType:
        return self._step

    async def open(self) -> None:
        self._step = JavaScriptStep(kept_children=1)

    def succeeds(self) -> Situation:
        return Situation({"script": "return { doubled: 2 * n }", "n": 21}, outputs={"doubled": 42})

    def lacks_inputs(self) -> Situation:
        return Situation({}, Result.FAILED, ErrorCode.MISSING_INPUT)

    def times_out(self) -> Situation:
        return Situation({"script": "for (;;) {}"}, Result.FAILED, ErrorCode.TIMEOUT, context={"time_limit_seconds": 0.3})

    def goes_on(self) -> Situation:
        return Situation({"script": f"console.log('{BEGUN}'); for (;;) {{}}"})

    async def traces(self) -> list[str]:
        self._children = [each for each in psutil.Process().children() if "javascript_child" in " ".join(each.cmdline())]
        return [f"the process {each.pid}" for each in self._children]

    async def is_clear(self, *, has_hung: bool = False) -> None:
        await asyncio.to_thread(have_ended, self._children)

    def prints_much(self) -> Situation:
        return Situation({"script": "return { much: 'x'.repeat(9 * 1024 * 1024) }"})

    def prints_invalid_text(self) -> Situation:
        return Situation({"script": r"return { text: 'a\ud800b' }"}, outputs={"text": "a\ufffdb"})


class SshCase(StepTypeCase):
    """TCA_SSH: a real OpenSSH server behind a proxy that can be cut."""

    name = "TCA_SSH"
    cannot_reach = "may still run there"

    @property
    def step(self) -> StepType:
        return self._step

    async def open(self) -> None:
        self._target = server = self._server()
        self._inputs_of, self._keys = server.inputs, server.host_public_keys
        self._step = SshStep(silence_seconds=5.0)
        self._proxy = await self.closing.enter_async_context(Proxy(server.host, server.port))

    def context(self, **more: Any) -> RecordingContext:
        return RecordingContext(host_keys={(self._proxy.host, self._proxy.port): self._keys}, **more)

    def _inputs(self, command: str, **more: Value) -> dict[str, Value]:
        return self._inputs_of(port=self._proxy.port, cmd=command, **more)

    def succeeds(self) -> Situation:
        return Situation(self._inputs("echo fine"), outputs={"outputText": "fine\n", "exitCode": 0})

    def lacks_inputs(self) -> Situation:
        return Situation({"cmd": "id"}, Result.FAILED, ErrorCode.MISSING_INPUT)

    def is_refused(self) -> Situation:
        return Situation(self._inputs("id", password=SECRET), Result.FAILED, ErrorCode.LOGIN_REFUSED)

    def times_out(self) -> Situation:
        self._step = SshStep(silence_seconds=0.3)
        return Situation(self._inputs("exec sleep 100"), Result.UNKNOWN, ErrorCode.TIMEOUT)

    def is_cut(self) -> Situation:
        return Situation(self._inputs(f"echo {BEGUN}; exec sleep 10"), Result.UNKNOWN, ErrorCode.CONNECTION_CUT)

    def cut(self) -> None:
        self._proxy.cut()

    def goes_on(self) -> Situation:
        self._pid = self._target.work / f"pid-{self._proxy.port}"
        return Situation(self._inputs(f"echo $$ > {self._pid}; echo {BEGUN}; exec sleep 100"))

    async def traces(self) -> list[str]:
        self._process = psutil.Process(int(self._pid.read_text()))
        return [f"the process {self._process.pid}", *["a session"] * self._proxy.open_connections]

    async def is_clear(self, *, has_hung: bool = False) -> None:
        await self._proxy.wait_until(open_connections=0)
        if has_hung:  # a command without a terminal goes on at a server that was never told; the log says so
            self._process.kill()
        await asyncio.to_thread(have_ended, [self._process])

    def hang(self) -> None:
        self._proxy.stall()

    def recover(self) -> None:
        self._proxy.cut()  # so that nothing of what was held back arrives after all
        self._proxy.resume()

    def prints_much(self) -> Situation:
        return Situation(self._inputs("head -c 9437184 /dev/zero | tr '\\0' x"))

    def prints_invalid_text(self) -> Situation:
        return Situation(self._inputs("printf 'a\\377b'"), outputs={"outputText": "a\ufffdb"})


class HttpCase(StepTypeCase):
    """HTTP: a server that can cut its connections, and one whose certificate nobody trusts."""

    name = "HTTP"

    @property
    def step(self) -> StepType:
        return self._step

    async def open(self) -> None:
        self._target, self._cut = await self.closing.enter_async_context(HttpServer()), asyncio.Event()
        place = Path(self.closing.enter_context(TemporaryDirectory()))
        self._stranger = await self.closing.enter_async_context(HttpServer(own_certificate(place)[1]))
        self._step = self._of()

    def _of(self, **more: Any) -> HttpStep:
        return HttpStep(networks=Networks.read(allowed="127.0.0.0/8,::1"), **more)

    def succeeds(self) -> Situation:
        url = self._target.on("/fine", reply(200, b"fine"))
        return Situation({"url": url}, outputs={"statusCode": 200, "body": "fine"})

    def lacks_inputs(self) -> Situation:
        return Situation({"method": "GET"}, Result.FAILED, ErrorCode.MISSING_INPUT)

    def is_refused(self) -> Situation:
        inputs = {"url": self._stranger.url(), "username": "ann", "password": SECRET}
        return Situation(inputs, Result.FAILED, ErrorCode.WRONG_CERTIFICATE)

    def times_out(self) -> Situation:
        self._step = self._of(silence_seconds=0.3)
        return Situation({"url": self._target.stays("/stays"), "method": "POST"}, Result.UNKNOWN, ErrorCode.TIMEOUT)

    def is_cut(self) -> Situation:
        async def hang_up(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._cut.wait()
            writer.transport.abort()

        url = self._target.on(f"/{BEGUN}", hang_up)
        return Situation({"url": url, "method": "POST"}, Result.UNKNOWN, ErrorCode.CONNECTION_CUT)

    def cut(self) -> None:
        self._cut.set()

    def goes_on(self) -> Situation:
        return Situation({"url": self._target.stays(f"/{BEGUN}")})

    async def traces(self) -> list[str]:
        return [] if self._target.left.is_set() else ["a request that waits for its answer"]

    async def is_clear(self, *, has_hung: bool = False) -> None:
        async with asyncio.timeout(10):
            await self._target.left.wait()

    def hang(self) -> None:
        """It says nothing anyway."""

    def recover(self) -> None:
        """Nothing else is asked of it."""

    def prints_much(self) -> Situation:
        return Situation({"url": self._target.on("/much", reply(200, b"x" * 9 * 1024 * 1024))})

    def prints_invalid_text(self) -> Situation:
        url = self._target.on("/invalid", says(b"HTTP/1.1 200 a\xff\r\nX: \xff\r\n\r\na\xffb"))
        return Situation({"url": url}, outputs={"body": "a\ufffdb"})


class ScpCase(StepTypeCase):
    """TCA_SCP: the same server behind the same proxy. What it prints are files; a cut before its rename is no doubt."""

    name = "TCA_SCP"
    begun = "has begun"

    @property
    def step(self) -> StepType:
        return self._step

    async def open(self) -> None:
        self._target = self._server()
        self._step = ScpStep(connect_seconds=5.0, stall_seconds=5.0)
        self._held, self._waits = asyncio.Event(), asyncio.Event()
        self._proxy = await self.closing.enter_async_context(Proxy(self._target.host, self._target.port))

    def context(self, **more: Any) -> RecordingContext:
        keys = {(self._proxy.host, self._proxy.port): self._target.host_public_keys}
        return _Sending(attachments={"a": b"content"}, files={"inFile"}, host_keys=keys, **more)

    def _inputs(self, **more: Value) -> dict[str, Value]:
        return self._target.inputs(port=self._proxy.port, inFile="a", destinationPath="suite", **more)

    def succeeds(self) -> Situation:
        return Situation(self._inputs(), outputs={"result": "suite", "bytes": 7})

    def lacks_inputs(self) -> Situation:
        return Situation({"inFile": "a"}, Result.FAILED, ErrorCode.MISSING_INPUT)

    def is_refused(self) -> Situation:
        return Situation(self._inputs(password=SECRET), Result.FAILED, ErrorCode.LOGIN_REFUSED)

    def times_out(self) -> Situation:
        self._proxy.hold_answers()
        self._step = ScpStep(connect_seconds=0.3)
        return Situation(self._inputs(), Result.FAILED, ErrorCode.TIMEOUT)

    def is_cut(self) -> Situation:
        return Situation(self._inputs(), Result.FAILED, ErrorCode.CONNECTION_CUT, context={"held": self._held})

    def prints_much(self) -> Situation:
        (self._target.work / "much").write_bytes(b"x" * 9 * 1024 * 1024)
        return self._fetching("much", Result.FAILED, ErrorCode.TOO_LARGE, context={"file_limit_bytes": 1024 * 1024})

    def prints_invalid_text(self) -> Situation:
        (self._target.work / "bytes").write_bytes(b"a\xffb")
        return self._fetching("bytes", outputs={"bytes": 3, "sha256": hashlib.sha256(b"a\xffb").hexdigest()})

    def _fetching(self, path: str, *more: Any, **situation: Any) -> Situation:
        return Situation(self._target.inputs(port=self._proxy.port, sourcePath=path, outFile="fetched"), *more, **situation)

    def cut(self) -> None:
        self._proxy.cut()
        self._held.set()

    def goes_on(self) -> Situation:
        return Situation(self._inputs(), context={"held": self._held, "waits": self._waits})

    async def traces(self) -> list[str]:
        async with asyncio.timeout(10):
            await self._waits.wait()
        return [*self._parts(), *["a session"] * self._proxy.open_connections]

    def _parts(self) -> list[str]:
        return [each.name for each in self._target.work.iterdir() if each.name.endswith(".part")]

    async def is_clear(self, *, has_hung: bool = False) -> None:
        await self._proxy.wait_until(open_connections=0)
        assert self._parts() == []

    def hang(self) -> None:
        self._proxy.stall()

    def recover(self) -> None:
        self._proxy.cut()  # so that nothing of what was held back arrives after all
        self._proxy.resume()


class _Sending(RecordingContext):
    """Gives a file piece by piece; with `held`, half of it before and half after that is set. `waits` is set in between."""

    def __init__(self, *, held: asyncio.Event | None = None, waits: asyncio.Event | None = None, **more: Any) -> None:
        super().__init__(**more)
        self._held = held
        self._waits = waits or asyncio.Event()

    async def pieces(self, file: StoredFile) -> AsyncIterator[bytes]:
        async for piece in super().pieces(file):
            yield piece[:3]
            if self._held is not None:
                self._waits.set()
                await self._held.wait()
            yield piece[3:]


class NetconfCase(StepTypeCase):
    """NETCONF: a device that answers as a situation needs, behind a proxy that can be cut. What a real server does is shown with netconfd."""

    name = "NETCONF"
    _PAYLOAD: Final = '<system xmlns="urn:example:system"><name>r1</name></system>'

    @property
    def step(self) -> StepType:
        return self._step

    async def open(self) -> None:
        self._step = NetconfStep()
        self._device = await self.closing.enter_async_context(ScriptedDevice())
        self._proxy = await self.closing.enter_async_context(Proxy(self._device.host, self._device.port))
        self._device.answer({"get-config": data(self._PAYLOAD)})

    def context(self, **more: Any) -> RecordingContext:
        return RecordingContext(host_keys={(self._proxy.host, self._proxy.port): [self._device.host_public_key]}, **more)

    def _inputs(self, action: str, **more: Value) -> dict[str, Value]:
        return self._device.inputs(port=self._proxy.port, action=action, **more)

    def succeeds(self) -> Situation:
        return Situation(self._inputs("merge", payload=self._PAYLOAD), outputs={"datastore": "candidate"})

    def lacks_inputs(self) -> Situation:
        return Situation({"action": "get"}, Result.FAILED, ErrorCode.MISSING_INPUT)

    def is_refused(self) -> Situation:
        return Situation(self._inputs("get", password=SECRET), Result.FAILED, ErrorCode.LOGIN_REFUSED)

    def times_out(self) -> Situation:
        self._step = NetconfStep(silence_seconds=0.3)
        self._device.answer({"commit": None})
        return Situation(self._inputs("merge", payload=self._PAYLOAD), Result.UNKNOWN, ErrorCode.TIMEOUT)

    def is_cut(self) -> Situation:
        self._device.answer({"commit": error("no-error", BEGUN, severity="warning"), "get-config": None})
        return Situation(self._inputs("merge", payload=self._PAYLOAD), Result.UNKNOWN, ErrorCode.CONNECTION_CUT)

    def cut(self) -> None:
        self._proxy.cut()

    def goes_on(self) -> Situation:
        self._device.answer({"commit": [error("no-error", BEGUN, severity="warning"), OK], "get-config": [None, data(self._PAYLOAD)]})
        return Situation(self._inputs("merge", payload=self._PAYLOAD))

    async def traces(self) -> list[str]:
        return ["a session"] * self._device.open_sessions

    async def is_clear(self, *, has_hung: bool = False) -> None:
        await self._device.wait_until_left()
        await self._proxy.wait_until(open_connections=0)

    def hang(self) -> None:
        self._proxy.stall()

    def recover(self) -> None:
        self._proxy.cut()  # so that nothing of what was held back arrives after all
        self._proxy.resume()

    def prints_much(self) -> Situation:
        self._device.answer({"get": data("x" * 9 * 1024 * 1024)})
        return Situation(self._inputs("get"))

    def prints_invalid_text(self) -> Situation:
        self._device.answer({"get": b"\n#4\n<a>\xff\n##\n"})
        return Situation(self._inputs("get"), Result.FAILED, ErrorCode.NO_NETCONF)


class GuestCase(StepTypeCase):
    """TCA_EXEC: a vCenter that can go away, and a machine in which programs really run."""

    name = "TCA_EXEC"

    @property
    def step(self) -> StepType:
        return self._step

    async def open(self) -> None:
        place = Path(self.closing.enter_context(TemporaryDirectory()))
        self._center = await self.closing.enter_async_context(FakeVCenter(place))
        self._step = GuestStep(patience_seconds=0.1)

    def context(self, **more: Any) -> RecordingContext:
        return context_for(self._center, **more)

    def succeeds(self) -> Situation:
        return Situation(asking("echo fine"), outputs={"outputText": "fine\n", "errorText": "", "exitCode": 0})

    def lacks_inputs(self) -> Situation:
        return Situation({"cmd": "id"}, Result.FAILED, ErrorCode.MISSING_INPUT)

    def is_refused(self) -> Situation:
        return Situation(asking("id", password=SECRET), Result.FAILED, ErrorCode.LOGIN_REFUSED)

    def times_out(self) -> Situation:
        self._center.holds.add("Login")
        self._step = GuestStep(call_seconds=0.3)
        return Situation(asking("id"), Result.FAILED, ErrorCode.TIMEOUT)

    def is_cut(self) -> Situation:
        return Situation(asking(f"echo {BEGUN}; sleep 100"), Result.UNKNOWN, ErrorCode.CONNECTION_CUT)

    def cut(self) -> None:
        self._center.is_away = True

    def goes_on(self) -> Situation:
        return Situation(asking(f"echo {BEGUN}; sleep 100"))

    async def traces(self) -> list[str]:
        return [*map(str, self._center.guest.left()), *map(str, self._center.guest.running()), *self._center.sessions]

    async def is_clear(self, *, has_hung: bool = False) -> None:
        if has_hung:  # a login that nobody could end is ended by the vCenter itself, when it has been idle
            self._center.sessions.clear()
        assert_nothing_left(self._center)

    def hang(self) -> None:
        self._center.handler_of = lambda asked: silent  # type: ignore[method-assign]

    def recover(self) -> None:
        del self._center.handler_of

    def prints_much(self) -> Situation:
        return Situation(asking("head -c 9437184 /dev/zero | tr '\\0' x"))

    def prints_invalid_text(self) -> Situation:
        return Situation(asking("printf 'a\\377b'"), outputs={"outputText": "a\ufffdb"})


class SuiteShell(PrivilegedIosShell):
    """A router with a line for each situation."""

    async def carry_out(self, line: str) -> None:
        match line:
            case "show much":
                await self.page("x" * 100_000 + "\n" + f"{'y' * 999}\n" * 9_500)
            case "show bytes":
                self._process.stdout.write(b"a\xffb\r\n")
            case _:
                await super().carry_out(line)


class SshShellCase(StepTypeCase):
    """TCA_SSH in an interactive shell: a router behind a proxy that can be cut."""

    name = "TCA_SSH"
    way = "in a shell"

    @property
    def step(self) -> StepType:
        return self._step

    async def open(self) -> None:
        self._step = SshStep(silence_seconds=5.0)
        device = Device(quirks=Quirks(hangs_at="show begun", says=BEGUN))
        self._router = await self.closing.enter_async_context(RouterServer(SuiteShell, device))
        self._proxy = await self.closing.enter_async_context(Proxy(self._router.host, self._router.port))

    def context(self, **more: Any) -> RecordingContext:
        return RecordingContext(accept_new=True, **more)

    def _inputs(self, line: str, **more: Value) -> dict[str, Value]:
        router = self._router
        login: dict[str, Value] = {"hostNameOrIP": self._proxy.host, "port": self._proxy.port, "username": router.user}
        return {**login, "password": router.password, "shell": True, "platform": "ios", "cmd": line, **more}

    def succeeds(self) -> Situation:
        return Situation(self._inputs("show colours"), outputs={"outputText": "red and plain\n"})

    def lacks_inputs(self) -> Situation:
        return Situation({"shell": True, "platform": "ios", "cmd": "show version"}, Result.FAILED, ErrorCode.MISSING_INPUT)

    def is_refused(self) -> Situation:
        return Situation(self._inputs("show version", enablePassword=SECRET, password=SECRET), Result.FAILED, ErrorCode.LOGIN_REFUSED)

    def times_out(self) -> Situation:
        self._step = SshStep(silence_seconds=0.5)
        return Situation(self._inputs("show begun"), Result.UNKNOWN, ErrorCode.TIMEOUT)

    def is_cut(self) -> Situation:
        return Situation(self._inputs("show begun"), Result.UNKNOWN, ErrorCode.CONNECTION_CUT)

    def cut(self) -> None:
        self._proxy.cut()

    def goes_on(self) -> Situation:
        return Situation(self._inputs("show begun"))

    async def traces(self) -> list[str]:
        return [] if self._router.device.gone.is_set() else ["a session"]

    async def is_clear(self, *, has_hung: bool = False) -> None:
        async with asyncio.timeout(10):
            await self._router.device.gone.wait()
        await self._proxy.wait_until(open_connections=0)

    def hang(self) -> None:
        self._proxy.stall()

    def recover(self) -> None:
        self._proxy.cut()  # so that nothing of what was held back arrives after all
        self._proxy.resume()

    def prints_much(self) -> Situation:
        return Situation(self._inputs("show much"))

    def prints_invalid_text(self) -> Situation:
        return Situation(self._inputs("show bytes"), outputs={"outputText": "a\ufffdb\n"})


class KubernetesCase(StepTypeCase):
    """K8S: a cluster behind a proxy that can be cut."""

    name = "K8S"

    @property
    def step(self) -> StepType:
        return self._lab.step

    async def open(self) -> None:
        self._lab = await self.closing.enter_async_context(Lab(patience=0.5))

    def context(self, **more: Any) -> RecordingContext:
        return self._lab.context(**more)

    def succeeds(self) -> Situation:
        return Situation(self._lab.inputs("echo fine"), outputs={"outputText": "fine\n", "exitCode": 0})

    def lacks_inputs(self) -> Situation:
        return Situation({"vimLocation": "paris"}, Result.FAILED, ErrorCode.MISSING_INPUT)

    def is_refused(self) -> Situation:
        self._lab.token = SECRET
        return Situation(self._lab.inputs("id", WORD=SECRET), Result.FAILED, ErrorCode.LOGIN_REFUSED)

    def times_out(self) -> Situation:
        return Situation(self._lab.inputs("exec sleep 100", timeout=1), Result.UNKNOWN, ErrorCode.TIMEOUT)

    def is_cut(self) -> Situation:
        return Situation(self._lab.inputs(f"echo {BEGUN}; exec sleep 100"), Result.UNKNOWN, ErrorCode.CONNECTION_REFUSED)

    def cut(self) -> None:
        self._lab.proxy.close()

    def goes_on(self) -> Situation:
        return Situation(self._lab.inputs(f"echo {BEGUN}; exec sleep 100"))

    async def traces(self) -> list[str]:
        return self._lab.cluster.everything()

    async def is_clear(self, *, has_hung: bool = False) -> None:
        async with asyncio.timeout(10):
            while self._lab.cluster.everything():
                await self._lab.cluster.store.news.wait()

    def hang(self) -> None:
        self._lab.proxy.stall()

    def recover(self) -> None:
        self._lab.proxy.cut()
        self._lab.proxy.resume()

    def prints_much(self) -> Situation:
        return Situation(self._lab.inputs("head -c 9437184 /dev/zero | tr '\\0' x"))

    def prints_invalid_text(self) -> Situation:
        return Situation(self._lab.inputs("printf 'a\\377b'"), outputs={"outputText": "a\ufffdb"})


class VroCase(StepTypeCase):
    """What the step types of vRO have in common: a vRO over TLS. A connection that is cut is no doubt, for the run goes on and is asked for again."""

    name = "VRO_CUSTOM"
    _MORE: Mapping[str, Value] = {}
    _GIVES: Mapping[str, Value] = {"outputText": "fine"}
    _STEP: Callable[..., VroStep] = VroCustomStep

    @property
    def step(self) -> StepType:
        return self._step

    async def open(self) -> None:
        place = Path(self.closing.enter_context(TemporaryDirectory()))
        certificate, tls = own_certificate(place)
        self._vro = await self.closing.enter_async_context(FakeVro(tls))
        self._known = inventory_with(self._vro, certificate)
        self._secrets: Mapping[str, str] | None = None
        self._step = self._of(lost=5.0)

    def _of(self, lost: float, **more: Any) -> StepType:
        chosen: dict[str, Any] = more if self.name == "VRO_CUSTOM" else {"workflow": "Suite", **more}
        return self._STEP(pauses=Pauses(first=0.02, longest=0.05, lost=lost), **chosen)

    def context(self, **more: Any) -> RecordingContext:
        return context_with(self._known, self._secrets, attachments={"a": b"content"}, files={"inFile"}, **more)

    def _inputs(self, work: Callable[[FakeRun], None] | None = None) -> dict[str, Value]:
        kinds = {"hostNameOrIP": "string", "username": "string", "password": "SecureString", "cmd": "string", "virtualMachine": "string"}
        more = {"inFile": "MimeAttachment", "destinationPath": "string"}
        self._vro.workflow("Suite", inputs={**kinds, **more}, work=work or self._ends)
        named: dict[str, Value] = {"vroWorkflowName": "Suite"} if self.name == "VRO_CUSTOM" else {}
        return {"vimLocation": VIM, **named, **self._MORE}

    def _ends(self, run: FakeRun) -> None:
        self._gives(run, "fine")
        run.state = "completed"

    def _gives(self, run: FakeRun, text: str) -> None:
        run.gives("outputText", "string", {"string": {"value": text}})

    def _begins(self, run: FakeRun) -> None:
        run.says(BEGUN)

    def succeeds(self) -> Situation:
        return Situation(self._inputs(), outputs=self._GIVES)

    def lacks_inputs(self) -> Situation:
        return Situation({"vimLocation": VIM}, Result.FAILED, ErrorCode.MISSING_INPUT)

    def is_refused(self) -> Situation:
        self._secrets = {"paris vro": SECRET}
        return Situation(self._inputs(), Result.FAILED, ErrorCode.LOGIN_REFUSED)

    def times_out(self) -> Situation:
        inputs = self._inputs()
        self._vro.next = [silent]
        self._step = self._of(lost=5.0, patience=Patience(silence_seconds=0.3))
        return Situation(inputs, Result.FAILED, ErrorCode.TIMEOUT)

    def is_cut(self) -> Situation:
        self._step = self._of(lost=0.1)
        return Situation(self._inputs(self._begins), Result.UNKNOWN, ErrorCode.CONNECTION_CUT)

    def cut(self) -> None:
        self._vro.next = [cut_in_half, cut_off] * 500

    def goes_on(self) -> Situation:
        return Situation(self._inputs(self._begins))

    async def traces(self) -> list[str]:
        await self._vro.first_run()
        return [f"the run {run.id} is {run.state}" for run in self._vro.runs if run.state not in ENDED]

    async def is_clear(self, *, has_hung: bool = False) -> None:
        assert await self.traces() == []

    def hang(self) -> None:
        self._vro.next = [silent] * 1_000

    def recover(self) -> None:
        self._vro.next = []

    def prints_much(self) -> Situation:
        def work(run: FakeRun) -> None:
            run.says("y" * 9 * 1024 * 1024)
            self._gives(run, "x" * 9 * 1024 * 1024)
            run.state = "completed"

        return Situation(self._inputs(work))

    def prints_invalid_text(self) -> Situation:
        def work(run: FakeRun) -> None:
            run.says("a\ud800b")
            run.says(f"a{BROKEN}b")
            self._gives(run, f"fine{BROKEN}")
            run.state = "completed"

        return Situation(self._inputs(work), outputs=self._GIVES if self.name == "VRO_SCP" else {"outputText": "fine\ufffd"})


class VroCustomCase(VroCase):
    """VRO_CUSTOM: its outputs are those of the run."""


class VroSshCase(VroCase):
    """VRO_SSH: by a workflow that takes what vRO's library does."""

    name = "VRO_SSH"
    _MORE: Mapping[str, Value] = {"hostNameOrIP": "192.0.2.7", "username": "ann", "password": SECRET, "cmd": "show version"}
    _STEP = VroSshStep


class VroScpCase(VroCase):
    """VRO_SCP: a file handed over, to be sent."""

    name = "VRO_SCP"
    _MORE: Mapping[str, Value] = {"hostNameOrIP": "192.0.2.7", "username": "ann", "inFile": "a", "destinationPath": "/there"}
    _GIVES: Mapping[str, Value] = {"result": "/there", "bytes": 7}
    _STEP = VroScpStep

    def prints_much(self) -> Situation:
        def work(run: FakeRun) -> None:
            content = base64.b64encode(bytes(9 * 1024 * 1024)).decode()
            run.gives("content", "MimeAttachment", {"mime-attachment": {"name": "much", "content": content}})
            run.state = "completed"

        self._inputs(work)
        self._vro.workflow("Suite", inputs=dict.fromkeys(("hostNameOrIP", "username", "sourcePath"), "string"), work=work)
        fetching: dict[str, Value] = {"vimLocation": VIM, "hostNameOrIP": "192.0.2.7", "username": "ann", "sourcePath": "/much"}
        return Situation(fetching, Result.FAILED, ErrorCode.OUTPUT_MISFIT, context={"file_limit_bytes": 1024 * 1024})


class VroExecCase(VroCase):
    """VRO_EXEC: a command in a virtual machine that the inventory does not know."""

    name = "VRO_EXEC"
    _MORE: Mapping[str, Value] = {"virtualMachine": "vm-1", "username": "ann", "password": SECRET, "cmd": "uptime"}
    _STEP = VroExecStep


_VRO: Final = (VroCustomCase, VroSshCase, VroScpCase, VroExecCase)
_ALL: Final = (NoopCase, JavaScriptCase, SshCase, SshShellCase, ScpCase, NetconfCase, HttpCase, KubernetesCase, GuestCase, *_VRO)
CASES: Final[Mapping[str, type[StepTypeCase]]] = {f"{case.name} {case.way}".strip(): case for case in _ALL}


def have_ended(processes: Sequence[psutil.Process]) -> None:
    """Return when these have ended; raises AssertionError where one goes on."""
    _, alive = psutil.wait_procs(processes, timeout=9)
    assert not alive


SITUATIONS: Final = (
    *("succeeds", "lacks_inputs", "is_refused", "times_out", "is_cut", "goes_on", "traces", "hang", "prints_much", "prints_invalid_text"),
)
"""Every situation of the suite, by the method of a case that brings it about."""


def names_with(situation: str) -> list[str]:
    """Return the types to which the situation called so can happen."""
    return [name for name, case in CASES.items() if getattr(case, situation) is not getattr(StepTypeCase, situation)]
