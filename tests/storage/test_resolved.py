"""Risk: a condition that is said in the values that there are means something else than the one that was given."""

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from stepswitch.domain.filters import SEVERAL, Operator
from stepswitch.engine.selection import Condition
from stepswitch.storage.listed import EXECUTIONS, creation_times
from stepswitch.storage.resolved import Resolved, resolved
from tests.storage.test_lists import fits

WORDS: Final = ("a", "b", "ab", "B", "", "10", "x'y", "\U0001f600")
NAMED: Final = ("status", "workflow/name")
TIMES: Final = range(6)
OF_TIMES: Final = [each for each in Operator if each not in (Operator.CONT, Operator.NCONT)]


def conditions(attributes: Sequence[str], operators: Sequence[Operator], values: Sequence[Any]) -> st.SearchStrategy[list[Condition]]:
    def condition(attribute: str, operator: Operator, several: list[Any]) -> Condition:
        return Condition(attribute, operator, tuple(several if operator in SEVERAL else several[:1]))

    some = st.lists(st.sampled_from(values), min_size=1, max_size=3)
    return st.lists(st.builds(condition, st.sampled_from(attributes), st.sampled_from(operators), some), max_size=5)


def all_fit(row: Mapping[str, Any], asked: Resolved) -> bool:
    """Say what several conditions mean, in the plainest way; one without a value is no row's, its opposite every row's."""
    join = any if asked.any_match and asked.conditions else all
    return join(
        fits(itemgetter(condition.attribute), row, condition) if condition.values else condition.operator is Operator.NIN
        for condition in asked.conditions
    )


@given(
    st.dictionaries(st.sampled_from(NAMED), st.lists(st.sampled_from(WORDS), unique=True).map(sorted)),
    conditions([*NAMED, "id"], [*Operator], [*WORDS, "never"]),
    st.booleans(),
)
def test_the_same_rows_fit(values: dict[str, list[str]], asked: list[Condition], any_match: bool) -> None:
    found = resolved(asked, values, any_match=any_match)
    for status in values.get("status", WORDS):
        for name in values.get("workflow/name", WORDS):
            row = {"status": status, "workflow/name": name, "id": "ab"}
            assert all_fit(row, found) == all_fit(row, Resolved(tuple(asked), any_match)), found
    for each in found.conditions:
        assert each.attribute not in values or each.operator in (Operator.IN, Operator.NIN)


@given(conditions(["creationTime", "endTime"], OF_TIMES, TIMES))
def test_what_fits_was_created_in_the_times_that_are_told(asked: list[Condition]) -> None:
    since, until = creation_times(EXECUTIONS, asked)
    for created in TIMES:
        for ended in (None, *range(created, 7)):
            if all_fit({"creationTime": created, "endTime": ended}, Resolved(tuple(asked), any_match=False)):
                assert since <= created < until
