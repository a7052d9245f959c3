"""A NETCONF session on a channel of an SSH connection: hello, requests and their replies (RFC 6241, RFC 6242). Called by `netconf`, imported when first used.

One request at a time. A device that says nothing, or too much, or something else than NETCONF, is left at once; what was asked of it
by then is for the caller to judge.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final, cast

import asyncssh

from stepswitch.plugin import ErrorCode
from stepswitch.steps.netconf_framing import MAX_MESSAGE_BYTES, Framer, FramingError, TooLargeError
from stepswitch.steps.netconf_xml import (
    Element,
    RpcFault,
    XmlFaultError,
    child,
    document,
    element,
    faults_of,
    local_name,
    modules_of,
    parse,
    rpc,
)
from stepswitch.steps.output import harmless

BASE_1_0: Final = "urn:ietf:params:netconf:base:1.0"
BASE_1_1: Final = "urn:ietf:params:netconf:base:1.1"
_CAPABILITY: Final = "urn:ietf:params:netconf:capability:"
_READ_BYTES: Final = 64 * 1024
_LARGE_BYTES: Final = 128 * 1024
"""A reply of more is parsed beside the event loop."""
_FAREWELL_SECONDS: Final = 1.0
AGAIN_SECONDS: Final = 10.0
"""How long the first reply of a session may take to begin before its request is sent once more."""


class Trouble(Enum):
    """Why a session cannot go on."""

    CUT = auto()
    SILENT = auto()
    NO_NETCONF = auto()
    TOO_LARGE = auto()
    REFUSED = auto()


_CODES: Final = {
    Trouble.CUT: ErrorCode.CONNECTION_CUT,
    Trouble.SILENT: ErrorCode.TIMEOUT,
    Trouble.NO_NETCONF: ErrorCode.NO_NETCONF,
    Trouble.TOO_LARGE: ErrorCode.OUTPUT_TOO_LARGE,
    Trouble.REFUSED: ErrorCode.CONNECTION_REFUSED,
}


class SessionError(Exception):
    """The session is of no more use; the message says what happened, after the name of the device."""

    def __init__(self, trouble: Trouble, message: str) -> None:
        super().__init__(message)
        self.trouble = trouble

    @property
    def code(self) -> ErrorCode:
        """The code of a step that ends with it."""
        return _CODES[self.trouble]


class RpcError(Exception):
    """The device answered a request with errors."""

    def __init__(self, reply: "Reply", faults: list[RpcFault]) -> None:
        super().__init__("the device said no")
        self.reply = reply
        self.faults = faults

    def has(self, *tags: str) -> bool:
        """Return whether one of its errors is called so."""
        return any(fault.tag in tags for fault in self.faults)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: as it came, as it reads, and what it warns of."""

    text: str
    root: Element
    warnings: tuple[RpcFault, ...] = ()

    @property
    def data(self) -> Element | None:
        """What was read; None where the answer has nothing of the kind."""
        return child(self.root, "data")


class NetconfSession:
    """Open it, ask, close it. `silence_seconds` is how long a device may say nothing while it owes a reply."""

    def __init__(self, connection: asyncssh.SSHClientConnection, *, open_seconds: float, silence_seconds: float) -> None:
        self._connection = connection
        self._open_seconds = open_seconds
        self._silence_seconds = silence_seconds
        self._framer = Framer()
        self._writer: asyncssh.SSHWriter[bytes] | None = None
        self._reader: asyncssh.SSHReader[bytes] | None = None
        self._asked = 0
        self._is_broken = False
        self._capabilities: tuple[str, ...] = ()
        self.session_id = ""

    @property
    def is_usable(self) -> bool:
        """Whether anything can still be asked."""
        return self._writer is not None and not self._is_broken

    @property
    def modules(self) -> dict[str, str]:
        """The namespaces of the modules that the device says it has, by their names."""
        return modules_of(self._capabilities)

    def can(self, name: str, *versions: str) -> bool:
        """Return whether the device offers a capability, such as `candidate`, in one of the versions (any without)."""
        offered = [each.partition("?")[0] for each in self._capabilities]
        wanted = tuple(f"{_CAPABILITY}{name}:{version}" for version in versions)
        return any(each in wanted if wanted else each.startswith(f"{_CAPABILITY}{name}:") for each in offered)

    def parameters(self, name: str) -> str:
        """Return what a capability says behind its `?`; empty where there is none."""
        return next((each.partition("?")[2] for each in self._capabilities if each.startswith(f"{_CAPABILITY}{name}:")), "")

    async def open(self) -> None:
        """Begin the session; raises SessionError. Nothing was asked of the device before it returns."""
        try:
            async with asyncio.timeout(self._open_seconds):
                await self._open_channel()
                await self._greet()
        except TimeoutError:
            self._is_broken = True
            raise SessionError(Trouble.SILENT, f"did not open a NETCONF session within {self._open_seconds:g} seconds") from None

    async def ask(self, operation: Element) -> Reply:
        """Send a request and return its reply; raises RpcError where that has errors, SessionError where there is none.

        The first one of a session must be a read or a lock: see `_first_reply`.
        """
        is_first, number = self._asked == 0, self._asked + 1
        try:
            await self._send_request(operation)
            reply = await (self._first_reply(operation) if is_first else self._own_reply(number))
        except SessionError:
            self._is_broken = True
            raise
        errors = [fault for fault in reply.warnings if fault.severity != "warning"]
        if errors:
            raise RpcError(reply, errors)
        return reply

    async def close(self) -> None:
        """Take leave of the device, for a moment at most."""
        if self.is_usable:
            with suppress(TimeoutError, SessionError, RpcError):
                await asyncio.wait_for(self.ask(element("close-session")), _FAREWELL_SECONDS)  # not `timeout`: see `ssh_command.Run.stop`
        self._is_broken = True
        if self._writer is not None:
            self._writer.channel.close()

    async def _open_channel(self) -> None:
        try:
            self._writer, self._reader, _ = await self._connection.open_session(subsystem="netconf", encoding=None)
        except asyncssh.ChannelOpenError:
            if self._connection.is_closed():
                raise SessionError(Trouble.CUT, "closed the connection before the NETCONF session was open") from None
            raise SessionError(
                Trouble.REFUSED, "let us in, but does not offer NETCONF there (the subsystem 'netconf' was refused)"
            ) from None
        except (asyncssh.Error, OSError):
            raise SessionError(Trouble.CUT, "closed the connection before the NETCONF session was open") from None

    async def _greet(self) -> None:
        capabilities = (element("capability", each) for each in (BASE_1_0, BASE_1_1))
        await self._send(document(element("hello", element("capabilities", *capabilities))))
        message = await self._message()
        hello = await _parsed(message)
        if local_name(hello) != "hello":
            raise SessionError(Trouble.NO_NETCONF, f"begins with <{harmless(local_name(hello))}> where NETCONF has <hello>")
        offered = child(hello, "capabilities")
        self._capabilities = tuple((each.text or "").strip() for each in (() if offered is None else offered))
        session_id = child(hello, "session-id")
        self.session_id = "" if session_id is None else harmless((session_id.text or "").strip())[:20]
        if BASE_1_1 in self._capabilities:
            self._framer.use_chunks()
        elif BASE_1_0 not in self._capabilities:
            raise SessionError(Trouble.NO_NETCONF, "speaks no version of NETCONF that is known here (1.0 and 1.1)")

    async def _send(self, message: bytes) -> None:
        if self._writer is None:
            raise AssertionError("the session is open")
        try:
            self._writer.write(self._framer.framed(message))
            await asyncio.wait_for(self._writer.drain(), self._silence_seconds)
        except TimeoutError:
            raise SessionError(Trouble.SILENT, f"took nothing of a request for {self._silence_seconds:g} seconds") from None
        except (asyncssh.Error, OSError):
            raise SessionError(Trouble.CUT, "closed the connection") from None

    async def _send_request(self, operation: Element) -> None:
        self._asked += 1
        await self._send(rpc(self._asked, operation))

    async def _first_reply(self, operation: Element) -> Reply:
        """Return the reply to the first request, which is asked once more where nothing comes.

        There are servers that leave what came together with our hello until something else comes. Reads and locks may be asked twice.
        """
        try:
            return await asyncio.wait_for(self._own_reply(1), AGAIN_SECONDS)
        except SessionError as error:
            raise error.with_traceback(None) from None  # `wait_for` keeps its task, which keeps the error, which would keep this session
        except TimeoutError:
            if not self._framer.has_begun:
                await self._send_request(operation)
            return await self._own_reply(1)

    async def _own_reply(self, number: int) -> Reply:
        """Return the reply to the request of a number, or a later one; what belongs to an earlier one, or is a notification, is passed over."""
        passed_over = 0
        while True:
            message = await self._message()
            root = await _parsed(message)
            name, own = local_name(root), root.get("message-id")
            if name == "notification" or (name == "rpc-reply" and own in _numbers(1, number)):
                passed_over += len(message)
                if passed_over > MAX_MESSAGE_BYTES:
                    raise SessionError(Trouble.TOO_LARGE, "sends and sends, and never what it was asked for")
                continue
            if name != "rpc-reply" or own not in {None, *_numbers(number, self._asked + 1)}:
                raise SessionError(Trouble.NO_NETCONF, f"answered with <{harmless(name)[:100]}>, which is no reply to what was asked")
            return Reply(message.decode("utf-8-sig"), root, tuple(faults_of(root)))

    async def _message(self) -> bytes:
        """Return the next message, whatever it is."""
        reader = cast("Any", self._reader)
        try:
            while True:
                message = self._framer.next()
                if message is not None:
                    return message
                data = await asyncio.wait_for(reader.read(_READ_BYTES), self._silence_seconds)
                if not data:
                    raise SessionError(Trouble.CUT, "closed the session")
                self._framer.feed(data)
        except TimeoutError:
            raise SessionError(Trouble.SILENT, f"said nothing for {self._silence_seconds:g} seconds while it owed a reply") from None
        except TooLargeError as error:
            raise SessionError(Trouble.TOO_LARGE, f"answers with {error}; ask for less, with a filter") from None
        except FramingError as error:
            raise SessionError(Trouble.NO_NETCONF, f"does not speak NETCONF as it should: there is {error}") from None
        except (asyncssh.Error, OSError) as error:
            error.with_traceback(None)  # the driver keeps the error, and by its trace it would keep this session
            raise SessionError(Trouble.CUT, "closed the connection") from None


async def _parsed(message: bytes) -> Element:
    try:
        return await asyncio.to_thread(parse, message) if len(message) > _LARGE_BYTES else parse(message)
    except XmlFaultError as error:
        raise SessionError(Trouble.NO_NETCONF, f"sent a message that cannot be used: {error}") from None


def _numbers(first: int, after: int) -> frozenset[str]:
    """Return how requests are numbered from the first up to the one before another."""
    return frozenset(map(str, range(first, after)))
