"""Risk: a value changes on its way, or one is kept that no answer can carry."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepswitch.domain.errors import ValueMisfitError
from stepswitch.domain.values import ValueType, coerce, fit, to_text


def test_whole_numbers_beyond_64_bits_become_floating_ones() -> None:
    assert fit(2**63 - 1, ValueType.NUMBER) == 2**63 - 1
    assert isinstance(fit(2**63, ValueType.NUMBER), float)
    assert isinstance(coerce("9" * 25, ValueType.NUMBER), float)


@pytest.mark.parametrize("value", [10**400, math.nan, math.inf])
def test_what_json_cannot_carry_is_no_number(value: float) -> None:
    for wanted in (ValueType.NUMBER, ValueType.STRING):
        with pytest.raises(ValueMisfitError):
            coerce(value, wanted)


@pytest.mark.parametrize("text", ["", "-", "1_000", "0x10", "１２", "٣", "1e", "nan", "Infinity", "1e999"])
def test_what_spells_no_number_is_none(text: str) -> None:
    with pytest.raises(ValueMisfitError):
        coerce(text, ValueType.NUMBER)


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()), st.sampled_from(ValueType))
def test_a_value_is_brought_to_its_type_or_refused(value: object, wanted: ValueType) -> None:
    try:
        found = coerce(value, wanted)
    except ValueMisfitError:
        return
    assert fit(found, wanted) == found
    assert coerce(found, wanted) == found


@given(st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans())
def test_numbers_and_booleans_survive_as_text(value: float) -> None:
    wanted = ValueType.BOOLEAN if isinstance(value, bool) else ValueType.NUMBER
    assert coerce(to_text(value), wanted) == value
