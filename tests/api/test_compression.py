"""Risk: an answer is packed for who cannot read it, a tag names two sequences of bytes, or a small body unpacks to more than the memory."""

import gzip
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from stepswitch.api.compression import SMALLEST, Compression, prefers_gzip
from tests.api.house import PLAIN, House, codes, messages
from tests.api.real import Real, real_service
from tests.domain.documents import example

LARGE: dict[str, Any] = example() | {"description": "what it is for " * 500}


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[Real]:
    async with real_service(tmp_path) as running:
        yield running


async def raw(
    client: httpx.AsyncClient, path: str, accepted: str | None, method: str = "GET", **headers: str
) -> tuple[httpx.Response, bytes]:
    """Return an answer with its bytes as they were sent."""
    asked = {name: value for name, value in {**headers, "Accept-Encoding": accepted}.items() if value is not None}
    request = client.build_request(method, path, headers=asked)
    if accepted is None:
        del request.headers["Accept-Encoding"]
    answer = await client.send(request, stream=True)
    body = b"".join([piece async for piece in answer.aiter_raw()])
    await answer.aclose()
    return answer, body


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True), ("GZIP", True), ("x-gzip", True), ("deflate, gzip;q=1.0, *;q=0.5", True), ("gzip;q=0.001", True), ("*", True),
        ("gzip ; q=0.5", True), ("identity;q=0.5, gzip;q=0.5", True), ("*;q=0, gzip", True), ("br, *;q=0.1", True),
        ("", False), ("identity", False), ("br", False), ("gzip;q=0", False), ("gzip;q=0.000", False), ("*;q=0", False), ("gzip;q=x", False),
        ("identity, gzip;q=0.5", False), ("*, gzip;q=0", False), ("gzipped", False), ("gzip;q=nan", False), (";,;q", False),
    ],
)  # fmt: skip
def test_weights_are_heeded(accepted: str, packed: bool) -> None:
    assert prefers_gzip(accepted.encode()) is packed


async def test_an_answer_is_packed_for_whoever_takes_it_so(house: House, root: str) -> None:
    place = f"{root}/workflow/{await house.put_workflow(LARGE)}"
    plain, body = await raw(house.client, place, None)
    packed, packed_body = await raw(house.client, place, "gzip")
    assert gzip.decompress(packed_body) == body
    assert len(packed_body) < len(body) / 4
    assert (packed.headers["content-encoding"], packed.headers["content-length"]) == ("gzip", str(len(packed_body)))
    assert "content-encoding" not in plain.headers
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert packed.headers["x-request-id"]
    head, nothing = await raw(house.client, place, "gzip", "HEAD")
    assert (head.headers["content-length"], head.headers["etag"]) == (str(len(packed_body)), packed.headers["etag"])
    assert nothing in (b"", packed_body)  # the server sends no body with HEAD; this transport does


async def test_changes_are_answered_packed_too(house: House) -> None:
    answer = await house.client.put(f"{PLAIN}/workflow", json=LARGE)  # httpx accepts gzip
    assert (answer.status_code, answer.headers["content-encoding"], answer.json()["name"]) == (200, "gzip", LARGE["name"])
    plain = await house.client.put(f"{PLAIN}/workflow", json=LARGE, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    faults = await house.client.put(
        f"{PLAIN}/workflow", json=LARGE | {f"bad {n}": {} for n in range(3)} | {"steps": dict.fromkeys(map(str, range(100)), 1)}
    )
    assert (faults.status_code, faults.headers["content-encoding"]) == (400, "gzip")
    assert len(messages(faults)) >= 100


async def test_a_small_answer_is_left_as_it_is(house: House) -> None:
    answer, body = await raw(house.client, "/stepswitch/api/v1/health", "gzip")
    assert len(body) < SMALLEST
    assert ("content-encoding" not in answer.headers, answer.headers["vary"]) == (True, "Accept-Encoding")
    assert json.loads(body)["status"] == "ok"


async def test_the_packed_form_has_a_tag_of_its_own_that_preconditions_understand(house: House, root: str) -> None:
    place = f"{root}/workflow/{await house.put_workflow(LARGE)}"
    plain, _ = await raw(house.client, place, None)
    packed, _ = await raw(house.client, place, "gzip")
    tags = (plain.headers["etag"], packed.headers["etag"])
    assert tags[1] == f'{tags[0][:-1]}-gzip"'
    for known in tags:
        for accepted in (None, "gzip"):
            answer, body = await raw(house.client, place, accepted, **{"If-None-Match": known})
            assert (answer.status_code, body, answer.headers["etag"]) == (304, b"", known)
            assert answer.headers.get_list("vary") == ["Accept-Encoding"]
    stale = await house.client.post(place, json=LARGE, headers={"If-Match": '"x-gzip"'})
    assert stale.status_code == 412
    assert (await house.client.post(place, json=LARGE, headers={"If-Match": tags[1]})).status_code == 200


async def test_a_weak_tag_stands_for_both_forms() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"application/json"), (b"etag", b'W/"1"')]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b" " * 10_000})

    async with httpx.AsyncClient(transport=httpx.ASGITransport(Compression(app)), base_url="http://house") as client:
        answer = await client.get("/")
    assert (answer.headers["content-encoding"], answer.headers["etag"]) == ("gzip", 'W/"1"')


async def test_events_are_given_one_by_one_and_not_packed() -> None:
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream; charset=utf-8")]})
        for number in range(3):
            event = b"data: %d\n\n" % number * SMALLEST
            await send({"type": "http.response.body", "body": event, "more_body": True})
            assert sent[-1]["body"] == event

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "headers": [(b"accept-encoding", b"gzip")]}
    await Compression(app)(scope, lambda: None, send)  # type: ignore[arg-type,return-value] # nobody receives
    assert len(sent) == 4


async def test_a_log_is_packed_while_it_is_read_and_a_file_is_not_packed(real: Real, root: str) -> None:
    created = await real.create(LARGE | {"steps": {"a": {"type": "NOOP"}}, "startStepId": "a"}, root)
    execution = await real.execute(created["id"], root, assignments=dict.fromkeys(LARGE.get("inputs", {}), "x"))
    log, packed = await raw(real.client, f"{execution['links']['self']}/logs", "gzip")
    _, text = await raw(real.client, f"{execution['links']['self']}/logs", None)
    assert (log.headers["content-encoding"], gzip.decompress(packed)) == ("gzip", text)
    assert "content-length" not in log.headers
    assert b"queued by admin" in text
    content = b"line\n" * 10_000
    await real.client.post(f"{root}/workflow/{created['id']}/attachments", files={"file": ("f", content)})
    file, body = await raw(real.client, f"{root}/workflow/{created['id']}/attachments?attachmentId=f", "gzip")
    assert (body, file.headers["content-length"]) == (content, str(len(content)))
    assert "content-encoding" not in file.headers


# --- bodies that come packed ---


async def put(house: House, body: bytes, coding: str = "gzip", **headers: str) -> httpx.Response:
    sent = {"Content-Encoding": coding, "Content-Type": "application/json", **headers}
    return await house.client.put(f"{PLAIN}/workflow", content=body, headers=sent)


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip", " gzip "])
async def test_a_packed_body_is_what_it_unpacks_to(house: House, coding: str) -> None:
    answer = await put(house, gzip.compress(json.dumps(LARGE).encode()), coding)
    assert answer.status_code == 200, answer.text
    assert answer.json()["description"] == LARGE["description"]


async def test_a_packed_body_may_come_in_any_pieces(house: House) -> None:
    packed = gzip.compress(json.dumps(LARGE).encode())

    async def pieces() -> AsyncIterator[bytes]:
        for place in range(0, len(packed), 7):
            yield packed[place : place + 7]
        yield b""

    sent = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    answer = await house.client.put(f"{PLAIN}/workflow", content=pieces(), headers=sent)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("coding", ["identity", "", "Identity"])
async def test_a_body_that_is_said_to_be_as_it_is_is_taken(house: House, coding: str) -> None:
    assert (await put(house, json.dumps(LARGE).encode(), coding)).status_code == 200


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip", "gzip, br", "identity, gzip", "utf-8"])
async def test_a_body_that_is_packed_otherwise_is_415(house: House, coding: str) -> None:
    answer = await put(house, gzip.compress(b"{}"), coding)
    assert (answer.status_code, codes(answer), answer.headers["accept-encoding"]) == (415, ["UNSUPPORTED_ENCODING"], "gzip")


async def test_a_body_of_several_parts_is_sent_as_it_is(house: House) -> None:
    kind = "multipart/form-data; boundary=b"
    answer = await house.client.post(f"{PLAIN}/workflow", content=b"--b--", headers={"Content-Type": kind, "Content-Encoding": "gzip"})
    assert (answer.status_code, codes(answer), answer.headers["accept-encoding"]) == (415, ["UNSUPPORTED_ENCODING"], "identity")


PACKED = gzip.compress(json.dumps(LARGE).encode())


@pytest.mark.parametrize(
    "body", [b"{}", PACKED[:-1], PACKED[:20], PACKED[:-6] + b"\0" * 6, PACKED + b"x", PACKED + PACKED, zlib.compress(b"{}"), b""], ids=len
)
async def test_a_body_that_is_not_packed_as_it_says_is_400(house: House, body: bytes) -> None:
    answer = await put(house, body)
    assert (answer.status_code, codes(answer)) == (400, ["UNKNOWN_HEADER_VALUE"])
    assert messages(answer)[0].startswith("Content-Encoding: ")
    assert not house.catalogue_store.workflows


def bomb(size: int) -> bytes:
    """Return a body that unpacks to `size` bytes, made without holding them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    chunk = b" " * 1024 * 1024
    return b"".join([*(packer.compress(chunk) for _ in range(size // len(chunk))), packer.flush()])


async def test_a_bomb_is_413_and_costs_no_memory() -> None:
    house = House(body_limit_bytes=200_000)
    packed = bomb(256 * 1024 * 1024)
    assert 150_000 < len(packed) < 400_000
    async with house.client:
        tracemalloc.start()
        try:
            answer = await put(house, packed[:150_000])
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert (answer.status_code, codes(answer)) == (413, ["BODY_TOO_LARGE"])
    assert peak < 4 * 1024 * 1024


@pytest.mark.parametrize(("size", "status"), [(10_000, 200), (10_001, 413)])
async def test_the_limit_counts_what_a_body_unpacks_to(size: int, status: int) -> None:
    house = House(body_limit_bytes=10_000)
    async with house.client:
        body = json.dumps(example()).encode()
        assert (await put(house, gzip.compress(body + b" " * (size - len(body))))).status_code == status
