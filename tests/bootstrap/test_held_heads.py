"""Risk: the head of an answer that waits for its body is never sent, is sent late to somebody who waits for a stream, or is sent behind the body."""

import asyncio
from collections.abc import Iterable

from stepswitch.bootstrap.held_heads import HeldHead

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"
STREAM = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"


class Calls(asyncio.Transport):
    """Notes what it is handed at once."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.made.append(bytes(data))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.made.append(b"".join(list_of_data))

    def close(self) -> None:
        self.made.append(b"closed")


def made(*writes: bytes, is_closed: bool = False) -> list[bytes]:
    calls = Calls()
    answer = HeldHead(calls)
    for data in writes:
        answer.write(data)
    if is_closed:
        answer.close()
    return calls.made


def test_a_head_goes_out_with_the_first_of_its_body() -> None:
    assert made(HEAD, b"body") == [HEAD + b"body"]
    assert made(HEAD, b"bo", b"dy") == [HEAD + b"bo", b"dy"]
    assert made(HEAD, b"") == [HEAD]


def test_the_head_of_a_stream_waits_for_nothing() -> None:
    assert made(STREAM) == [STREAM]
    assert made(STREAM, HEAD) == [STREAM, HEAD]


def test_a_client_that_is_told_to_go_on_hears_it_before_it_sends_the_body() -> None:
    assert made(GO_ON) == [GO_ON]
    assert made(GO_ON, HEAD, b"body") == [GO_ON, HEAD + b"body"]


def test_a_head_whose_body_never_comes_is_sent_before_the_connection_closes() -> None:
    assert made(HEAD, is_closed=True) == [HEAD, b"closed"]
    assert made(HEAD, b"body", is_closed=True) == [HEAD + b"body", b"closed"]
