"""NETCONF and devices that are no good server. Risks: a lie is believed, a cut is taken for a failure that is certain, XML reads a file, a step never ends."""

import asyncio
from typing import Any, Final

import pytest

from stepswitch.plugin import ErrorCode, Outcome, Result, StepContext, TargetError, Value
from stepswitch.steps import netconf_framing, netconf_inputs
from stepswitch.steps.netconf import NetconfStep
from tests.netconf_devices import BASE, BASE_1_0, CANDIDATE, OK, Answer, ScriptedDevice, data, error
from tests.proxies import Proxy
from tests.steps.contexts import RecordingContext
from tests.steps.test_netconf import error_of, message_of

PAYLOAD: Final = '<system xmlns="urn:example:system"><name>r1</name><note>known-to-nobody</note></system>'
CONFIRMED: Final = (*CANDIDATE, "confirmed-commit:1.1")
LAUGHS: Final = (
    '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><rpc-reply message-id="1"><data>&b;</data></rpc-reply>'
)
FILE: Final = '<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/passwd">]><rpc-reply message-id="1"><data>&f;</data></rpc-reply>'


def framed(text: str | bytes) -> bytes:
    message = text.encode() if isinstance(text, str) else text
    return b"\n#%d\n%b\n##\n" % (len(message), message)


async def run(
    device: ScriptedDevice, action: str, context: RecordingContext | None = None, *, step: NetconfStep | None = None, **inputs: Value
) -> tuple[Outcome, RecordingContext]:
    step, context = step or NetconfStep(silence_seconds=5, lock_poll_seconds=0.02), context or RecordingContext(host_keys=device.trusted())
    try:
        return await step.run(device.inputs(action=action, **inputs), context), context
    finally:
        await step.close()


# --- what is no NETCONF ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        framed(LAUGHS),
        framed(FILE),
        framed("% Invalid input detected at '^' marker."),
        framed("<rpc-reply><data></rpc-reply>"),
        framed(b"<rpc-reply message-id='1'>\xff\xfe</rpc-reply>"),
        framed('<rpc-reply message-id="99"><ok/></rpc-reply>'),
        framed("<html><body>503</body></html>"),
        framed(""),
        framed("<a>" * 300 + "</a>" * 300),
        b"% Invalid input detected at '^' marker.\n",
        b"\n#0\n",
        b"\n#99999999999\n",
        b"\n##\n",
        b"\n#12345",
        b"<rpc-reply/>]]>]]>",
    ],
    ids=[
        "laughs", "file", "text", "not closed", "bytes", "another's", "html", "empty", "deep", "no chunk", "size 0", "large size", "nothing",
        "half a header", "old frame",
    ],
)  # fmt: skip
async def test_an_answer_that_is_no_netconf_is_a_failure(answer: bytes) -> None:
    async with ScriptedDevice({"get": answer}) as device:
        outcome, _ = await run(device, "get", step=NetconfStep(silence_seconds=0.5))
    code = ErrorCode.TIMEOUT if answer == b"\n#12345" else ErrorCode.NO_NETCONF
    assert error_of(outcome) == (Result.FAILED, code)
    assert "haha" not in message_of(outcome)
    assert "root:" not in message_of(outcome)
    assert f"127.0.0.1:{device.port}" in message_of(outcome)


@pytest.mark.parametrize(
    ("hello", "code"),
    [
        (b"Welcome to r1\n", ErrorCode.NO_NETCONF),
        (b"<rpc-reply/>]]>]]>", ErrorCode.NO_NETCONF),
        (b"<hello/>]]>]]>", ErrorCode.NO_NETCONF),
        (f'<!DOCTYPE hello><hello xmlns="{BASE}"/>]]>]]>'.encode(), ErrorCode.NO_NETCONF),
        (b"<hello>" + b" " * 1024 * 1024, ErrorCode.TIMEOUT),
        (None, ErrorCode.TIMEOUT),
    ],
    ids=["text", "no hello", "no version", "a document type", "never ends", "silent"],
)
async def test_a_device_that_does_not_say_hello_is_left(hello: Answer, code: ErrorCode) -> None:
    async with ScriptedDevice(hello=hello) as device:
        outcome, context = await run(device, "merge", payload=PAYLOAD, step=NetconfStep(connect_seconds=1.0))
        await device.wait_until_left()
    assert error_of(outcome) == (Result.FAILED, code)
    assert not context.sent


async def test_the_old_framing_is_spoken_where_the_new_one_is_not_offered() -> None:
    async with ScriptedDevice({"get": data("<fine>]] ></fine>")}, bases=[BASE_1_0]) as device:
        outcome, _ = await run(device, "get")
    assert outcome.result is Result.SUCCEEDED
    assert "<fine>" in str(outcome.outputs["output"])


# --- what never ends -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bases", [[BASE_1_0], [BASE_1_0, "urn:ietf:params:netconf:base:1.1"]], ids=["1.0", "1.1"])
async def test_an_answer_without_end_is_left_at_its_limit(monkeypatch: pytest.MonkeyPatch, bases: list[str]) -> None:
    limit = netconf_framing.MAX_MESSAGE_BYTES
    endless = b"<rpc-reply>" + b"x" * limit if len(bases) == 1 else b"\n#65536\n%b" % (b"<" * 65536) * (limit // 65536 + 1)
    async with ScriptedDevice({"get": endless}, bases=bases) as device:
        outcome, _ = await run(device, "get")
        await device.wait_until_left()
    assert error_of(outcome) == (Result.FAILED, ErrorCode.OUTPUT_TOO_LARGE)
    assert "16 MiB" in message_of(outcome)


async def test_notifications_that_nobody_asked_for_do_not_keep_a_step_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepswitch.steps.netconf_session.MAX_MESSAGE_BYTES", 10_000)
    async with ScriptedDevice({"get": framed("<notification/>") * 1_000}) as device:
        outcome, _ = await run(device, "get")
    assert error_of(outcome) == (Result.FAILED, ErrorCode.OUTPUT_TOO_LARGE)


@pytest.mark.parametrize(
    ("silent", "result"),
    [("lock", Result.FAILED), ("edit-config", Result.FAILED), ("commit", Result.UNKNOWN), ("get-config", Result.UNKNOWN)],
)
async def test_silence_is_unknown_only_after_the_commit_was_sent(silent: str, result: Result) -> None:
    async with ScriptedDevice({silent: None}) as device:
        outcome, context = await run(device, "merge", payload=PAYLOAD, step=NetconfStep(silence_seconds=0.3))
        await device.wait_until_left()
    assert error_of(outcome) == (result, ErrorCode.TIMEOUT)
    assert context.sent == (result is Result.UNKNOWN)
    assert ("is not known" in message_of(outcome)) == context.sent


@pytest.mark.parametrize(("silent", "result"), [("lock", Result.FAILED), ("commit", Result.UNKNOWN), ("get-config", Result.UNKNOWN)])
async def test_a_cut_is_unknown_only_after_the_commit_was_sent(silent: str, result: Result) -> None:
    async with ScriptedDevice({silent: None}) as device, Proxy(device.host, device.port) as proxy:
        context = RecordingContext(host_keys={(proxy.host, proxy.port): [device.host_public_key]})
        running = asyncio.create_task(run(device, "merge", context, payload=PAYLOAD, port=proxy.port))
        await device.wait_until_asked(silent)
        proxy.cut()
        outcome, _ = await running
    assert error_of(outcome) == (result, ErrorCode.CONNECTION_CUT)


async def test_a_read_that_is_cut_has_failed_and_no_more() -> None:
    async with ScriptedDevice({"get": None}) as device, Proxy(device.host, device.port) as proxy:
        context = RecordingContext(host_keys={(proxy.host, proxy.port): [device.host_public_key]})
        running = asyncio.create_task(run(device, "get", context, port=proxy.port))
        await device.wait_until_asked("get")
        proxy.cut()
        outcome, _ = await running
    assert error_of(outcome) == (Result.FAILED, ErrorCode.CONNECTION_CUT)


async def test_a_silent_device_does_not_keep_a_cancelled_step() -> None:
    silent: dict[str, Any] = dict.fromkeys(("edit-config", "discard-changes", "unlock", "close-session"), None)
    async with ScriptedDevice({**silent, "discard-changes": [OK, None]}) as device:
        running = asyncio.create_task(run(device, "merge", payload=PAYLOAD))
        await device.wait_until_asked("edit-config")
        running.cancel()
        async with asyncio.timeout(8):
            with pytest.raises(asyncio.CancelledError):
                await running
            await device.wait_until_left()


@pytest.mark.parametrize("late", [None, OK], ids=["nothing", "both"])
async def test_what_is_left_lying_behind_our_hello_is_asked_once_more(monkeypatch: pytest.MonkeyPatch, late: Answer) -> None:
    """The first request is answered only when another one came, or both are answered then: the second lock has to be passed over."""
    monkeypatch.setattr("stepswitch.steps.netconf_session.AGAIN_SECONDS", 0.1)
    both = "".join(
        f"\n#{len(text)}\n{text}\n##\n"
        for text in (f'<rpc-reply message-id="1">{OK}</rpc-reply>', f'<rpc-reply message-id="2">{error("lock-denied")}</rpc-reply>')
    )
    async with ScriptedDevice({"lock": [None, OK if late is None else both.encode()], "get-config": data(PAYLOAD)}) as device:
        outcome, _ = await run(device, "merge", payload=PAYLOAD)
    assert outcome.result is Result.SUCCEEDED, outcome.error
    assert device.asked[:4] == ["lock", "lock", "discard-changes", "edit-config"]


async def test_a_reply_that_has_begun_is_waited_for_and_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepswitch.steps.netconf_session.AGAIN_SECONDS", 0.1)
    async with ScriptedDevice({"get": b"\n#100\n<rpc-reply"}) as device:
        outcome, _ = await run(device, "get", step=NetconfStep(silence_seconds=0.5))
    assert error_of(outcome) == (Result.FAILED, ErrorCode.TIMEOUT)
    assert device.asked.count("get") == 1


# --- what is not true ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "says"),
    [
        ("", "/system[name='r1'] is not there"),
        (PAYLOAD.replace("known-to-nobody", "another"), "/system[name='r1']/note has another value"),
        (PAYLOAD.replace("urn:example:system", "urn:example:other"), "/system[name='r1'] is not there"),
    ],
    ids=["nothing", "another value", "another namespace"],
)
async def test_an_ok_is_no_proof(there: str, says: str) -> None:
    async with ScriptedDevice({"get-config": data(there)}) as device:
        outcome, context = await run(device, "merge", payload=PAYLOAD)
    assert error_of(outcome) == (Result.FAILED, ErrorCode.NOT_PROVEN)
    assert says in message_of(outcome)
    assert "known-to-nobody" not in "\n".join([message_of(outcome), *context.messages])
    assert device.asked[-3:] == ["discard-changes", "unlock", "close-session"]


async def test_what_cannot_be_read_back_is_not_known() -> None:
    async with ScriptedDevice({"get-config": error("access-denied", "not for you")}) as device:
        outcome, _ = await run(device, "merge", payload=PAYLOAD)
    assert error_of(outcome) == (Result.UNKNOWN, ErrorCode.RPC_ERROR)
    assert "access-denied (error): not for you" in message_of(outcome)


async def test_a_change_that_is_not_proven_in_time_is_taken_back_by_our_own_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netconf_inputs, "LEAST_CONFIRMED_SECONDS", 0.1)
    async with ScriptedDevice({"get-config": None}, capabilities=CONFIRMED) as device:
        outcome, _ = await run(device, "merge", payload=PAYLOAD, confirmedTimeout=0.3)
    assert error_of(outcome) == (Result.FAILED, ErrorCode.TIMEOUT)
    assert message_of(outcome).endswith("the change was taken back")
    assert device.asked.count("commit") == 1
    assert "cancel-commit" in device.asked


@pytest.mark.parametrize(
    ("refused", "says"),
    [({"commit": error("operation-failed", "no room")}, "refused to commit: operation-failed (error): no room"),
     ({"commit": [OK, error("operation-failed", "too late")]}, "let the change be confirmed: operation-failed (error): too late; the change was taken back")],
    ids=["the first commit", "the confirmation"],
)  # fmt: skip
async def test_a_commit_that_is_refused_is_said(refused: dict[str, Answer | list[Answer]], says: str) -> None:
    async with ScriptedDevice({"get-config": data(PAYLOAD), **refused}, capabilities=CONFIRMED) as device:
        outcome, _ = await run(device, "merge", payload=PAYLOAD, confirmedTimeout=60)
    assert error_of(outcome) == (Result.FAILED, ErrorCode.RPC_ERROR)
    assert message_of(outcome).endswith(says)
    assert device.asked[-3:] == ["discard-changes", "unlock", "close-session"]


async def test_a_change_is_confirmed_by_a_second_commit_after_the_proof() -> None:
    async with ScriptedDevice({"get-config": data(PAYLOAD)}, capabilities=CONFIRMED) as device:
        outcome, _ = await run(device, "merge", payload=PAYLOAD, confirmedTimeout=60)
    assert outcome.result is Result.SUCCEEDED
    assert device.asked == ["lock", "discard-changes", "edit-config", "commit", "get-config", "commit", "unlock", "close-session"]
    commits = [request for request in device.requests if b"<commit" in request]
    assert [b"<confirm-timeout>60</confirm-timeout>" in each for each in commits] == [True, False]


SAVING: Final = (*CONFIRMED, "startup:1.0")


async def test_a_change_is_saved_when_it_is_proven_and_confirmed_and_not_before() -> None:
    async with ScriptedDevice({"get-config": data(PAYLOAD)}, capabilities=SAVING) as device:
        outcome, context = await run(device, "merge", payload=PAYLOAD, confirmedTimeout=60, saveToStartup=True)
    assert outcome.result is Result.SUCCEEDED
    assert device.asked[-5:] == ["get-config", "commit", "copy-config", "unlock", "close-session"]
    (copy,) = [request for request in device.requests if b"<copy-config" in request]
    assert b"<target><startup/></target><source><running/></source>" in copy.replace(b"nc:", b"")
    assert any("startup configuration" in line for line in context.messages)


@pytest.mark.parametrize("there", ["", PAYLOAD])
async def test_what_is_not_proven_or_not_wanted_is_not_saved(there: str) -> None:
    async with ScriptedDevice({"get-config": data(there)}, capabilities=SAVING) as device:
        outcome, _ = await run(device, "merge", payload=PAYLOAD, saveToStartup=not there)
    assert outcome.result is (Result.SUCCEEDED if there else Result.FAILED)
    assert "copy-config" not in device.asked


async def test_a_device_without_a_startup_is_said_before_anything_is_changed() -> None:
    async with ScriptedDevice({"get-config": data(PAYLOAD)}, capabilities=CONFIRMED) as device:
        outcome, _ = await run(device, "merge", payload=PAYLOAD, saveToStartup=True)
    assert error_of(outcome) == (Result.FAILED, ErrorCode.NOT_OFFERED)
    assert device.asked == ["close-session"]


@pytest.mark.parametrize(
    ("answer", "expected", "says"),
    [
        (
            error("operation-failed", "no room"),
            (Result.FAILED, ErrorCode.RPC_ERROR),
            "the change is made, and will be gone after a restart",
        ),
        (None, (Result.UNKNOWN, ErrorCode.TIMEOUT), "the change is made, and whether it was saved is not known"),
    ],
)
async def test_a_change_that_could_not_be_saved_is_said_to_be_made(answer: Answer, expected: object, says: str) -> None:
    async with ScriptedDevice({"get-config": data(PAYLOAD), "copy-config": answer}, capabilities=SAVING) as device:
        outcome, _ = await run(device, "merge", step=NetconfStep(silence_seconds=0.5), payload=PAYLOAD, saveToStartup=True)
    assert error_of(outcome) == expected
    assert message_of(outcome).endswith(says)


async def test_a_device_of_the_first_confirmed_commit_is_left_so_that_it_takes_the_change_back() -> None:
    async with ScriptedDevice({"get-config": data("")}, capabilities=(*CANDIDATE, "confirmed-commit:1.0")) as device:
        outcome, _ = await run(device, "merge", payload=PAYLOAD, confirmedTimeout=60)
        await device.wait_until_left()
    assert message_of(outcome).endswith("its session was closed, upon which it takes the change back")
    assert device.asked[-1] == "close-session"
    assert "cancel-commit" not in device.asked


async def test_a_running_that_does_not_undo_its_errors_leaves_a_doubt() -> None:
    refused = {"edit-config": error("invalid-value", "no", more="<error-path>/system/note</error-path>")}
    for capabilities, result in (
        (["writable-running:1.0"], Result.UNKNOWN),
        (["writable-running:1.0", "rollback-on-error:1.0"], Result.FAILED),
    ):
        async with ScriptedDevice(refused, capabilities=capabilities) as device:
            outcome, context = await run(device, "merge", payload=PAYLOAD)
        assert error_of(outcome) == (result, ErrorCode.RPC_ERROR)
        assert "invalid-value (error) at /system/note: no" in message_of(outcome)
        assert context.sent
        assert device.asked == ["lock", "edit-config", "unlock", "close-session"]


async def test_errors_show_neither_controls_nor_without_end() -> None:
    told = error("invalid-value", "a\u202eb" + "x" * 5_000)
    async with ScriptedDevice({"get": told * 30}) as device:
        outcome, _ = await run(device, "get")
    assert "and 20 more" in message_of(outcome)
    assert "\u202e" not in message_of(outcome)
    assert len(message_of(outcome)) < 5_000


async def test_warnings_are_logged_and_do_not_fail() -> None:
    async with ScriptedDevice({"get": error("partial", "some cards are away", severity="warning") + data("<a/>")}) as device:
        outcome, context = await run(device, "get")
    assert outcome.result is Result.SUCCEEDED
    assert any("partial (warning): some cards are away" in message for message in context.messages)


# --- order and fences ------------------------------------------------------------------------------------------------


async def test_a_worker_that_may_not_send_any_more_commits_nothing() -> None:
    class Fenced(RecordingContext):
        def mark_sent(self) -> None:
            raise TargetError("too old")

    async with ScriptedDevice() as device:
        context: StepContext = Fenced(host_keys=device.trusted())
        with pytest.raises(TargetError):
            await NetconfStep().run(device.inputs(action="merge", payload=PAYLOAD), context)
        await device.wait_until_left()
    assert "commit" not in device.asked
    assert device.asked[-3:] == ["discard-changes", "unlock", "close-session"]


async def test_a_device_that_shows_defaults_is_asked_for_what_was_set() -> None:
    offers = (*CANDIDATE, "with-defaults:1.0?basic-mode=report-all&amp;also-supported=trim,explicit")
    async with ScriptedDevice({"get-config": data(PAYLOAD)}, capabilities=offers) as device:
        await run(device, "merge", payload=PAYLOAD)
    assert any(b"explicit</with-defaults>" in request for request in device.requests)
