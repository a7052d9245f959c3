"""Risk: an encrypted value can be read, moved, changed or mixed up with another, or two are encrypted with the same nonce."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepswitch.domain.errors import StoreError
from stepswitch.secrets.sealing import Sealing
from tests.sealing import sealing_for_tests

PLACE = b'["execution","default","e1"]'
SECRET = b'{"pw":"correct horse battery"}'


@given(st.binary(max_size=200), st.binary(max_size=40))
def test_what_is_sealed_comes_back_in_its_place_and_in_no_other(content: bytes, place: bytes) -> None:
    sealing = sealing_for_tests()
    sealed, generation = sealing.seal(content, place)
    assert (sealing.opened(sealed, place), generation) == (content, 1)
    with pytest.raises(StoreError, match="stands where it does not belong"):
        sealing.opened(sealed, place + b"x")


def test_no_bit_of_a_sealed_value_can_be_changed() -> None:
    sealing = sealing_for_tests()
    sealed, _ = sealing.seal(SECRET, PLACE)
    for number in range(len(sealed)):
        changed = bytearray(sealed)
        changed[number] ^= 1
        with pytest.raises(StoreError):
            sealing.opened(bytes(changed), PLACE)
    for cut in (0, 3, 20, 31, 32, len(sealed) - 1):
        with pytest.raises(StoreError):
            sealing.opened(sealed[:cut], PLACE)


def test_the_same_value_never_looks_the_same_in_one_process_or_in_two_with_the_same_keys() -> None:
    processes = [sealing_for_tests(), sealing_for_tests()]
    made = [each.seal(SECRET, PLACE)[0] for each in processes for _ in range(1_000)]
    assert len({sealed[:32] for sealed in made}) == len(made)
    assert not any(SECRET[3:9] in sealed for sealed in made)
    assert {processes[1].opened(sealed, PLACE) for sealed in made} == {SECRET}


def test_a_younger_key_encrypts_and_an_older_one_still_opens_until_it_is_gone() -> None:
    sealing = sealing_for_tests()
    old, _ = sealing.seal(SECRET, PLACE)
    sealing.install(2, b"2" * 32)
    young, generation = sealing.seal(SECRET, PLACE)
    assert (generation, sealing.opened(old, PLACE), sealing.opened(young, PLACE)) == (2, SECRET, SECRET)
    sealing.remove(1)
    assert sealing.opened(young, PLACE) == SECRET
    with pytest.raises(StoreError, match="the key of generation 1"):
        sealing.opened(old, PLACE)


def test_without_keys_nothing_is_written_in_clear() -> None:
    with pytest.raises(StoreError, match="there is no key"):
        Sealing().seal(SECRET, PLACE)
    with pytest.raises(StoreError, match="there is no key"):
        Sealing().digest(SECRET)


def test_a_name_is_the_same_with_the_same_keys_and_is_no_plain_hash() -> None:
    other = Sealing()
    other.install(0, b"0" * 32)
    assert sealing_for_tests().digest(SECRET) == sealing_for_tests().digest(SECRET) != other.digest(SECRET)
