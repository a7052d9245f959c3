"""Risk: a time is read or written wrongly, or one that cannot be written is let in."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepswitch.api.wire.times import format_time, parse_time

LAST = 253_402_300_799_999


@given(st.integers(-62_135_596_800_000, LAST))
def test_what_was_written_is_read_as_the_same(milliseconds: int) -> None:
    text = format_time(milliseconds)
    assert parse_time(text) == milliseconds
    assert datetime.fromisoformat(text) == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:00z", 0),
        ("1970-01-01 01:00:00+01:00", 0),
        ("1969-12-31T14:30:00-09:30", 0),
        ("1970-01-01T00:00:00.1Z", 100),
        ("1970-01-01T00:00:00.123456789Z", 123),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000),
        ("9999-12-31T23:59:59.999Z", LAST),
    ],
)
def test_times_that_rfc_3339_knows(text: str, milliseconds: int) -> None:
    assert parse_time(text) == milliseconds


@pytest.mark.parametrize(
    "text",
    ["", "string", "2031-01-31", "2031-01-31T10:00Z", "2031-01-31T10:00:00", "2031-1-31T10:00:00Z", "2031-02-30T10:00:00Z", "2031-01-31T24:00:00Z",
     "2031-01-31T10:00:61Z", "2031-01-31T10:00:00+24:00", "2031-01-31T10:00:00+01:60", "2031-01-31T10:00:00.Z", "0000-01-01T00:00:00Z",
     "9999-12-31T23:59:60Z", "9999-12-31T23:59:59-00:01", "٢٠٣١-01-31T10:00:00Z", "2031-01-31T10:00:00Z\n", "20310131T100000Z", "2031-W05-5T10:00:00Z"],
)  # fmt: skip
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|has|lies) "):
        parse_time(text)
