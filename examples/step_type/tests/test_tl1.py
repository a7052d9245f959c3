"""The step type TL1 against a network element on a real socket. Risk: a doubt is told as a certainty, or a command goes out that nobody wrote."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from network_element import PASSWORD, USERNAME, NetworkElement
from stepswitch.plugin import (
    AttachmentError,
    CredentialError,
    Device,
    ErrorCode,
    Inventory,
    LogLevel,
    Outcome,
    Reference,
    Result,
    StoredFile,
    TargetError,
    Value,
)
from stepswitch_tl1.step import Tl1Step


class NoHostKeys:
    """TL1 has none."""

    async def trusted(self, host: str, port: int) -> Sequence[str]:
        return ()

    async def accept_new(self, host: str, port: int, public_key: str) -> bool:
        return False


class Context:
    """What the service gives to an attempt, as far as TL1 asks for it."""

    execution_id = "execution-1"
    attempt_name = "execution-1-1-1"
    time_limit_seconds = 60.0
    host_keys = NoHostKeys()
    is_log_full = False

    def __init__(self, output_limit_bytes: int = 1_048_576) -> None:
        self.output_limit_bytes = output_limit_bytes
        self.lines: list[str] = []
        self.sent = False

    async def log(self, message: str, level: LogLevel = LogLevel.INFO) -> None:
        self.lines.append(message)

    async def attachment(self, key: str) -> bytes:
        raise TargetError(f"there is no attachment {key!r}")

    async def attached(self, key: str) -> StoredFile:
        raise AttachmentError(ErrorCode.UNKNOWN_ATTACHMENT, f"there is no attachment {key!r}")

    async def pieces(self, file: StoredFile) -> AsyncIterator[bytes]:
        yield await self.attachment(file.name)

    async def attach(self, key: str, content: AsyncIterator[bytes]) -> StoredFile:
        raise AttachmentError(ErrorCode.INVALID_VALUE, f"TL1 keeps no file {key!r}")

    def is_file(self, name: str) -> bool:
        return False

    def is_password_output(self, name: str) -> bool:
        return False

    def declared_inputs(self) -> Sequence[str]:
        return ()

    async def inventory(self) -> Inventory:
        return Inventory()

    async def secret(self, reference: Reference, at: Device, *, anew: bool = False) -> str:
        raise CredentialError(ErrorCode.CREDENTIAL_REFUSED, f"nothing was sent: no credential {reference.credential!r} for {at}")

    def leave_behind(self) -> None:
        """TL1 leaves nothing."""

    def mark_sent(self) -> None:
        self.sent = True


@pytest.fixture
async def element() -> AsyncIterator[NetworkElement]:
    async with NetworkElement() as opened:
        yield opened


def asking(element: NetworkElement, command: str, aid: str = "", **more: Value) -> dict[str, Value]:
    given: dict[str, Value] = {"hostNameOrIP": element.host, "port": element.port, "username": USERNAME, "password": PASSWORD}
    return {**given, "command": command, "aid": aid, **more}


def code(outcome: Outcome) -> tuple[Result, ErrorCode | None]:
    return outcome.result, outcome.error.code if outcome.error else None


async def test_the_answer_is_told_whole_and_nothing_that_nobody_asked_for(element: NetworkElement) -> None:
    context = Context()
    outcome = await Tl1Step().run(asking(element, "RTRV-ALM-ALL"), context)
    assert code(outcome) == (Result.SUCCEEDED, None)
    assert outcome.outputs["completionCode"] == "COMPLD"
    text = str(outcome.outputs["outputText"])
    assert [line.partition(",")[0] for line in text.splitlines() if line.startswith('"')] == ['"SLOT-1', '"SLOT-2', '"SLOT-3', '"SLOT-9']
    assert "REPT ALM" not in text
    assert context.lines


async def test_what_the_element_denies_has_failed(element: NetworkElement) -> None:
    outcome = await Tl1Step().run(asking(element, "RMV-EQPT", "SLOT-7"), Context())
    assert code(outcome) == (Result.FAILED, ErrorCode.UNEXPECTED_STATUS)
    assert outcome.error is not None
    assert outcome.error.message.endswith("answered DENY: IIAC")
    assert code(await Tl1Step().run(asking(element, "RMV-EQPT", "SLOT-1"), Context())) == (Result.SUCCEEDED, None)


async def test_a_refused_login_sends_no_command_and_shows_no_password(element: NetworkElement) -> None:
    context = Context()
    outcome = await Tl1Step().run(asking(element, "RMV-EQPT", password="wrong-0815"), context)
    assert code(outcome) == (Result.FAILED, ErrorCode.LOGIN_REFUSED)
    assert outcome.error is not None
    assert "wrong-0815" not in outcome.error.message
    assert not element.commands
    assert not context.sent


async def test_a_cut_and_a_silence_after_the_command_leave_a_doubt(element: NetworkElement) -> None:
    context = Context()
    element.hangs_up = True
    assert code(await Tl1Step().run(asking(element, "RMV-EQPT"), context)) == (Result.UNKNOWN, ErrorCode.CONNECTION_CUT)
    assert context.sent
    element.hangs_up, element.is_silent = False, True
    step = Tl1Step(answer_seconds=0.1)
    assert code(await step.run(asking(element, "RMV-EQPT"), Context())) == (Result.UNKNOWN, ErrorCode.TIMEOUT)


async def test_cancelling_closes_the_connection(element: NetworkElement) -> None:
    element.is_silent = True
    running = asyncio.create_task(Tl1Step().run(asking(element, "RMV-EQPT"), Context()))
    async with asyncio.timeout(10):
        await element.heard.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    async with asyncio.timeout(10):
        await element.left.wait()


@pytest.mark.parametrize(
    "more", [{"aid": "SLOT-1;DLT-ALL"}, {"parameters": "a:b"}, {"tid": "a\r\nb"}, {"password": "a;b"}, {"port": 0}, {"port": 1.5}]
)
async def test_no_part_becomes_a_command_of_its_own(element: NetworkElement, more: dict[str, Value]) -> None:
    outcome = await Tl1Step().run({**asking(element, "RMV-EQPT"), **more}, Context())
    assert code(outcome) == (Result.FAILED, ErrorCode.INVALID_VALUE)
    assert not element.commands


async def test_what_is_missing_or_not_there_is_said(element: NetworkElement) -> None:
    assert code(await Tl1Step().run({}, Context())) == (Result.FAILED, ErrorCode.MISSING_INPUT)
    async with NetworkElement() as gone:
        inputs = asking(gone, "RMV-EQPT")
    assert code(await Tl1Step().run(inputs, Context())) == (Result.FAILED, ErrorCode.CONNECTION_REFUSED)


async def test_a_long_answer_is_cut_and_named(element: NetworkElement) -> None:
    outcome = await Tl1Step().run(asking(element, "RTRV-ALM-ALL"), Context(output_limit_bytes=60))
    assert (len(str(outcome.outputs["outputText"])) <= 60, outcome.truncated) == (True, ("outputText",))
