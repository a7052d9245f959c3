"""Risk: a call is sent twice that must not be, is given up that need not be, or an answer from somewhere else is taken for the service's."""

import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from stepswitch.client import (
    ApiError,
    ConnectionBrokenError,
    InvalidRequestError,
    NotAuthenticatedError,
    NotFoundError,
    NotPermittedError,
    Pacing,
    ServiceFailedError,
    StepswitchClient,
    StrangeAnswerError,
    TooLargeError,
    UnavailableError,
    UnreachableError,
)
from tests.certificates import own_certificate
from tests.client.office import Impostor, Naps, Office, Slow, answer

EXECUTION = {
    "id": "e1",
    "status": "RUNNING",
    "contextType": "NONE",
    "workflow": {"id": "w1", "name": "n"},
    "creationTime": "2027-01-15T08:00:00.000Z",
    "creationUser": "me",
    "aborted": False,
    "newThing": 1,
}
BUSY = answer(503, {"errors": [{"code": "OVERLOADED", "message": "too much"}]}, x_error_code="OVERLOADED", retry_after="2")
FOUND = answer(200, EXECUTION)
Act = Callable[[StepswitchClient], Awaitable[Any]]


def get(client: StepswitchClient) -> Awaitable[Any]:
    return client.executions.get("e1")


def start(client: StepswitchClient) -> Awaitable[Any]:
    return client.executions.start("w1")


def retry(client: StepswitchClient) -> Awaitable[Any]:
    return client.executions.retry("e1")


def keys(impostor: Impostor) -> list[str]:
    return [line for request in impostor.requests for line in request.split("\r\n") if line.lower().startswith("idempotency-key:")]


@pytest.mark.parametrize("act", [get, start], ids=["a read", "an order with a key"])
@pytest.mark.parametrize("trouble", [BUSY, None], ids=["busy", "cut"])
async def test_what_is_safe_is_sent_again_a_few_times(naps: Naps, act: Act, trouble: bytes | None) -> None:
    async with (
        Impostor(trouble, trouble, trouble, FOUND) as impostor,
        StepswitchClient(impostor.url, token="t", pacing=naps.pacing) as client,
    ):
        assert (await act(client)).id == "e1"
    assert len(impostor.requests) == 4
    assert len(set(impostor.requests)) == 1
    assert naps.seconds == ([2.0, 2.0, 2.0] if trouble else [0.25, 0.5, 1.0])
    assert len(keys(impostor)) == (4 if act is start else 0)


@pytest.mark.parametrize("act", [get, start], ids=["a read", "an order with a key"])
@pytest.mark.parametrize(("trouble", "error"), [(BUSY, UnavailableError), (None, ConnectionBrokenError)], ids=["busy", "cut"])
async def test_it_is_given_up_after_a_few_times(naps: Naps, act: Act, trouble: bytes | None, error: type[Exception]) -> None:
    async with Impostor(*[trouble] * 9) as impostor, StepswitchClient(impostor.url, token="t", pacing=naps.pacing) as client:
        with pytest.raises(error):
            await act(client)
    assert (len(impostor.requests), len(naps.seconds)) == (4, 3)


@pytest.mark.parametrize(("trouble", "error"), [(BUSY, UnavailableError), (None, ConnectionBrokenError)], ids=["busy", "cut"])
async def test_what_is_not_safe_is_sent_once(naps: Naps, trouble: bytes | None, error: type[Exception]) -> None:
    acts: list[Act] = [
        retry,
        lambda client: client.executions.abort("e1"),
        lambda client: client.executions.change("e1", pause_at_failure=True),
        lambda client: client.executions.set_values("e1", {"a": 1}),
        lambda client: client.workflows.create({"name": "n"}),
        lambda client: client.workflows.replace("w1", {"name": "n"}),
        lambda client: client.workflows.delete("w1"),
        lambda client: client.workflows.attach("w1", "f", b"x"),
    ]
    for act in acts:
        async with Impostor(trouble, FOUND) as impostor, StepswitchClient(impostor.url, token="t", pacing=naps.pacing) as client:
            with pytest.raises(error):
                await act(client)
        assert len(impostor.requests) == 1
    assert naps.seconds == []


async def test_two_orders_have_two_keys_and_a_given_one_is_used(naps: Naps) -> None:
    async with Impostor(FOUND, FOUND, FOUND) as impostor, StepswitchClient(impostor.url, token="t", pacing=naps.pacing) as client:
        await start(client)
        await start(client)
        await client.executions.start("w1", idempotency_key="mine")
    sent = keys(impostor)
    assert len(set(sent)) == 3
    assert sent[2].endswith(" mine")


async def test_a_service_that_starts_again_is_waited_for() -> None:
    naps: list[float] = []
    async with contextlib.AsyncExitStack() as stack:
        first = await stack.enter_async_context(Impostor(None))
        port = int(first.url.rpartition(":")[2])

        async def sleep(seconds: float) -> None:
            naps.append(seconds)
            if len(naps) == 1:
                await first.close()
            if len(naps) == 3:
                await stack.enter_async_context(Impostor(FOUND, port=port))

        client = await stack.enter_async_context(StepswitchClient(first.url, token="t", pacing=Pacing(sleep=sleep)))
        assert (await start(client)).id == "e1"
    assert len(naps) == 3


async def test_an_address_where_nobody_listens_is_told_at_once(naps: Naps) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    async with StepswitchClient(url, token="t", pacing=naps.pacing) as client:
        with pytest.raises(UnreachableError, match=r"cannot be reached: .*refused"):
            await get(client)
    assert naps.seconds == []


@pytest.mark.parametrize(
    ("said", "error", "text"),
    [
        (answer(401, x_error_code="SESSION_EXPIRED"), NotAuthenticatedError, "the session has expired; log in again [SESSION_EXPIRED]"),
        (answer(403, x_error_code="NOT_PERMITTED"), NotPermittedError, "not permitted: execution e1 [NOT_PERMITTED]"),
        (answer(404, x_error_code="NOT_FOUND"), NotFoundError, "there is no execution e1, or you may not see it [NOT_FOUND]"),
        (answer(413, {"errors": [{"code": "BODY_TOO_LARGE", "message": "too big"}]}), TooLargeError, "too big [BODY_TOO_LARGE]"),
        (answer(500, {"errors": [{"code": "INTERNAL", "message": "reference r1"}]}), ServiceFailedError, "reference r1 [INTERNAL]"),
        (answer(502, b"<html>Bad gateway"), ServiceFailedError, "the service answered 502 to: execution e1"),
        (answer(400, b"<html>"), InvalidRequestError, "the service answered 400 to: execution e1"),
        (answer(418, b""), ApiError, "the service answered 418 to: execution e1"),
        (answer(404, b"<html>"), StrangeAnswerError, "answered 404 as no Stepswitch does"),
        (answer(301, location="https://elsewhere/"), StrangeAnswerError, "redirects to https://elsewhere/"),
        (answer(200, b"<html>"), StrangeAnswerError, "something that is no JSON"),
        (answer(200, b"[" * 100_000), StrangeAnswerError, "something that is no JSON"),
        (answer(200, [1]), StrangeAnswerError, "execution is no JSON object"),
        (answer(200, {**EXECUTION, "creationTime": "yesterday"}), StrangeAnswerError, "creationTime of execution is missing"),
        (answer(200, {**EXECUTION, "debugStepIds": [1]}), StrangeAnswerError, "debugStepIds of execution is missing"),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nxyz", StrangeAnswerError, "sent what cannot be read"),
    ],
)
async def test_each_answer_has_its_error(naps: Naps, said: bytes, error: type[Exception], text: str) -> None:
    async with Impostor(said) as impostor, StepswitchClient(impostor.url, token="t", pacing=naps.pacing) as client:
        with pytest.raises(error) as refused:
            await get(client)
    assert type(refused.value) is error
    assert text in str(refused.value)


async def test_a_half_answer_is_a_broken_connection(naps: Naps) -> None:
    half = Slow(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{", ends=True)
    async with Impostor(half) as impostor, StepswitchClient(impostor.url, token="t", pacing=naps.pacing) as client:
        with pytest.raises(ConnectionBrokenError):
            await get(client)


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n"], ids=["silent", "dripping"])
async def test_somebody_who_does_not_come_to_an_end_is_given_up(naps: Naps, first: bytes) -> None:
    slow = Slow(first, b" " if first else b"")
    async with Impostor(slow) as impostor, StepswitchClient(impostor.url, token="t", timeout=0.2, pacing=naps.pacing) as client:
        with pytest.raises(ConnectionBrokenError, match=r"did not answer within 0\.2 seconds"):
            await retry(client)


@pytest.mark.parametrize(
    "url",
    # pragma: allowlist nextline secret
    ["", "127.0.0.1:8080", "ftp://h", "http://", "http://h?x=1", "http://h#x", "http://[", "http://h:99999", "http://user:hunter2@h"],
)
def test_an_address_that_is_none_is_refused_without_a_secret(url: str) -> None:
    with pytest.raises(UnreachableError) as refused:
        StepswitchClient(url)
    assert "hunter2" not in str(refused.value)


async def test_a_path_in_the_address_is_kept(naps: Naps) -> None:
    async with Impostor(FOUND) as impostor, StepswitchClient(f"{impostor.url}/below/it/", token="t", pacing=naps.pacing) as client:
        await get(client)
    assert impostor.requests[0].startswith("GET /below/it/telco/api/workflows/workflowExecution/e1 HTTP")


async def test_a_certificate_that_is_not_trusted_is_told_and_one_that_is_is_good(naps: Naps, tmp_path: Path) -> None:
    certificate, server = own_certificate(tmp_path)
    async with Impostor(FOUND, tls=server) as impostor:
        async with StepswitchClient(impostor.url, token="t", pacing=naps.pacing) as client:
            with pytest.raises(UnreachableError, match=r"its certificate is not trusted \(self-signed certificate\)"):
                await get(client)
        assert impostor.requests == []
        trusting = ssl.create_default_context(cafile=certificate)
        async with StepswitchClient(impostor.url, token="t", tls=trusting, pacing=naps.pacing) as client:
            await get(client)


async def test_a_service_without_tls_is_told(office: Office) -> None:
    async with StepswitchClient(office.url.replace("http:", "https:"), token="t") as client:
        with pytest.raises(UnreachableError, match=r"it does not speak TLS as it should"):
            await get(client)


async def test_a_proxy_is_not_asked_for_this_machine(naps: Naps, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Impostor(FOUND, FOUND) as impostor, Impostor(FOUND, FOUND) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        for url in (impostor.url, impostor.url.replace("127.0.0.1", "localhost")):
            async with StepswitchClient(url, token="t", pacing=naps.pacing) as client:
                await get(client)
        for url in ("http://stepswitch.example.net", "http://127.example.net"):
            async with StepswitchClient(url, token="t", pacing=naps.pacing) as client:
                await get(client)
    assert (len(impostor.requests), len(proxy.requests)) == (2, 2)


async def test_a_token_that_cannot_be_sent_is_not_shown(naps: Naps) -> None:
    async with Impostor(FOUND) as impostor, StepswitchClient(impostor.url, token="hun\nter2", pacing=naps.pacing) as client:
        with pytest.raises(UnreachableError) as refused:
            await get(client)
    assert "ter2" not in f"{refused.value}{refused.value.__context__!r}" or refused.value.__suppress_context__
    assert "ter2" not in str(refused.value)


async def test_a_name_that_nobody_knows_is_said(naps: Naps) -> None:
    async with StepswitchClient("http://no-such-host.invalid", token="t", pacing=naps.pacing) as client:
        with pytest.raises(UnreachableError, match=r"http://no-such-host.invalid cannot be reached: "):
            await get(client)
