"""The step type HTTP against a real server. Risk: an answer is taken for another one, a doubt for a certainty, or a request is sent that was not meant."""

import asyncio
import base64
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from stepswitch.plugin import CUT, ErrorCode, LogLevel, Networks, Outcome, Result, TargetError
from stepswitch.steps.http import HttpStep
from tests.proxies import Proxy
from tests.steps.contexts import RecordingContext
from tests.steps.http_server import Asked, HttpServer, reply, says

HERE = Networks.read(allowed="127.0.0.0/8,::1")
JSON = "application/json"


@pytest_asyncio.fixture
async def server() -> AsyncIterator[HttpServer]:
    async with HttpServer() as opened:
        yield opened


async def run(inputs: dict[str, Any], context: RecordingContext | None = None, **options: Any) -> Outcome:
    async with asyncio.timeout(20):
        return await HttpStep(networks=HERE, **options).run(inputs, context or RecordingContext())


def code(outcome: Outcome) -> tuple[Result, ErrorCode | None]:
    return outcome.result, outcome.error.code if outcome.error else None


async def test_a_request_is_what_the_inputs_say_and_no_more(server: HttpServer) -> None:
    url = server.on("/cells", reply(201, b'{"id": 7}', content_type=JSON, x_trace="a"))
    headers = json.dumps({"X-One": "a b", "X-Many": ["1", "2"]})
    outcome = await run(
        {"url": f"{url}?state=up", "method": "POST", "json": '{"é": 1}', "headers": headers, "username": "ann", "password": "p:é"}
    )
    assert code(outcome) == (Result.SUCCEEDED, None)
    assert outcome.outputs["statusCode"] == 201
    assert outcome.outputs["body"] == outcome.outputs["json"] == '{"id": 7}'
    assert json.loads(str(outcome.outputs["headers"])) == {"content-length": "9", "content-type": JSON, "x-trace": "a"}
    assert outcome.outputs["url"] == f"{url}?state=up"
    asked = server.asked[0]
    assert (asked.method, asked.target, asked.body) == ("POST", "/cells?state=up", '{"é": 1}'.encode())
    assert asked.headers == [
        ("host", f"127.0.0.1:{server.port}"), ("user-agent", "stepswitch"), ("accept", "*/*"), ("accept-encoding", "gzip"), ("x-one", "a b"),
        ("x-many", "1"), ("x-many", "2"), ("authorization", "Basic " + base64.b64encode("ann:p:é".encode()).decode()),
        ("content-type", JSON), ("connection", "close"), ("content-length", "9"),
    ]  # fmt: skip


async def test_a_token_and_headers_of_ones_own_are_sent_as_they_are(server: HttpServer) -> None:
    url = server.on("/", reply(200))
    headers = '{"Content-Type": "application/yang-data+json", "accept": "text/plain"}'
    assert code(await run({"url": url, "method": "put", "body": "x", "bearerToken": "abc.def", "headers": headers})) == (
        Result.SUCCEEDED,
        None,
    )
    asked = server.asked[0]
    assert [asked.header(each) for each in ("authorization", "content-type", "accept")] == [
        "Bearer abc.def",
        "application/yang-data+json",
        "text/plain",
    ]


async def test_a_file_is_sent_byte_by_byte_and_nothing_as_nothing(server: HttpServer) -> None:
    url, content = server.on("/", reply(204)), bytes(range(256)) * 4096
    context = RecordingContext(attachments={"image": content}, files={"bodyFile"})
    assert code(await run({"url": url, "method": "PUT", "bodyFile": "image"}, context)) == (Result.SUCCEEDED, None)
    assert code(await run({"url": url, "method": "POST"})) == (Result.SUCCEEDED, None)
    assert code(await run({"url": url})) == (Result.SUCCEEDED, None)
    assert [(each.body, each.header("content-length")) for each in server.asked] == [(content, str(len(content))), (b"", "0"), (b"", None)]


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"url": "http://core/\r\nX: y"}, "url"),
        ({"url": "http://ann:word@core/"}, "user"),  # pragma: allowlist secret
        ({"method": "TRACE"}, "method"),
        ({"method": "GET / HTTP/1.1\r\nX: y"}, "method"),
        ({"headers": '{"X": "a\\r\\nY: b"}'}, "'X'"),
        ({"headers": '{"X": "a\\nb"}'}, "'X'"),
        ({"headers": '{"X": "a\\u0000b"}'}, "'X'"),
        ({"headers": '{"X": "é"}'}, "'X'"),
        ({"headers": '{"X": {"Y": "b"}}'}, "'X'"),
        ({"headers": '{"X\\r\\nY": "b"}'}, "number 1"),
        ({"headers": '{"X:": "b"}'}, "number 1"),
        ({"headers": '["X"]'}, "headers"),
        ({"headers": "X: y"}, "headers"),
        ({"headers": json.dumps({f"X{each}": "" for each in range(101)})}, "100"),
        ({"headers": '{"Host": "evil"}'}, "Host"),
        ({"headers": '{"Transfer-Encoding": "chunked"}'}, "Transfer-Encoding"),
        ({"headers": '{"Content-Length": "0"}'}, "Content-Length"),
        ({"headers": '{"Authorization": "a"}', "bearerToken": "b"}, "Authorization"),
        ({"bearerToken": "a\r\nX: y"}, "bearerToken"),
        ({"bearerToken": "a", "username": "b"}, "bearerToken"),
        ({"password": "a"}, "username"),
        ({"username": "a:b", "password": "c"}, "Basic"),
        ({"username": "a\r\n", "password": "c"}, "Basic"),
        ({"json": "{"}, "json"),
        ({"json": "[" * 100_000}, "json"),
        ({"json": "1", "body": "1"}, "'body' and 'json'"),
        ({"bodyFile": "x"}, "bodyFile"),
        ({"expectedStatus": "2xx"}, "expectedStatus"),
        ({"expectedStatus": "299-200"}, "expectedStatus"),
        ({"expectedStatus": "200,"}, "expectedStatus"),
        ({"clientCertificate": "x"}, "belong together"),
        ({"verify": False, "caCertificate": "x"}, "caCertificate"),
    ],
)
async def test_an_input_that_cannot_be_sent_is_named_and_nothing_is(server: HttpServer, more: dict[str, Any], word: str) -> None:
    context = RecordingContext()
    outcome = await run({"url": server.url(), **more}, context)
    assert code(outcome) == (Result.FAILED, ErrorCode.INVALID_VALUE)
    assert outcome.error is not None
    assert word in outcome.error.message
    assert not context.sent
    assert not server.connections


async def test_a_file_that_is_not_there_is_said(server: HttpServer) -> None:
    outcome = await run({"url": server.url(), "method": "PUT", "bodyFile": "image"}, RecordingContext(files={"bodyFile"}))
    assert code(outcome) == (Result.FAILED, ErrorCode.UNKNOWN_ATTACHMENT)


async def test_an_unexpected_status_fails_with_what_was_said(server: HttpServer) -> None:
    url = server.on("/x", reply(409, b"it is\r\n  locked \x1b[31mby ann\n", "Conflict", content_type="text/plain"))
    outcome = await run({"url": f"{url}?token=abcd", "method": "PUT", "body": "x"})
    assert code(outcome) == (Result.FAILED, ErrorCode.UNEXPECTED_STATUS)
    assert outcome.error is not None
    assert outcome.error.message == f"PUT {url}?… was answered 409 Conflict, where 200-299 is expected: it is locked by ann"
    assert outcome.outputs["statusCode"] == 409


async def test_the_start_of_a_long_answer_ends_in_the_mark_of_a_cut(server: HttpServer) -> None:
    outcome = await run({"url": server.on("/", reply(500, b"a" * 1000))})
    assert outcome.error is not None
    assert outcome.error.message.endswith("a" + CUT)
    assert len(outcome.error.message) < 500


@pytest.mark.parametrize(
    ("method", "status", "expected", "result"),
    [
        ("GET", 404, "200-299,404", Result.SUCCEEDED),
        ("GET", 200, " 404 , 410 ", Result.FAILED),
        ("POST", 500, None, Result.FAILED),
        ("POST", 503, None, Result.FAILED),
        ("POST", 502, None, Result.UNKNOWN),
        ("DELETE", 504, None, Result.UNKNOWN),
        ("GET", 504, None, Result.FAILED),
        ("POST", 504, "504", Result.SUCCEEDED),
        ("GET", 304, "304", Result.SUCCEEDED),
    ],
)
async def test_a_status_says_whether_it_was_done_and_a_gateway_that_it_does_not_know(
    server: HttpServer, method: str, status: int, expected: str | None, result: Result
) -> None:
    outcome = await run({"url": server.on("/", reply(status)), "method": method, **({"expectedStatus": expected} if expected else {})})
    assert outcome.result is result
    assert outcome.outputs["statusCode"] == status


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        (JSON, b'{"a": 1}', '{"a": 1}'),
        ("application/problem+json; charset=utf-8", b"[1]", "[1]"),
        (JSON, b"{", None),
        (JSON, b"NaN", None),
        (JSON, b"[" * 100_000, None),
        (JSON, b"", None),
        ("text/plain", b"1", None),
    ],
)
async def test_json_is_given_where_it_is_said_and_true(server: HttpServer, kind: str, body: bytes, text: str | None) -> None:
    outcome = await run({"url": server.on("/", reply(200, body, content_type=kind))})
    assert outcome.outputs.get("json") == text
    assert outcome.outputs["body"] == body.decode()
    assert outcome.truncated == ()


@pytest.mark.parametrize(
    ("charset", "body", "text"),
    [
        ("iso-8859-1", b"\xe9", "é"),
        ('"UTF-8"', b"\xc3\xa9", "é"),
        ("utf-8", b"\xe9", "\ufffd"),
        ("punycode", b"a", "a"),
        ("\x7f", b"a", "a"),
    ],
)
async def test_a_text_is_read_as_its_answer_says(server: HttpServer, charset: str, body: bytes, text: str) -> None:
    outcome = await run(
        {"url": server.on("/", says(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=" + charset.encode() + b"\r\n\r\n" + body))}
    )
    assert outcome.outputs.get("body", text) == text


async def test_headers_that_come_several_times_are_an_array(server: HttpServer) -> None:
    outcome = await run({"url": server.on("/", says(b"HTTP/1.1 204 x\r\nSet-Cookie: a\r\nset-cookie: b\r\nX: \xe9\r\n\r\n"))})
    assert json.loads(str(outcome.outputs["headers"])) == {"set-cookie": ["a", "b"], "x": "é"}


async def test_an_answer_to_head_has_a_length_and_no_body(server: HttpServer) -> None:
    outcome = await run({"url": server.on("/", reply(200, b"12345")), "method": "HEAD"})
    assert code(outcome) == (Result.SUCCEEDED, None)
    assert (outcome.outputs["body"], json.loads(str(outcome.outputs["headers"]))["content-length"]) == ("", "5")


async def test_what_is_packed_is_unpacked_also_in_small_pieces(server: HttpServer) -> None:
    packed = gzip.compress("grüße ".encode() * 1000)
    chunks = b"".join(b"1\r\n" + packed[each : each + 1] + b"\r\n" for each in range(len(packed))) + b"0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    outcome = await run({"url": server.on("/", says(head + chunks))})
    assert outcome.outputs["body"] == "grüße " * 1000


async def test_a_packed_bomb_is_cut_at_the_limit_and_costs_no_more(server: HttpServer) -> None:
    pack = zlib.compressobj(9, zlib.DEFLATED, 31)
    head, block = (pack.compress(b"0" * 1_000_000) + pack.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    bomb = head + 300 * block
    context = RecordingContext(output_limit_bytes=10_000)
    outcome = await run({"url": server.on("/", reply(200, bomb, content_encoding="gzip", content_type=JSON))}, context)
    assert code(outcome) == (Result.SUCCEEDED, None)
    assert len(str(outcome.outputs["body"])) == 10_000
    assert outcome.truncated == ("body", "json")
    read = int(context.messages[-1].partition(", ")[2].partition(" ")[0])
    assert read <= 128 * 1024 < len(bomb)


@pytest.mark.parametrize(
    "body",
    [gzip.compress(b"a" * 1000)[:-9], gzip.compress(b"a" * 1000)[:20] + b"\xff" * 50, b"no gzip"],
    ids=["torn", "broken", "not packed"],
)
async def test_what_does_not_unpack_is_named_as_cut(server: HttpServer, body: bytes) -> None:
    outcome = await run({"url": server.on("/", reply(200, body, content_encoding="gzip"))})
    assert outcome.truncated == ("body",)


async def test_a_packing_that_nobody_asked_for_gives_no_body(server: HttpServer) -> None:
    context = RecordingContext()
    outcome = await run({"url": server.on("/", reply(200, b"abc", content_encoding="br"))}, context)
    assert code(outcome) == (Result.SUCCEEDED, None)
    assert "body" not in outcome.outputs
    assert context.lines[-1][0] is LogLevel.WARN


async def test_an_answer_that_never_ends_is_read_up_to_the_limit(server: HttpServer) -> None:
    async def flood(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
        finally:
            server.left.set()

    outcome = await run({"url": server.on("/", flood)})
    assert (outcome.result, outcome.truncated, len(str(outcome.outputs["body"]))) == (Result.SUCCEEDED, ("body",), 1_048_576)
    async with asyncio.timeout(10):
        await server.left.wait()


@pytest.mark.parametrize(
    ("first", "status"),
    [
        (b"", None),
        (b"HTTP/1.1 200 OK\r\nContent-", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", 200),
        (b"HTTP/1.1 100 go on\r\n\r\n", None),
    ],
)
async def test_silence_after_the_request_was_sent_is_a_doubt(server: HttpServer, first: bytes, status: int | None) -> None:
    outcome = await run({"url": server.stays("/", first), "method": "POST"}, silence_seconds=0.2)
    assert code(outcome) == (Result.UNKNOWN, ErrorCode.TIMEOUT)
    assert outcome.outputs.get("statusCode") == status
    assert outcome.truncated == (("body",) if status else ())
    async with asyncio.timeout(10):
        await server.left.wait()


async def test_an_answer_in_pieces_is_no_silence_however_long_all_of_it_takes(server: HttpServer) -> None:
    never = asyncio.get_running_loop().create_future()

    async def drip(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
        for _ in range(4):
            await asyncio.wait([never], timeout=0.6)
            writer.write(b"x")

    outcome = await run({"url": server.on("/", drip), "method": "GET"}, silence_seconds=2.0)
    assert (code(outcome), outcome.outputs["body"]) == ((Result.SUCCEEDED, None), "xxxx")


async def test_a_server_that_does_not_read_is_silent_however_much_is_to_be_sent(server: HttpServer) -> None:
    async with Proxy(server.host, server.port) as proxy:
        proxy.stall()
        context = RecordingContext(attachments={"image": b"x" * 20_000_000}, files={"bodyFile"})
        outcome = await run({"url": f"http://127.0.0.1:{proxy.port}/", "method": "PUT", "bodyFile": "image"}, context, silence_seconds=0.5)
    assert code(outcome) == (Result.UNKNOWN, ErrorCode.TIMEOUT)
    assert context.sent


async def test_an_answer_that_comes_before_all_was_sent_counts() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        try:
            while await reader.read(65536):
                pass
        except OSError:
            pass  # the client has heard enough
        finally:
            writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        context = RecordingContext(attachments={"image": b"x" * 20_000_000}, files={"bodyFile"})
        outcome = await run({"url": url, "method": "PUT", "bodyFile": "image"}, context)
    assert code(outcome) == (Result.FAILED, ErrorCode.UNEXPECTED_STATUS)
    assert outcome.outputs["body"] == "big"


@pytest.mark.parametrize(
    ("said", "result", "why"),
    [
        (b"", Result.UNKNOWN, ErrorCode.CONNECTION_CUT),
        (b"HTTP/1.1 200 OK\r\nContent-Le", Result.UNKNOWN, ErrorCode.CONNECTION_CUT),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", Result.UNKNOWN, ErrorCode.CONNECTION_CUT),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", Result.UNKNOWN, ErrorCode.CONNECTION_CUT),
        (b"HTTP/1.1 404 x\r\nContent-Length: 5\r\n\r\nab", Result.FAILED, ErrorCode.UNEXPECTED_STATUS),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", Result.UNKNOWN, ErrorCode.MALFORMED_ANSWER),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n", Result.UNKNOWN, ErrorCode.MALFORMED_ANSWER),
        (b"HTTP/1.1 200 OK\r\nContent-Length: a\r\n\r\n" + b"x" * 1000, Result.UNKNOWN, ErrorCode.MALFORMED_ANSWER),
        (b"HTTP/1.1 101 x\r\nUpgrade: y\r\nConnection: upgrade\r\n\r\n" + b"x" * 1000, Result.UNKNOWN, ErrorCode.MALFORMED_ANSWER),
    ],
)  # fmt: skip
async def test_an_answer_that_breaks_off_or_is_none_is_a_doubt(server: HttpServer, said: bytes, result: Result, why: ErrorCode) -> None:
    outcome = await run({"url": server.on("/", says(said)), "method": "POST"})
    assert code(outcome) == (result, why)
    assert set(outcome.truncated) <= outcome.outputs.keys()


async def test_what_may_not_be_sent_is_not_and_the_connection_is_closed(server: HttpServer) -> None:
    class Fenced(RecordingContext):
        def mark_sent(self) -> None:
            raise TargetError("not now")

    with pytest.raises(TargetError):
        await run({"url": server.url()}, Fenced())
    assert not server.asked


async def test_nobody_listening_is_said_and_nothing_was_sent() -> None:
    async with HttpServer() as gone:
        url = gone.url()
    context = RecordingContext()
    outcome = await run({"url": url}, context)
    assert code(outcome) == (Result.FAILED, ErrorCode.CONNECTION_REFUSED)
    assert not context.sent


async def test_cancelling_closes_the_connection_and_says_what_is_not_known(server: HttpServer) -> None:
    context = RecordingContext()
    running = asyncio.create_task(HttpStep(networks=HERE).run({"url": server.stays("/"), "method": "POST"}, context))
    await context.wait_for_line("sent POST")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    async with asyncio.timeout(10):
        await server.left.wait()
    assert "is not known" in context.messages[-1]


async def test_no_word_of_a_secret_is_in_the_log_or_the_error(server: HttpServer) -> None:
    context = RecordingContext()
    word = "a-word-that-nobody-may-read"
    url = server.on("/", reply(403))
    outcome = await run(
        {"url": f"{url}?{word}", "headers": json.dumps({"X": word}), "body": word, "username": word, "password": word}, context
    )
    assert outcome.error is not None
    assert word not in outcome.error.message + "\n".join(context.messages)
