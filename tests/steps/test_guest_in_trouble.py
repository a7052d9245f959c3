"""TCA_EXEC while something breaks: answers that are lost, a vCenter that goes away, machines that restart, people who abort. Risk: a command that runs twice, is forgotten, or goes on unseen."""

import asyncio
import gzip
import threading
from pathlib import Path
from typing import Any, Final

import psutil
import pytest

from stepswitch.plugin import ErrorCode, Login, Outcome, Result, TargetError, VirtualMachine
from stepswitch.steps.guest import GuestStep
from stepswitch.steps.guest_connection import THREADS, SoapResponse
from tests import guests, vcenter
from tests.steps.contexts import RecordingContext
from tests.steps.guest_context import CREDENTIALS, asking, assert_nothing_left, context_for, failure, known
from tests.steps.http_server import HttpServer, reply, says
from tests.vcenter import FakeVCenter

BEGUN: Final = "it has begun"
QUICK_SECONDS: Final = 8.0
"""Within which an attempt that is stopped has ended: less than what an abort may take."""
LONG: Final = f"echo {BEGUN}; (sleep 1000; echo) & sleep 1000"
STUBBORN: Final = f"trap '' TERM; echo {BEGUN}; while :; do sleep 0.1; done"
EVERY_CALL: Final = (
    "RetrieveServiceContent", "Login", "RetrievePropertiesEx", "ValidateCredentialsInGuest", "CreateTemporaryDirectoryInGuest", "ChangeFileAttributesInGuest",
    "InitiateFileTransferToGuest", "StartProgramInGuest", "ListProcessesInGuest", "ListFilesInGuest", "InitiateFileTransferFromGuest", "DeleteDirectoryInGuest",
)  # fmt: skip


class Underway:
    """A command that has begun in the machine."""

    def __init__(self, center: FakeVCenter, *, patience_seconds: float = 30.0, call_seconds: float = 20.0, attempt: str = "0-1") -> None:
        self.context = context_for(center, attempt=attempt)
        self.step = GuestStep(patience_seconds=patience_seconds, call_seconds=call_seconds)

    async def begin(self, command: str) -> "asyncio.Task[Outcome]":
        running = asyncio.create_task(self.step.run(asking(command), self.context))
        await self.context.wait_for_line(BEGUN)
        return running


async def cancelled(running: "asyncio.Task[Outcome]") -> None:
    running.cancel()
    async with asyncio.timeout(QUICK_SECONDS):
        with pytest.raises(asyncio.CancelledError):
            await running


def waiting_for(file: Path) -> str:
    return f"echo {BEGUN}; until [ -e '{file}' ]; do sleep 0.05; done; echo done"


async def test_a_session_that_has_expired_is_logged_in_again(center: FakeVCenter, tmp_path: Path) -> None:
    running = await Underway(center).begin(waiting_for(tmp_path / "go"))
    center.sessions.clear()
    (tmp_path / "go").touch()
    assert (await running).outputs["outputText"] == f"{BEGUN}\ndone\n"
    assert (center.count("Login"), center.count("StartProgramInGuest")) == (2, 1)
    assert_nothing_left(center)


@pytest.mark.parametrize("method", [each for each in EVERY_CALL if each not in ("RetrieveServiceContent", "Login", "RetrievePropertiesEx")])
async def test_a_session_may_expire_at_any_moment(center: FakeVCenter, method: str) -> None:
    center.refuses[method].append("NotAuthenticated")
    outcome = await GuestStep().run(asking("echo ran"), context_for(center))
    assert (outcome.result, outcome.outputs["outputText"]) == (Result.SUCCEEDED, "ran\n")
    assert len(center.guest.started) == 1


async def test_a_command_whose_start_was_not_confirmed_is_found_and_not_started_again(center: FakeVCenter) -> None:
    center.cuts["StartProgramInGuest"] = "after"
    outcome = await GuestStep().run(asking("echo ran"), context_for(center))
    assert (outcome.result, outcome.outputs["outputText"]) == (Result.SUCCEEDED, "ran\n")
    assert len(center.guest.started) == 1
    assert_nothing_left(center)


async def test_a_command_that_was_not_started_is_known_not_to_run(center: FakeVCenter) -> None:
    center.cuts["StartProgramInGuest"] = "before"
    context = context_for(center)
    outcome = await GuestStep().run(asking("echo ran"), context)
    assert failure(outcome) == (Result.FAILED, ErrorCode.CONNECTION_CUT)
    assert outcome.error is not None
    assert "it was found out: nothing was started" in outcome.error.message
    assert not center.guest.started
    assert_nothing_left(center)


async def test_a_start_that_nobody_can_find_out_about_is_in_doubt(center: FakeVCenter) -> None:
    def go_away(*_: object) -> int:
        center.is_away = True
        return 7

    center.guest.start = go_away  # type: ignore[method-assign,assignment]
    outcome = await GuestStep(patience_seconds=0.1).run(asking("echo ran"), context_for(center))
    assert failure(outcome) == (Result.UNKNOWN, ErrorCode.CONNECTION_CUT)
    assert outcome.error is not None
    assert "whether the command was started is not known" in outcome.error.message


async def test_a_vcenter_that_comes_back_finds_the_command_at_work(center: FakeVCenter, tmp_path: Path) -> None:
    underway = Underway(center)
    running = await underway.begin(waiting_for(tmp_path / "go"))
    center.is_away = True
    await underway.context.wait_for_line("the command may go on, and is looked for again")
    center.is_away = False
    await underway.context.wait_for_line("is there again, and the command runs")
    (tmp_path / "go").touch()
    outcome = await running
    assert (outcome.result, outcome.outputs["outputText"]) == (Result.SUCCEEDED, f"{BEGUN}\ndone\n")
    assert len(center.guest.started) == 1
    assert_nothing_left(center)


async def test_a_command_that_ends_while_the_vcenter_is_away_has_its_exit_code(center: FakeVCenter, tmp_path: Path) -> None:
    underway = Underway(center)
    running = await underway.begin(f"{waiting_for(tmp_path / 'go')}; echo why >&2; exit 9")
    center.is_away = True
    await underway.context.wait_for_line("is looked for again")
    (tmp_path / "go").touch()
    await asyncio.to_thread(psutil.wait_procs, center.guest.running(), 10)
    center.guest.forget()
    center.is_away = False
    outcome = await running
    assert outcome.outputs == {"outputText": f"{BEGUN}\ndone\n", "errorText": "why\n", "exitCode": 9}


async def test_a_vcenter_that_does_not_come_back_leaves_the_command_in_doubt_and_at_work(center: FakeVCenter, tmp_path: Path) -> None:
    underway = Underway(center, patience_seconds=0.1)
    running = await underway.begin(waiting_for(tmp_path / "go"))
    center.is_away = True
    outcome = await running
    assert failure(outcome) == (Result.UNKNOWN, ErrorCode.CONNECTION_CUT)
    assert outcome.error is not None
    assert "the command may go on in the machine smf-1" in outcome.error.message
    assert outcome.outputs["outputText"] == f"{BEGUN}\n"
    assert underway.context.stays
    assert center.guest.running()


async def test_a_vcenter_that_says_nothing_is_not_waited_for_forever(center: FakeVCenter) -> None:
    center.holds.add("ListProcessesInGuest")
    outcome = await GuestStep(call_seconds=1.5, patience_seconds=0.1).run(asking("sleep 1000"), context_for(center))
    assert failure(outcome) == (Result.UNKNOWN, ErrorCode.TIMEOUT)


async def test_a_machine_that_restarts_leaves_the_command_in_doubt(center: FakeVCenter) -> None:
    running = await Underway(center).begin(LONG)
    await center.guest.restart()
    outcome = await running
    assert failure(outcome) == (Result.UNKNOWN, ErrorCode.LOST)
    assert outcome.outputs["outputText"] == f"{BEGUN}\n"
    assert_nothing_left(center)


async def test_a_command_that_somebody_ends_by_force_is_in_doubt(center: FakeVCenter) -> None:
    running = await Underway(center).begin(LONG)
    center.guest.kill()
    outcome = await running
    assert failure(outcome) == (Result.UNKNOWN, ErrorCode.LOST)
    assert "exitCode" not in outcome.outputs
    assert_nothing_left(center)


async def test_a_password_that_is_changed_meanwhile_is_tried_once_and_leaves_the_command_in_doubt(center: FakeVCenter) -> None:
    underway = Underway(center)
    running = await underway.begin(LONG)
    center.guest.password = "another"
    before = center.count("ListProcessesInGuest")
    outcome = await running
    assert center.count("ListProcessesInGuest") - before <= 2, "what is refused is asked again and again, until the account is locked"
    assert failure(outcome) == (Result.UNKNOWN, ErrorCode.LOGIN_REFUSED)
    assert underway.context.stays
    center.cuts["StartProgramInGuest"] = "after"
    center.refuses["ListProcessesInGuest"].append("InvalidGuestLogin")
    center.guest.password = guests.PASSWORD
    outcome = await GuestStep().run(asking("echo ran"), context_for(center, attempt="0-2"))
    assert failure(outcome) == (Result.UNKNOWN, ErrorCode.CONNECTION_CUT)


async def test_a_file_that_cannot_be_read_now_is_read_later(center: FakeVCenter, monkeypatch: pytest.MonkeyPatch) -> None:
    read = center.guest.read
    refused: list[str] = []

    def fail_once(path: str) -> bytes:
        if not refused:
            refused.append(path)
            raise OSError("not now")
        return read(path)

    monkeypatch.setattr(center.guest, "read", fail_once)
    outcome = await GuestStep().run(asking("echo fine"), context_for(center))
    assert (outcome.result, outcome.outputs["outputText"]) == (Result.SUCCEEDED, "fine\n")


async def test_what_a_command_leaves_running_is_neither_waited_for_nor_ended(center: FakeVCenter, tmp_path: Path) -> None:
    running = await Underway(center).begin(f"(sleep 1000; echo) & {waiting_for(tmp_path / 'go')}")
    (tmp_path / "go").touch()
    assert (await running).outputs["outputText"] == f"{BEGUN}\ndone\n"
    assert len(center.guest.running()) == 2, "the shell behind the command, and what it waits for"
    assert center.guest.left() == []


async def test_tools_that_restart_are_waited_for(center: FakeVCenter, tmp_path: Path) -> None:
    underway = Underway(center)
    running = await underway.begin(waiting_for(tmp_path / "go"))
    center.guest.tools = "guestToolsNotRunning"
    await underway.context.wait_for_line("do not answer")
    center.guest.tools = "guestToolsRunning"
    (tmp_path / "go").touch()
    assert (await running).result is Result.SUCCEEDED


@pytest.mark.parametrize("command", [LONG, STUBBORN], ids=["long", "stubborn"])
async def test_an_abort_ends_the_command_with_all_that_it_has_begun(center: FakeVCenter, command: str) -> None:
    running = await Underway(center).begin(command)
    assert len(center.guest.running()) >= 2
    await cancelled(running)
    assert_nothing_left(center)


@pytest.mark.parametrize("method", EVERY_CALL)
async def test_an_abort_is_quick_whatever_is_not_answered_and_leaves_nothing(center: FakeVCenter, method: str) -> None:
    center.holds.add(method)
    running = asyncio.create_task(
        GuestStep().run(asking("echo ran; sleep 1000" if method != "DeleteDirectoryInGuest" else "true"), context_for(center))
    )
    async with asyncio.timeout(20):
        await center.called[method].wait()
    center.holds.clear()
    await cancelled(running)
    assert (center.guest.left(), center.guest.running()) == ([], [])
    for thread in threading.enumerate():
        if thread.name == THREADS:
            await asyncio.to_thread(thread.join, QUICK_SECONDS)
            assert not thread.is_alive()


async def test_an_abort_while_the_vcenter_is_away_is_quick_and_said(center: FakeVCenter) -> None:
    underway = Underway(center)
    running = await underway.begin(LONG)
    center.is_away = True
    await cancelled(running)
    await underway.context.wait_for_line("something may be left in the machine smf-1")
    assert underway.context.stays
    with pytest.raises(TargetError, match="something may be left in the machine smf-1"):
        await underway.step.clean_up(asking(LONG), underway.context)
    center.is_away = False
    assert center.guest.running()
    await underway.step.clean_up(asking(LONG), underway.context)
    assert (center.guest.left(), center.guest.running()) == ([], [])
    await underway.step.clean_up(asking(LONG), underway.context)


async def test_a_cleanup_leaves_other_attempts_alone(center: FakeVCenter) -> None:
    running = await Underway(center, attempt="0-1-1").begin(LONG)
    for attempt in ("0-1", "0-11", "0-1-11"):
        await GuestStep().clean_up(asking(LONG), context_for(center, attempt=attempt))
    assert center.guest.running()
    assert len(center.guest.left()) == 1
    await cancelled(running)


async def test_a_cleanup_in_a_machine_that_is_gone_has_nothing_to_do(center: FakeVCenter) -> None:
    gone = VirtualMachine("smf-1", "paris", managed_object_id="vm-7", login=known(center).virtual_machines["smf-1"].login)
    await GuestStep().clean_up(asking("id"), context_for(center, known(center, machines={"smf-1": gone})))


async def test_a_cleanup_that_cannot_get_in_is_tried_again_later(center: FakeVCenter) -> None:
    context = context_for(center)
    center.guest.power = "poweredOff"
    with pytest.raises(TargetError, match="is not powered on"):
        await GuestStep().clean_up(asking("id"), context)
    with pytest.raises(TargetError, match="no VIM location"):
        await GuestStep().clean_up(asking("id", virtualMachine="vm-7"), context)
    with pytest.raises(TargetError, match="nothing was sent"):
        await GuestStep().clean_up(asking("id"), context_for(center, credentials={}))


async def test_a_worker_that_may_send_nothing_starts_nothing_and_leaves_nothing(center: FakeVCenter) -> None:
    class Fenced(RecordingContext):
        def mark_sent(self) -> None:
            raise TargetError("this worker may send nothing")

    with pytest.raises(TargetError):
        await GuestStep().run(asking("echo ran"), Fenced(inventory=known(center), credentials=CREDENTIALS))
    assert not center.guest.started
    assert_nothing_left(center)


@pytest.mark.parametrize(
    ("endpoint", "code"),
    [
        ({"ca_certificates": None}, ErrorCode.WRONG_CERTIFICATE),
        ({"ca_certificates": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}, ErrorCode.INVALID_VALUE),
        ({"url": "http://127.0.0.1:1"}, ErrorCode.INVALID_VALUE),
        ({"url": "https://127.0.0.1:1"}, ErrorCode.CONNECTION_REFUSED),
        ({"url": "https://no-such-host.invalid"}, ErrorCode.UNREACHABLE),
        ({"login": Login("somebody")}, ErrorCode.MISSING_INPUT),
    ],
)  # fmt: skip
async def test_a_vcenter_that_cannot_be_asked_hears_nothing(center: FakeVCenter, endpoint: dict[str, Any], code: ErrorCode) -> None:
    outcome = await GuestStep().run(asking("id"), context_for(center, known(center, **endpoint)))
    assert failure(outcome) == (Result.FAILED, code)
    assert not center.asked


@pytest.mark.parametrize(
    "answer",
    [
        reply(404, connection="close"),
        reply(200, b"<html>a login page</html>", connection="close"),
        reply(200, b"", connection="close"),
        reply(200, b"\xff\xfe\x00", connection="close"),
        reply(500, b"<a>", connection="close"),
        says(b"SSH-2.0-OpenSSH_9.2\r\n"),
        reply(
            200,
            b'<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb">'
            + b"".join(b'<!ENTITY b%d "%s">' % (n, b"&b%s;" % (b"%d" % (n - 1) if n else b"") * 20) for n in range(9))
            + b"]><a>&b8;</a>",
            connection="close",
        ),
        reply(200, b"<a>" + b" " * 200_000, connection="close"),
    ],
    ids=["nothing there", "a web page", "empty", "no XML", "half of it", "another protocol", "entities", "too much"],
)
async def test_whatever_is_no_vcenter_is_a_failure(center: FakeVCenter, monkeypatch: pytest.MonkeyPatch, answer: object) -> None:
    monkeypatch.setattr(center, "handler_of", lambda asked: answer)
    monkeypatch.setattr(SoapResponse, "_left", 100_000)
    outcome = await GuestStep().run(asking("id"), context_for(center))
    assert failure(outcome) == (Result.FAILED, ErrorCode.MALFORMED_ANSWER)


async def test_an_answer_that_declares_a_document_type_is_refused(center: FakeVCenter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vcenter, "_HEAD", vcenter._HEAD.replace("?>", "?><!DOCTYPE Envelope>", 1))
    outcome = await GuestStep().run(asking("id"), context_for(center))
    assert failure(outcome) == (Result.FAILED, ErrorCode.MALFORMED_ANSWER)
    assert center.calls == ["RetrieveServiceContent"]


@pytest.mark.parametrize("way", ["packed", "in UTF-16"])
async def test_a_document_type_cannot_hide_in_another_encoding(center: FakeVCenter, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    text = '<!DOCTYPE a [<!ENTITY b "expanded">]><a>&b;</a>'
    if way == "packed":
        answer = reply(200, gzip.compress(text.encode()), connection="close", content_encoding="gzip")
    else:
        answer = reply(200, text.encode("utf-16"), connection="close")
    monkeypatch.setattr(center, "handler_of", lambda asked: answer)
    outcome = await GuestStep().run(asking("id"), context_for(center))
    assert failure(outcome) == (Result.FAILED, ErrorCode.MALFORMED_ANSWER)
    assert outcome.error is not None
    assert outcome.error.message.endswith("does not answer as a vCenter does"), "it was read by the driver"


async def test_a_file_is_never_copied_without_tls(center: FakeVCenter, monkeypatch: pytest.MonkeyPatch) -> None:
    async with HttpServer() as other:
        monkeypatch.setattr(center, "_url", lambda path: other.url("/guestFile"))
        outcome = await GuestStep().run(asking("id"), context_for(center))
        assert failure(outcome) == (Result.FAILED, ErrorCode.MALFORMED_ANSWER)
        assert not other.connections
