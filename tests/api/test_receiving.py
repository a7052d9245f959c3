"""Risk: bodies that come at the same time, or one of many parts, fill memory or disk; or the room for them is never given back."""

import asyncio
import gzip
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from stepswitch.api import request_bodies
from stepswitch.api.limits import Limits
from stepswitch.api.receiving import SMALL_BYTES, Room
from stepswitch.api.request_bodies import Body, BodyLimits
from stepswitch.domain.errors import OverloadedError, TooLargeError
from tests.api.house import PLAIN, CountedIds, codes, messages
from tests.api.real import OWN, Real, real_service
from tests.api.test_attachments import READS_FILE, json_part
from tests.domain.documents import document

KIB: Final = 1024
FILE, FORM, ROOM = 200 * KIB, 300 * KIB, 700 * KIB
LARGE: Final = b"x" * (FILE - 1)
HEAD: Final = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
END: Final = b"\r\n--b--\r\n"
IN_PARTS: Final = {"Content-Type": "multipart/form-data; boundary=b"}
COUNTED: Final = len(HEAD + LARGE + END) - SMALL_BYTES
AT_ONCE: Final = ROOM // COUNTED


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[Real]:
    limits = {"body_limit_bytes": 100 * KIB, "file_limit_bytes": FILE, "multipart_limit_bytes": FORM, "receiving_limit_bytes": ROOM}
    async with real_service(tmp_path, **limits) as running:
        yield running


class Upload:
    """A file on its way into a workflow, over a connection of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def status(self) -> int:
        """Return the next status that is answered; 100 says that the body may come, and has its room."""
        async with asyncio.timeout(20):
            head = await self._reader.readuntil(b"\r\n\r\n")
        return int(head.split()[1])

    def hang_up(self) -> None:
        self._writer.transport.abort()


@asynccontextmanager
async def uploading(real: Real, path: str, length: int | None = len(HEAD + LARGE + END), token: str | None = None) -> AsyncIterator[Upload]:
    """Give an upload whose headers are sent; its body waits until it may come."""
    reader, writer = await asyncio.open_connection(real.client.base_url.host, real.client.base_url.port)
    said = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    upload = Upload(reader, writer)
    await upload.send(
        f"POST {path} HTTP/1.1\r\nHost: h\r\nx-hm-authorization: {token or real.client.headers['x-hm-authorization']}\r\n"
        f"{said}\r\nContent-Type: multipart/form-data; boundary=b\r\nExpect: 100-continue\r\n\r\n".encode()
    )
    try:
        yield upload
    finally:
        upload.hang_up()


async def a_place(real: Real) -> str:
    return f"{PLAIN}/workflow/{(await real.create(READS_FILE))['id']}/attachments"


def is_turned_away(answer: httpx.Response) -> bool:
    assert (codes(answer), answer.headers["x-error-code"]) == (["OVERLOADED"], "OVERLOADED")
    assert int(answer.headers["retry-after"]) > 0
    assert answer.headers["connection"] == "close"
    assert "nothing of it was stored: send it again later" in messages(answer)[0]
    return answer.status_code == 503


async def put_file(real: Real, path: str, content: bytes = LARGE) -> httpx.Response:
    return await real.client.post(path, content=HEAD + content + END, headers=IN_PARTS)


async def has_room_again(real: Real, path: str) -> None:
    """Come back, as one is told to, until all of the room is there again."""
    async with asyncio.timeout(20):
        while True:
            async with AsyncExitStack() as stack:
                begun = [await stack.enter_async_context(uploading(real, path)) for _ in range(AT_ONCE)]
                if {await each.status() for each in begun} == {100}:
                    return


async def test_slow_uploads_beyond_the_room_are_told_to_come_back_and_the_others_end_well(real: Real) -> None:
    path = await a_place(real)
    async with AsyncExitStack() as stack:
        uploads = [await stack.enter_async_context(uploading(real, path)) for _ in range(AT_ONCE)]
        for upload in uploads:
            assert await upload.status() == 100
            await upload.send(HEAD + LARGE[:10])
        one_more = await stack.enter_async_context(uploading(real, path))
        assert await one_more.status() == 503
        assert is_turned_away(await put_file(real, path))
        by_pieces = await real.client.post(path, content=pieces(HEAD + LARGE + END), headers=IN_PARTS)
        assert is_turned_away(by_pieces)
        assert all(each.endswith(".part") for each in real.on_disk())
        assert (await real.client.put(f"{PLAIN}/workflow", json=READS_FILE)).status_code == 200, "what is small finds its way in"
        for upload in uploads:
            await upload.send(LARGE[10:] + END)
            assert await upload.status() == 200
        assert (await put_file(real, path)).status_code == 200
    await has_room_again(real, path)


async def pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 10 * KIB):
        yield body[start : start + 10 * KIB]


async def hung_up(real: Real, path: str) -> None:
    async with uploading(real, path) as upload:
        assert await upload.status() == 100
        await upload.send(HEAD + LARGE[:1000])


async def broken_off(real: Real, path: str) -> None:
    async with uploading(real, path, None) as upload:
        assert await upload.status() == 100
        await upload.send(b"%x\r\n" % len(HEAD + LARGE) + HEAD + LARGE + b"\r\n0\r\n\r\n")
        assert await upload.status() == 400


async def refused(real: Real, path: str) -> None:
    assert (await put_file(real, path, LARGE + b"xx")).status_code == 413


async def turned_away(real: Real, path: str) -> None:
    form = [("file", (f"f{number}", LARGE)) for number in range(3)]
    assert (await real.client.post(path, files=form)).status_code == 413
    assert (await real.client.post(path, content=pieces(HEAD + LARGE + LARGE), headers=IN_PARTS)).status_code == 413


async def no_workflow(real: Real, _: str) -> None:
    assert (await put_file(real, f"{PLAIN}/workflow/nowhere/attachments")).status_code == 404


async def no_login(real: Real, path: str) -> None:
    async with uploading(real, path, token="nobody's") as upload:
        assert await upload.status() == 401


async def stored(real: Real, path: str) -> None:
    assert (await put_file(real, path)).status_code == 200


@pytest.mark.parametrize("end", [hung_up, broken_off, refused, turned_away, no_workflow, no_login, stored])
async def test_however_an_upload_ends_its_room_is_given_back_and_nothing_is_left(real: Real, end: Callable[[Real, str], Any]) -> None:
    path = await a_place(real)
    for _ in range(AT_ONCE + 1):
        await end(real, path)
        await has_room_again(real, path)
    left = [hashlib.sha256(LARGE).hexdigest()] if end is stored else []
    async with asyncio.timeout(20):
        while real.on_disk() != left:  # until it is noticed that somebody has hung up
            await real.client.get(path)


async def test_who_waits_for_an_execution_with_files_takes_no_room_meanwhile(real: Real) -> None:
    path, late = await a_place(real), {"type": "NOOP", "policy": {"delaySeconds": 600}}
    workflow = await real.create(document(startStepId="a", steps={"a": late}))
    order = {"workflowId": workflow["id"], "contextType": "NONE"}
    form: list[Any] = [("workflowExecution", json_part(order)), ("files", ("f", LARGE))]
    place, watched = f"{PLAIN}/workflowExecution", real.service.watchers._of_execution
    asked = [asyncio.ensure_future(real.client.post(place, files=form, headers={"Prefer": "wait=60"})) for _ in range(AT_ONCE)]
    async with asyncio.timeout(20):
        while len(watched) < AT_ONCE:  # noqa: ASYNC110 # nobody tells
            await asyncio.sleep(0)
    await has_room_again(real, path)
    assert not any(each.done() for each in asked)
    for execution in list(watched):
        assert (await real.client.post(f"{place}/{execution}/abort")).status_code == 200
    assert {(await each).json()["status"] for each in asked} == {"ABORTED"}


async def test_a_form_over_its_limit_is_413_and_nothing_of_it_is_stored(real: Real, root: str) -> None:
    waits = document(steps={"a": {"type": "NOOP"}})
    before = (await real.create(waits, root))["id"]
    files: list[Any] = [("files", (f"f{number}", LARGE[: 80 * KIB])) for number in range(4)]
    order = {"workflowId": before, "contextType": "NONE", "debugStepIds": ["a"]}
    for thing, value in (("workflow", waits), ("workflowExecution", order)):
        form = [(thing, json_part(value)), *files]
        whole = real.client.build_request("POST", f"{root}/{thing}", files=form)
        body = whole.read()
        said = await real.client.post(whole.url, content=body, headers={"Content-Type": whole.headers["content-type"]})
        unsaid = await real.client.post(whole.url, content=pieces(body), headers={"Content-Type": whole.headers["content-type"]})
        for answer in (said, unsaid):
            assert (answer.status_code, codes(answer)) == (413, ["BODY_TOO_LARGE"])
            assert messages(answer) == [f"the body is over the limit of {FORM} bytes"]
            assert answer.headers["connection"] == "close"
        assert (await real.client.post(whole.url, files=form[:-1])).status_code == 200
    assert len((await real.client.get(f"{root}/workflow")).json()) == 2
    assert len((await real.client.get(f"{root}/workflowExecution")).json()) == 1
    assert len(real.on_disk()) == 1, "of the forms that were taken: their files are alike"


async def test_who_has_no_login_gets_no_room(real: Real) -> None:
    answer = await real.client.post("/hybridity/api/sessions", content=b" " * (SMALL_BYTES + 1))
    assert (answer.status_code, codes(answer)) == (413, ["BODY_TOO_LARGE"])
    answer = await real.client.post("/hybridity/api/sessions", content=pieces(b" " * (SMALL_BYTES + 1)))
    assert (answer.status_code, codes(answer)) == (413, ["BODY_TOO_LARGE"])
    assert (await real.client.post("/hybridity/api/sessions", content=b" " * SMALL_BYTES)).status_code == 400
    assert (await real.client.get(f"{OWN}/sessions")).status_code == 200


def body_of(data: bytes, room: Room, *headers: tuple[bytes, bytes]) -> Body:
    messages: list[Message] = [
        {"type": "http.request", "body": data[start : start + 10], "more_body": start + 10 < len(data)} for start in range(0, len(data), 10)
    ]

    async def receive() -> Message:
        return messages.pop(0)

    body = Body(receive, room)
    body.expect(headers, BodyLimits(1_000, 2_000))
    return body


async def read(body: Body) -> bytes:
    found = bytearray()
    while True:
        message = await body()
        found += message["body"]
        if not message["more_body"]:
            return bytes(found)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_bodies, "SMALL_BYTES", 0)


@pytest.mark.usefixtures("small")
async def test_what_counts_is_what_is_said_or_what_has_come_and_of_packed_bodies_what_they_unpack_to() -> None:
    room = Room(100)
    said = body_of(b"x" * 60, room, (b"content-length", b"60"))
    room.take(100)
    room.give_back(100)  # nobody has read of it yet
    first = await said()
    assert first["body"] == b"x" * 10
    with pytest.raises(OverloadedError):
        room.take(41)
    unsaid = body_of(b"x" * 60, room)
    with pytest.raises(OverloadedError):
        await read(unsaid)
    assert unsaid.is_turned_away
    unsaid.settle()
    room.take(40)
    room.give_back(40)
    assert len(await read(said)) == 50
    for _ in range(2):
        said.settle()
    packed = gzip.compress(b"x" * 99)
    unpacked = body_of(packed, room, (b"content-length", b"%d" % len(packed)), (b"content-encoding", b"gzip"))
    assert len(await read(unpacked)) == 99
    with pytest.raises(OverloadedError):
        room.take(2)
    unpacked.settle()
    room.take(100)
    bomb = gzip.compress(b"x" * 101)
    room.give_back(100)
    with pytest.raises(OverloadedError):
        await read(body_of(bomb, room, (b"content-encoding", b"gzip")))


async def test_a_limit_can_only_become_narrower() -> None:
    body = body_of(b"x" * 60, Room(100), (b"content-length", b"60"))
    body.limit_to(5_000)
    with pytest.raises(TooLargeError):
        body.limit_to(59)


@pytest.mark.usefixtures("small")
async def test_who_reads_his_answer_slowly_keeps_no_room() -> None:
    room, told = Room(100), list[str]()

    async def reads_it(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        with pytest.raises(OverloadedError):
            room.take(91)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        room.take(100)
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Message:
        return {"type": "http.request", "body": b"x" * 10, "more_body": False}

    async def send(message: Message) -> None:
        told.append(message["type"])

    scope = {"type": "http", "scheme": "http", "headers": [(b"content-length", b"10")]}
    await Limits(reads_it, BodyLimits(1_000, 2_000), room, CountedIds())(scope, receive, send)
    assert told == ["http.response.start", "http.response.body"]
