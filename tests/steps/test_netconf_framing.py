"""How messages follow one another. Risks: a message cut where the network cut it, a mark that is missed between two pieces, memory without end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepswitch.steps.netconf_framing import Framer, FramingError, TooLargeError

MESSAGES = st.lists(st.binary(min_size=1, max_size=50).map(lambda text: b"<" + text.replace(b"]]>]]>", b"") + b">"), min_size=1, max_size=5)


def read(framer: Framer, pieces: list[bytes]) -> list[bytes]:
    messages = []
    for piece in pieces:
        framer.feed(piece)
        while (message := framer.next()) is not None:
            messages.append(message)
    return messages


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    at = sorted({place % (len(stream) + 1) for place in places})
    return [stream[start:end] for start, end in zip([0, *at], [*at, len(stream)], strict=True)]


@given(MESSAGES, st.lists(st.integers(0, 1_000)), st.booleans())
def test_what_is_framed_is_read_again_however_it_is_cut(messages: list[bytes], places: list[int], chunks: bool) -> None:
    writer, reader = Framer(), Framer()
    if chunks:
        writer.use_chunks()
        reader.use_chunks()
    assert read(reader, cut(b"".join(map(writer.framed, messages)), places)) == messages


@given(st.binary(min_size=1, max_size=200), st.lists(st.integers(1, 50)))
def test_a_message_may_come_in_any_number_of_chunks(message: bytes, sizes: list[int]) -> None:
    reader, stream, rest = Framer(), b"", message
    reader.use_chunks()
    for size in [*sizes, len(message)]:
        chunk, rest = rest[:size], rest[size:]
        stream += b"\n#%d\n%b" % (len(chunk), chunk) if chunk else b""
    assert read(reader, [stream + b"\n##\n"]) == [message]


def test_the_framing_turns_between_two_messages_that_came_together() -> None:
    reader = Framer()
    reader.feed(b"<hello/>]]>]]>\n#4\n<a/>\n##\n")
    assert reader.next() == b"<hello/>"
    reader.use_chunks()
    assert reader.next() == b"<a/>"


@pytest.mark.parametrize("came", [b"x", b"\nx", b"\n#x", b"\n#0\n", b"\n#01\n", b"\n##x", b"\n#12345678901", b"\n##\n"])
def test_what_is_no_chunk_is_said_at_once(came: bytes) -> None:
    reader = Framer()
    reader.use_chunks()
    reader.feed(came)
    with pytest.raises(FramingError):
        reader.next()


@pytest.mark.parametrize("came", [b"", b"\n", b"\n#", b"\n##", b"\n#1", b"\n#1234567890"])
def test_what_may_become_a_chunk_is_waited_for(came: bytes) -> None:
    reader = Framer()
    reader.use_chunks()
    reader.feed(came)
    assert reader.next() is None


@pytest.mark.parametrize("came", [b"\n#101\n", b"\n#60\n" + b"x" * 60 + b"\n#60\n"], ids=["one chunk", "two chunks"])
def test_a_message_that_will_be_too_large_is_not_waited_for(came: bytes) -> None:
    reader = Framer(100)
    reader.use_chunks()
    reader.feed(came)
    with pytest.raises(TooLargeError):
        reader.next()


def test_a_marked_message_is_bounded_too_and_has_to_begin_as_xml() -> None:
    reader = Framer(100)
    reader.feed(b"\xef\xbb\xbf \n<" + b"x" * 90)
    assert reader.next() is None
    reader.feed(b"x" * 10)
    with pytest.raises(TooLargeError):
        reader.next()
    with pytest.raises(FramingError):
        read(Framer(), [b"Password: "])
