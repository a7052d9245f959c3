"""TCA_SSH and servers that are no OpenSSH. Risks: a router's way to end is taken for a cut, a cut for an end, a strange peer hangs a step."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncssh
import pytest

from stepswitch.plugin import ErrorCode, Outcome, Result, Value
from stepswitch.steps.ssh import SshStep
from tests.steps.contexts import RecordingContext
from tests.steps.test_ssh import error_of

Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def peer(serve: Peer) -> AsyncIterator[int]:
    """Listen on a port with something that is no SSH server, or a poor one."""
    serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def serve_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving[task] = writer
        try:
            await serve(reader, writer)
        except OSError:
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve_and_close, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    for writer in serving.values():
        writer.transport.abort()
    await asyncio.gather(*serving)
    await server.wait_closed()


def says_and_hangs_up(greeting: bytes) -> Peer:
    """Return a peer that says one thing, and that it says no more right behind it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        writer.write_eof()
        await reader.read()

    return serve


async def reach(port: int, *, host: str = "127.0.0.1", seconds: float = 5.0, **inputs: Value) -> tuple[Outcome, RecordingContext]:
    step, context = SshStep(connect_seconds=seconds), RecordingContext(accept_new=True)
    outcome = await step.run({"hostNameOrIP": host, "port": port, "username": "admin", "password": "pw", "cmd": "show", **inputs}, context)
    await step.close()
    return outcome, context


# --- no SSH at all ---------------------------------------------------------------------------------------------------


async def test_nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        outcome, _ = await reach(port)
    assert error_of(outcome) == (Result.FAILED, ErrorCode.CONNECTION_REFUSED)
    assert outcome.error is not None
    assert f"127.0.0.1:{port}" in outcome.error.message


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 70 + ".example", "ü" * 80, "::zz"])
async def test_a_name_that_leads_nowhere(host: str) -> None:
    outcome, _ = await reach(22, host=host)
    assert error_of(outcome) == (Result.FAILED, ErrorCode.UNREACHABLE)


async def test_a_network_without_a_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: object) -> None:
        raise OSError(113, "No route to host")

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", nowhere)
    outcome, _ = await reach(22, host="192.0.2.1")
    assert error_of(outcome) == (Result.FAILED, ErrorCode.UNREACHABLE)
    assert outcome.error is not None
    assert "No route to host" in outcome.error.message


async def test_a_server_that_accepts_and_says_nothing_is_given_up() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with peer(silent) as port:
        outcome, context = await reach(port, seconds=0.3)
    assert error_of(outcome) == (Result.FAILED, ErrorCode.TIMEOUT)
    assert not context.sent


@pytest.mark.parametrize(
    "greeting",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"SSH-1.5-old\r\n",
        b"SSH-2.0-Strange\r\n" + bytes(range(256)) * 300,
        b"SSH-2.0-Strange\r\n" + b"\x00\x00\x00\x0c\x04\x14" + b"\x00" * 300,
        b"SSH-2.0-\xff\xfe\r\n",
        b"\x00" * 100_000,
        b"line\r\n" * 5_000,
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
)
async def test_a_server_that_speaks_garbage_and_hangs_up_is_a_failure(greeting: bytes) -> None:
    async with peer(says_and_hangs_up(greeting)) as port:
        outcome, context = await reach(port)
    assert error_of(outcome) == (Result.FAILED, ErrorCode.CONNECTION_CUT)
    assert not context.sent


async def test_a_server_that_hangs_up_behind_its_algorithms_is_said_to_have_none_in_common() -> None:
    """As OpenSSH does it, both at once, so that a busy client hears of both together (RFC 4253, 7.1)."""
    lists = [b"curve25519-sha256", b"ssh-ed25519", *[b"3des-cbc"] * 2, *[b"hmac-sha2-256"] * 2, *[b"none"] * 2, b"", b""]
    payload = b"\x14" + bytes(16) + b"".join(len(each).to_bytes(4, "big") + each for each in lists) + bytes(5)
    padding = 8 - (5 + len(payload)) % 8 + 8
    packet = (1 + len(payload) + padding).to_bytes(4, "big") + bytes([padding]) + payload + bytes(padding)

    async with peer(says_and_hangs_up(b"SSH-2.0-Old\r\n" + packet)) as port:
        outcome, context = await reach(port)
    assert error_of(outcome) == (Result.FAILED, ErrorCode.NO_COMMON_ALGORITHM)
    assert not context.sent


# --- SSH servers as routers have them --------------------------------------------------------------------------------


class _Router(asyncssh.SSHServer):
    """Takes the password `pw`, by keyboard-interactive only where `interactive`."""

    def __init__(self, *, interactive: bool = False, sessions: Callable[[], Any] | None = None) -> None:
        self._interactive = interactive
        self._sessions = sessions

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return not self._interactive

    def validate_password(self, username: str, password: str) -> bool:
        return password == "pw"

    def kbdint_auth_supported(self) -> bool:
        return self._interactive

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:
        return "", "", "", [("Password: ", False)]

    def validate_kbdint_response(self, username: str, responses: Any) -> bool:
        return list(responses) == ["pw"]

    def session_requested(self) -> Any:
        return self._sessions() if self._sessions else True


@asynccontextmanager
async def router(
    serve: Callable[[asyncssh.SSHServerProcess[str]], Any] | None = None, **how: Any
) -> AsyncIterator[tuple[int, asyncssh.SSHAcceptor]]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    acceptor = await asyncssh.listen(
        "127.0.0.1", 0, server_factory=lambda: _Router(**how), server_host_keys=[key], process_factory=serve, config=None
    )
    yield acceptor.get_port(), acceptor
    acceptor.close()
    await acceptor.wait_closed()


async def test_a_router_that_gives_no_exit_code_succeeds() -> None:
    async def serve(process: asyncssh.SSHServerProcess[str]) -> None:
        process.stdout.write("version 7\r\n")
        process.stdout.write_eof()
        process.close()

    async with router(serve) as (port, _):
        outcome, _ = await reach(port)
        assert outcome == Outcome(Result.SUCCEEDED, {"outputText": "version 7\r\n", "result": "version 7\r\n", "errorText": ""})
        outcome, _ = await reach(port, failPattern="version 7")
        assert error_of(outcome) == (Result.FAILED, ErrorCode.PATTERN_FAILED)


async def test_a_router_that_takes_leave_after_its_answer_succeeds() -> None:
    async def serve(process: asyncssh.SSHServerProcess[str]) -> None:
        await process.stdin.read()
        process.stdout.write("version 7\r\n")
        process.stdout.write_eof()
        process.channel.get_connection().disconnect(asyncssh.DISC_BY_APPLICATION, "bye")

    async with router(serve) as (port, _):
        outcome, _ = await reach(port)
    assert outcome.result is Result.SUCCEEDED
    assert outcome.outputs["outputText"] == "version 7\r\n"


async def test_a_router_that_takes_leave_in_the_middle_leaves_unknown() -> None:
    for leave in ("disconnect", "abort"):

        async def serve(process: asyncssh.SSHServerProcess[str], leave: str = leave) -> None:
            process.stdout.write("vers")
            connection = process.channel.get_connection()
            # Without closing the channel first, as a router that reloads does it.
            if leave == "abort":
                connection.abort()
            else:
                connection._send_disconnect(asyncssh.DISC_BY_APPLICATION, "reload", "")
                connection._force_close(None)

        async with router(serve) as (port, _):
            outcome, _ = await reach(port)
        assert error_of(outcome) == (Result.UNKNOWN, ErrorCode.CONNECTION_CUT)


async def test_a_router_that_asks_for_the_password_interactively_gets_it() -> None:
    def serve(process: asyncssh.SSHServerProcess[str]) -> None:
        process.exit(0)

    async with router(serve, interactive=True) as (port, _):
        assert (await reach(port))[0].result is Result.SUCCEEDED
        assert error_of((await reach(port, password="wrong"))[0])[1] is ErrorCode.LOGIN_REFUSED


async def test_a_server_that_asks_for_more_than_the_password_gets_what_answers_say() -> None:
    class TwoFactors(_Router):
        def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:
            return "", "", "", [("Password: ", False), ("Token code: ", False)]

        def validate_kbdint_response(self, username: str, responses: Any) -> bool:
            return list(responses) == ["pw", "4711"]

    async def prompt(process: asyncssh.SSHServerProcess[str]) -> None:
        process.stdout.write("edge-1#")
        await process.stdin.readline()
        process.exit(0)

    key = asyncssh.generate_private_key("ssh-ed25519")
    async with asyncssh.listen(
        "127.0.0.1", 0, server_factory=lambda: TwoFactors(interactive=True), server_host_keys=[key], process_factory=prompt, config=None
    ) as acceptor:
        port = acceptor.get_port()
        shell: dict[str, Any] = {"shell": True, "prompt": "edge-1#", "cmd": "exit"}
        assert error_of((await reach(port, **shell))[0])[1] is ErrorCode.LOGIN_REFUSED
        assert error_of((await reach(port, **shell, answers='{"Token": "1234"}'))[0])[1] is ErrorCode.LOGIN_REFUSED
        outcome, context = await reach(port, **shell, answers='{"Password": "for the shell", "Token": "4711"}')
    assert (outcome.result, context.sent) == (Result.SUCCEEDED, True)


async def test_a_router_that_refuses_a_command_with_exit_code_0_is_a_failure_where_its_platform_is_known() -> None:
    async def serve(process: asyncssh.SSHServerProcess[str]) -> None:
        process.stdout.write("edge-1 log\r\n% Invalid input detected at '^' marker.\r\n")
        process.exit(0)

    async with router(serve) as (port, _):
        assert (await reach(port))[0].result is Result.SUCCEEDED
        outcome, _ = await reach(port, platform="ios")
        assert error_of(outcome) == (Result.FAILED, ErrorCode.LINE_REFUSED)
        assert outcome.error is not None
        assert outcome.error.message.endswith("refused the command: % Invalid input detected at '^' marker.")
        assert error_of((await reach(port, platform="toaster"))[0]) == (Result.FAILED, ErrorCode.INVALID_VALUE)


async def test_a_router_that_opens_no_session_is_a_failure_and_nothing_was_sent() -> None:
    async with router(sessions=lambda: False) as (port, _):
        outcome, context = await reach(port)
    assert error_of(outcome) == (Result.FAILED, ErrorCode.CONNECTION_REFUSED)
    assert not context.sent


async def test_a_router_that_wants_no_commands_is_a_failure() -> None:
    class NoCommands(asyncssh.SSHServerSession[str]):
        def exec_requested(self, command: str) -> bool:
            return False

    async with router(sessions=NoCommands) as (port, _):
        outcome, _ = await reach(port)
    assert error_of(outcome) == (Result.FAILED, ErrorCode.CONNECTION_REFUSED)


async def test_a_server_that_lets_in_and_then_hangs_is_given_up_before_anything_is_sent() -> None:
    never = asyncio.Event()

    async def hang() -> Any:
        await never.wait()

    async with router(sessions=hang) as (port, _):
        outcome, context = await reach(port, seconds=1.0)
        never.set()
    assert error_of(outcome) == (Result.FAILED, ErrorCode.TIMEOUT)
    assert not context.sent


async def test_an_ipv6_server_is_named_as_people_write_it() -> None:
    outcome, _ = await reach(1, host="::1")
    assert outcome.error is not None
    assert "[::1]:1" in outcome.error.message


async def test_a_host_key_that_changes_between_two_looks_is_not_accepted() -> None:
    """The first connection shows the key that is then accepted; whoever answers the second one has another."""
    async with router() as (first, _), router() as (second, _):
        ports = [first, second]

        async def switch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            other_reader, other_writer = await asyncio.open_connection("127.0.0.1", ports.pop(0))
            await asyncio.gather(_copy(reader, other_writer), _copy(other_reader, writer))

        async with peer(switch) as port:
            outcome, context = await reach(port)
    assert error_of(outcome) == (Result.FAILED, ErrorCode.WRONG_HOST_KEY)
    assert not context.sent


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.transport.abort()
