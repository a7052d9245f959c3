"""A NETCONF device over a real SSH connection that answers what it is told to. Used where a test needs a device that no real server is.

It speaks both framings, gives every request its number back and counts what it was asked. It has no datastores: what a request does to a
configuration, access control and locks between sessions are left out, and tested with netconfd.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self, cast

import asyncssh

from stepswitch.plugin import Value
from stepswitch.steps.netconf_framing import Framer

BASE: Final = "urn:ietf:params:xml:ns:netconf:base:1.0"
BASE_1_0: Final = "urn:ietf:params:netconf:base:1.0"
BASE_1_1: Final = "urn:ietf:params:netconf:base:1.1"
CANDIDATE: Final = ("candidate:1.0", "validate:1.1", "rollback-on-error:1.0")
_OPERATION: Final = re.compile(rb"<rpc\b[^>]*>\s*<(?:\w+:)?([\w-]+)")
_MESSAGE_ID: Final = re.compile(rb'message-id="([^"]*)"')
OK: Final = "<ok/>"
Answer = str | bytes | None


def data(inner: str) -> str:
    """Return an answer with data."""
    return f"<data>{inner}</data>"


def error(tag: str, message: str = "", *, severity: str = "error", more: str = "") -> str:
    """Return an answer with one error."""
    return (
        f"<rpc-error><error-type>protocol</error-type><error-tag>{tag}</error-tag><error-severity>{severity}</error-severity>"
        f"{more}<error-message>{message}</error-message></rpc-error>"
    )


class ScriptedDevice:
    """Answers each operation by `answers`: a text goes into an `rpc-reply`, bytes go out as they are, None is silence.

    A sequence is used up from the front, its last answer again and again; operations that are not named are answered `ok`.
    """

    def __init__(
        self,
        answers: Mapping[str, Answer | Sequence[Answer]] | None = None,
        *,
        capabilities: Sequence[str] = CANDIDATE,
        bases: Sequence[str] = (BASE_1_0, BASE_1_1),
        hello: Answer = "",
        has_netconf: bool = True,
        password: str = "let-me-in-please",
    ) -> None:
        self.host, self.port = "127.0.0.1", 0
        self.password = password
        self.asked: list[str] = []
        self.requests: list[bytes] = []
        self.open_sessions = 0
        self.host_public_key = ""
        self._answers: dict[str, list[Answer]] = {}
        self.answer(answers or {})
        self._bases = bases
        self._capabilities = [
            *bases,
            *(
                each if ":" in each and each.startswith(("urn:", "http")) else f"urn:ietf:params:netconf:capability:{each}"
                for each in capabilities
            ),
        ]
        self._hello = hello
        self._has_netconf = has_netconf
        self._news = asyncio.Condition()
        self._server: asyncssh.SSHAcceptor | None = None

    async def __aenter__(self) -> Self:
        key = asyncssh.generate_private_key("ssh-ed25519")
        self.host_public_key = " ".join(key.export_public_key("openssh").decode().split()[:2])
        password = self.password

        class Door(asyncssh.SSHServer):
            def password_auth_supported(self) -> bool:
                return True

            def validate_password(self, username: str, given: str) -> bool:
                return given == password

        self._server = await asyncssh.create_server(
            Door, self.host, 0, server_host_keys=[key], process_factory=self._serve if self._has_netconf else None, encoding=None
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    def answer(self, answers: Mapping[str, Answer | Sequence[Answer]]) -> None:
        """Answer these operations so from now on."""
        self._answers |= {name: list(each) if isinstance(each, list | tuple) else [cast("Answer", each)] for name, each in answers.items()}

    def inputs(self, **more: Value) -> dict[str, Value]:
        """Return the inputs of a step that logs in here, with `more` over them."""
        return {"hostNameOrIP": self.host, "port": self.port, "username": "admin", "password": self.password, **more}

    def trusted(self) -> dict[tuple[str, int], list[str]]:
        """Return the device's key in the form that contexts of tests take."""
        return {(self.host, self.port): [self.host_public_key]}

    async def wait_until_asked(self, operation: str) -> None:
        """Return when the device has been asked for an operation; raises TimeoutError."""
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(lambda: operation in self.asked)

    async def wait_until_left(self) -> None:
        """Return when no session is open; raises TimeoutError."""
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(lambda: not self.open_sessions)

    async def _serve(self, process: "asyncssh.SSHServerProcess[bytes]") -> None:
        if process.subsystem != "netconf":
            process.exit(1)
            return
        await self._count(1)
        try:
            await self._talk(process)
        except (asyncssh.Error, OSError):
            pass
        finally:
            process.exit(0)
            await self._count(-1)

    async def _talk(self, process: "asyncssh.SSHServerProcess[bytes]") -> None:
        framer = Framer()
        if self._hello is not None:
            process.stdout.write(self._hello if isinstance(self._hello, bytes) else framer.framed(self._greeting()))
        chunked = BASE_1_1 in self._bases
        is_greeted = False
        while received := await process.stdin.read(65536):
            framer.feed(received)
            while (message := framer.next()) is not None:
                if is_greeted:
                    await self._answer(process, framer, message)
                elif chunked:
                    framer.use_chunks()
                is_greeted = True

    async def _answer(self, process: "asyncssh.SSHServerProcess[bytes]", framer: Framer, request: bytes) -> None:
        named = _OPERATION.search(request)
        name = named[1].decode() if named else "?"
        answers = self._answers.get(name, [OK])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, str):
            number: Any = _MESSAGE_ID.search(request)
            reply = f'<rpc-reply xmlns="{BASE}" message-id="{number[1].decode()}">{answer}</rpc-reply>'
            process.stdout.write(framer.framed(reply.encode()))
        elif answer is not None:
            process.stdout.write(answer)
        self.requests.append(request)
        async with self._news:
            self.asked.append(name)
            self._news.notify_all()

    def _greeting(self) -> bytes:
        named = "".join(f"<capability>{each}</capability>" for each in self._capabilities)
        return f'<hello xmlns="{BASE}"><capabilities>{named}</capabilities><session-id>7</session-id></hello>'.encode()

    async def _count(self, step: int) -> None:
        async with self._news:
            self.open_sessions += step
            self._news.notify_all()
