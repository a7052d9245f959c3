"""Risk: an event is lost, torn apart or taken for another one by how its bytes happen to arrive."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepswitch.client.sse import Parser, RawEvent

STREAM = '\ufeffretry: 2000\nid: 0\n\n: nothing new\n\nevent: log\nid: 1-a\ndata: {"a": 1}\n\nevent: step\ndata:half\ndata: żółty\n\nid: 2\n\ndata: last\n\n'
EVENTS = [RawEvent("log", "1-a", '{"a": 1}'), RawEvent("step", "1-a", "half\nżółty"), RawEvent("message", "2", "last")]


@given(cuts=st.lists(st.integers(0, 200), max_size=12), end=st.sampled_from(["\n", "\r\n", "\r"]))
def test_events_are_the_same_wherever_the_bytes_are_cut(cuts: list[int], end: str) -> None:
    data = STREAM.replace("\n", end).encode() + b"\n"
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    parser = Parser()
    found = [event for start, stop in pairwise(places) for event in parser.feed(data[start:stop])]
    assert found == EVENTS
    assert parser.last_id == "2"


def test_what_has_no_end_yet_is_no_event() -> None:
    parser = Parser("before")
    assert list(parser.feed(b"id: 7\ndata: x\n")) == []
    assert parser.last_id == "before"
    assert list(parser.feed(b"\n")) == [RawEvent("message", "7", "x")]


def test_an_id_with_a_null_does_not_count() -> None:
    assert [event.id for event in Parser("old").feed(b"id: a\0b\ndata: x\n\n")] == ["old"]


def test_what_never_ends_is_no_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepswitch.client.sse.LARGEST_EVENT", 100)
    with pytest.raises(ValueError, match="does not come to its end"):
        list(Parser().feed(b"data: " + b"x" * 100))
