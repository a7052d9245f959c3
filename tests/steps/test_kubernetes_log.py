"""The log of a pod, read over connections that break. Risk: a line that is shown twice or not at all, outputs that are lost or made up, memory without end."""

import base64
import json
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepswitch.plugin import LogLevel
from stepswitch.steps.kubernetes_log import LogReader
from stepswitch.steps.output import Output
from tests.steps.contexts import RecordingContext

MARK = "::stepswitch-0123"
_TEXTS = st.lists(st.binary(max_size=40).map(lambda text: text.replace(b"\n", b"").replace(b"::", b"")), max_size=12)


def logged(texts: Sequence[bytes], *, at_once: int = 1, zone: str = "Z") -> bytes:
    """Return lines with their times, `at_once` of them at the same moment."""
    return b"".join(
        f"2026-11-26T10:{number // at_once // 60:02d}:{number // at_once % 60:02d}.{number % 3}00000007{zone} ".encode() + text + b"\n"
        if at_once == 1
        else f"2026-11-26T10:00:{number // at_once:02d}.5{zone} ".encode() + text + b"\n"
        for number, text in enumerate(texts)
    )


def wrapped(text: bytes, written: bytes = b"") -> list[bytes]:
    """Return what the wrapper makes of what a script prints and writes, line by line."""
    encoded = base64.encodebytes(written).splitlines()
    words = [f"{MARK} begin {len(written)}".encode(), *encoded, f"{MARK} end".encode()] if written else [f"{MARK} none".encode()]
    return [*text.split(b"\n"), *words]


async def read(log: bytes, cuts: Sequence[int], pieces: int = 7) -> tuple[str, LogReader]:
    """Return what is read of a log that breaks off so many bytes behind where it was begun each time, and is told from the second that is asked for."""
    context = RecordingContext()
    output = Output(context, LogLevel.INFO, encoding="utf-8", limit_bytes=100_000)
    reader = LogReader(output, MARK)
    for cut in [*cuts, len(log)]:
        told = from_second(log, reader.since)[:cut]
        reader.begin()
        for start in range(0, len(told), pieces):
            await reader.feed(told[start : start + pieces])
    await reader.finish()
    return output.text, reader


def from_second(log: bytes, since: str | None) -> bytes:
    """Return the lines of a log from a second on, as a cluster does."""
    if since is None:
        return log
    return b"".join(line + b"\n" for line in log.split(b"\n")[:-1] if line[:19] >= since.encode()[:19])


@given(texts=_TEXTS, cuts=st.lists(st.integers(0, 400), max_size=5), at_once=st.integers(1, 4), pieces=st.integers(1, 60))
@settings(max_examples=60, deadline=None)
async def test_a_log_comes_whole_wherever_it_breaks_off(texts: list[bytes], cuts: list[int], at_once: int, pieces: int) -> None:
    printed = b"\n".join(texts)
    written = json.dumps({"n": [1, 2]}).encode()
    text, reader = await read(logged(wrapped(printed, written), at_once=at_once), cuts, pieces)
    expected = printed.decode("utf-8", "replace")
    assert text.removesuffix("\n" if reader.handed.has_ended_line else "") == expected
    assert reader.handed.content() == written


@pytest.mark.parametrize("text", [b"", b"\n", b"a", b"a\n", b"\n\na", b"a\n\n\n"])
async def test_the_end_of_what_was_printed_stays_as_it_was(text: bytes) -> None:
    found, reader = await read(logged(wrapped(text)), [])
    assert found.removesuffix("\n" if reader.handed.has_ended_line else "") == text.decode()
    assert (reader.handed.content(), reader.handed.is_complete) == (b"", True)


async def test_times_in_the_zone_of_a_node_are_read() -> None:
    text, reader = await read(logged([b"one", b"two"], zone="+02:00"), [])
    assert (text, reader.since) == ("one\ntwo\n", "2026-11-26T08:00:01Z")


async def test_a_line_without_a_time_is_shown_as_it_is() -> None:
    text, _ = await read(b"unable to retrieve container logs for containerd://1\nshort", [])
    assert text == "unable to retrieve container logs for containerd://1\nshort"


async def test_a_log_that_ends_in_the_middle_is_not_taken_for_whole() -> None:
    whole = logged(wrapped(b"said\n", b'{"a": 1}'))
    for end in range(len(whole) - 2):
        _, reader = await read(whole[:end], [])
        assert reader.handed.content() is None, whole[:end]


@pytest.mark.parametrize("spoiled", [b"somebody else's line", b"AAAA", b"*"])
async def test_what_is_mixed_into_the_outputs_is_noticed(spoiled: bytes) -> None:
    lines = wrapped(b"", b'{"a": 1}')
    _, reader = await read(logged([*lines[:-1], spoiled, lines[-1]]), [])
    assert reader.handed.content() is None


async def test_a_line_without_an_end_is_not_kept() -> None:
    context = RecordingContext()
    reader = LogReader(Output(context, LogLevel.INFO, encoding="utf-8", limit_bytes=1000), MARK)
    reader.begin()
    await reader.feed(b"2026-11-26T10:00:00Z ")
    for _ in range(200):
        await reader.feed(b"x" * 65_536)
    assert max(len(message) for message in context.messages) <= 16 * 1024
    assert len(reader._line.held) < 100


async def test_outputs_that_are_larger_than_they_say_are_not_kept() -> None:
    _, reader = await read(logged([f"{MARK} begin 5".encode(), *[b"A" * 60] * 500, f"{MARK} end".encode()]), [], 5_000)
    assert len(reader.handed._encoded) <= 2_000
    assert reader.handed.content() is None


async def test_a_script_cannot_say_the_words_of_the_wrapper() -> None:
    text, reader = await read(logged([b"::stepswitch-ffff none", b"x " + MARK.encode() + b" none", MARK.encode()]), [])
    assert (text.splitlines(), reader.handed.is_complete) == (["::stepswitch-ffff none", f"x {MARK} none", MARK], False)
