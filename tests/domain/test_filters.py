"""Risk: a filter is read as another one, a fault is shown at the wrong character, or a text makes the reader fail."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepswitch.domain.filters import MAX_COMPARISONS, MAX_VALUES, SEVERAL, Comparison, Operator, Word, format_filter, parse_filter

NAMES = st.text(st.characters(exclude_characters="();'"), min_size=1, max_size=8)
"""Names with these cannot be written in this language."""
VALUES = st.text(max_size=12)


@st.composite
def comparisons(draw: st.DrawFn) -> Comparison:
    operator = draw(st.sampled_from(Operator))
    values = draw(st.lists(VALUES, min_size=1, max_size=3 if operator in SEVERAL else 1))
    return Comparison(operator, tuple(draw(st.lists(NAMES, min_size=1, max_size=3))), tuple(Word(value, 0) for value in values), 0, 0)


def meaning(found: tuple[Comparison, ...]) -> list[tuple[Operator, tuple[str, ...], list[str]]]:
    return [(each.operator, each.path, [word.text for word in each.values]) for each in found]


@given(st.lists(comparisons(), min_size=1, max_size=5))
def test_what_is_written_is_read_back(wanted: list[Comparison]) -> None:
    text = format_filter(wanted)
    found, faults = parse_filter(text)
    assert not faults
    assert meaning(found) == meaning(tuple(wanted))
    for each in found:
        assert text[each.at - 1 :].startswith(each.operator + ",")
        assert text[each.path_at - 2] == ","
        for word in each.values:
            assert text[word.at - 2] == ","
            assert text[word.at - 1] == "'" or text[word.at - 1 :].startswith(word.text)


@given(st.one_of(st.text(), st.text("(),;'/~eqin ab", max_size=40)))
def test_any_text_is_read_or_has_a_fault_within_it(text: str) -> None:
    found, faults = parse_filter(text)
    assert bool(found) or bool(faults)
    assert all(1 <= fault.at <= len(text) + 1 and fault.message for fault in faults)
    if not faults:
        assert meaning(parse_filter(format_filter(found))[0]) == meaning(found)


@given(st.lists(comparisons(), min_size=1, max_size=3), st.data())
def test_a_filter_that_is_cut_has_a_fault(wanted: list[Comparison], data: st.DataObject) -> None:
    text = format_filter(wanted)
    whole = {len(format_filter(wanted[:count])) for count in range(1, len(wanted) + 1)}
    end = data.draw(st.integers(0, len(text) - 1).filter(lambda place: place not in whole))
    assert parse_filter(text[:end])[1]


@pytest.mark.parametrize(
    ("text", "at", "says"),
    [
        ("", 1, "but the filter ends"),
        ("eq,name,a", 1, "expected '('"),
        ("(is,name,a)", 2, "expected an operator (eq, neq"),
        ("(EQ,name,a)", 2, "expected an operator"),
        ("(eq)", 4, "',' and an attribute"),
        ("(eq,)", 5, "name of an attribute"),
        ("(eq,a//b,c)", 7, "name of an attribute"),
        ("(eq,a~x,c)", 6, "~0"),
        ("(eq,name)", 9, "',' and a value"),
        ("(eq,name,)", 10, "'' is the empty text"),
        ("(eq,name,a", 11, "expected ')', but the filter ends"),
        ("(eq,name,a,b)", 11, "takes one value"),
        ("(eq,name,f(x))", 11, "single quotes"),
        ("(eq,name,a;(eq,b,c)", 11, "single quotes"),
        ("(eq,name,'it''s)", 10, "never closed"),
        ("(eq,name,'a'b)", 13, "expected ')', not 'b'"),
        ("(eq,name,a)(eq,b,c)", 12, "';' and another"),
        ("(eq,name,a);", 13, "expected '('"),
        ("(eq,name,a),(eq,b,c)", 12, "';' and another"),
    ],
)
def test_a_fault_says_where_and_what(text: str, at: int, says: str) -> None:
    _, faults = parse_filter(text)
    assert [fault.at for fault in faults] == [at], faults
    assert says in faults[0].message


def test_every_comparison_is_looked_at() -> None:
    found, faults = parse_filter("(eqq,a,b);(eq,c,d);(in,e);(cont,f,'x;(y',z)")
    assert [each.path for each in found] == [("c",), ("f",)]
    assert [fault.at for fault in faults] == [2, 25]
    assert [(word.text, word.at) for word in found[1].values] == [("x;(y", 35), ("z", 42)]


def test_a_filter_has_an_end() -> None:
    assert parse_filter(";".join(["(eq,a,b)"] * MAX_COMPARISONS))[1] == ()
    assert [fault.at for fault in parse_filter(";".join(["(eq,a,b)"] * (MAX_COMPARISONS + 1)))[1]] == [9 * MAX_COMPARISONS + 2]
    assert parse_filter(f"(in,a,{','.join('b' * MAX_VALUES)})")[1] == ()
    assert [fault.at for fault in parse_filter(f"(in,a,{','.join('b' * (MAX_VALUES + 1))})")[1]] == [7 + 2 * MAX_VALUES]
