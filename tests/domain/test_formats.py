"""Risk: a value of the wrong format reaches a device, or a hostile one brings the check down."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepswitch.domain.formats import misfit


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("text", "two\nlines\tand é"),
        ("json", '{"a": [1, 2.5, null, "x"]}'),
        ("json", "9" * 10_000),
        ("xml", "<a x='1'><b/>é</a>"),
        ("xml", "<?xml version='1.0' encoding='utf-16'?><a/>"),
        ("xml", "<a/><b/>"),
        ("ip", "10.0.0.1"),
        ("ip", "2001:db8::1"),
        ("date", "nobody looks"),
        ("", "nobody looks"),
        (None, "nobody looks"),
    ],
)
def test_what_fits(form: str | None, value: str) -> None:
    assert misfit(value, form) is None


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("text", "a\x00"),
        ("text", "\x1b[31m"),
        ("json", ""),
        ("json", "{'a': 1}"),
        ("json", "NaN"),
        ("json", "[" * 100_000),
        ("xml", ""),
        ("xml", "words"),
        ("xml", "<a>"),
        ("xml", "<a/></top><top>"),
        ("xml", "<a>\ud800</a>"),
        ("ip", "10.0.0.256"),
        ("ip", "host"),
        ("ip", "10.0.0.0/24"),
    ],
)
def test_what_does_not(form: str, value: str) -> None:
    assert misfit(value, form)


@pytest.mark.parametrize(
    "value",
    [
        '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        '<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>',
    ],
)
def test_nothing_is_expanded_or_fetched(value: str) -> None:
    assert "DOCTYPE" in (misfit(value, "xml") or "")


@given(st.sampled_from(["text", "json", "xml", "ip"]), st.text(st.characters()))
def test_any_text_gets_an_answer(form: str, value: str) -> None:
    why = misfit(value, form)
    assert why is None or why.startswith("is ")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=10))
def test_all_json_is_json(value: object) -> None:
    assert misfit(json.dumps(value), "json") is None
