"""Risk: passwords can be guessed as fast as the machine goes, or whoever guesses keeps others out."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import count

import pytest

from stepswitch.access.attempts import (
    FORGOTTEN_SECONDS,
    FREE_OF_ADDRESS,
    FREE_OF_PLACE,
    FREE_OF_USER,
    KEPT,
    KEPT_USERS,
    LONGEST_WAIT,
    MOST_AT_ONCE,
    Attempts,
)
from stepswitch.access.places import DAY, KEPT_DAYS, MOST_PLACES, KnownPlaces, place_of, region_of
from stepswitch.access.turns import KEPT_SECONDS, LONGEST_LINE_SECONDS, MOST_REGIONS, TURN_SECONDS, Turns
from stepswitch.domain.errors import TooManyAttemptsError
from tests.access.account_store import DictAccountStore, HandClock

HERE, ELSEWHERE = "192.0.2.1", "198.51.100.1"
MOST_IN_AN_HOUR = 450
"""What the threat model says of guesses for one user, whoever guesses."""


class Door:
    def __init__(self, store: DictAccountStore | None = None) -> None:
        self.clock = HandClock()
        self.store = store or DictAccountStore()
        self.places = KnownPlaces(self.store, self.clock)
        self.attempts = Attempts(self.clock, self.places)

    def wait(self, user: str, address: str = HERE) -> int:
        """Return how many seconds an attempt is put off; 0 where it may be made. It comes to nothing then."""
        try:
            with self.attempts.attempt(user, address):
                return 0
        except TooManyAttemptsError as error:
            return error.retry_after

    def fail(self, user: str = "ann", address: str = HERE) -> int:
        """Guess wrong where that may be done; return how many seconds it is put off."""
        try:
            with self.attempts.attempt(user, address) as attempt:
                attempt.failed()
        except TooManyAttemptsError as error:
            return error.retry_after
        return 0

    def fail_in_time(self, times: int, user: str = "ann", address: str = HERE) -> None:
        for _ in range(times):
            while seconds := self.fail(user, address):
                self.let_pass(seconds)

    async def succeed(self, user: str, address: str) -> None:
        with self.attempts.attempt(user, address) as attempt:
            attempt.succeeded()
        await self.places.note(user, place_of(address))

    def let_pass(self, seconds: float) -> None:
        self.clock.time += round(seconds * 1000)


def test_a_slip_of_the_finger_costs_nothing() -> None:
    door = Door()
    assert [door.fail() for _ in range(FREE_OF_PLACE)] == [0] * FREE_OF_PLACE


def test_each_failure_costs_longer_up_to_a_minute() -> None:
    door = Door()
    door.fail_in_time(FREE_OF_PLACE)
    waits = []
    for _ in range(9):
        waits.append(door.wait("ann") - 1)
        door.let_pass(LONGEST_WAIT)
        assert door.fail() == 0
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_what_is_tried_while_it_is_not_time_makes_the_wait_no_longer() -> None:
    door = Door()
    door.fail_in_time(FREE_OF_PLACE + 3)
    assert all(door.fail() > 0 for _ in range(100))
    door.let_pass(8)
    assert door.wait("ann") == 0


def test_many_attempts_at_once_are_one() -> None:
    door = Door()
    door.fail_in_time(FREE_OF_PLACE)
    door.let_pass(1)
    assert [door.wait("ann") > 0 for _ in range(5)] == [False, True, True, True, True]


def test_attempts_that_nobody_knows_the_outcome_of_yet_are_few() -> None:
    door = Door()
    with ExitStack() as under_way:
        for number in range(MOST_AT_ONCE):
            under_way.enter_context(door.attempts.attempt("ann", f"192.0.2.{number}"))
        assert door.wait("ann", "192.0.2.99") == 2
        assert door.wait("bob", "192.0.2.99") == 0
    assert door.wait("ann", "192.0.2.99") == 0


def test_one_address_cannot_go_through_all_users() -> None:
    door = Door()
    for number in range(FREE_OF_ADDRESS):
        assert door.fail(f"user {number}") == 0
    assert door.wait("another") > 0
    assert door.wait("another", "192.0.2.2") == 0


def test_many_addresses_cannot_go_through_all_passwords_of_one_user() -> None:
    door = Door()
    for number in range(FREE_OF_USER):
        assert door.fail("ann", f"192.0.2.{number}") == 0
    assert door.wait("ann", "192.0.2.99") == TURN_SECONDS + 1


async def test_who_logged_in_from_here_before_is_not_kept_out_by_others() -> None:
    door = Door()
    await door.succeed("admin", ELSEWHERE)
    door.fail_in_time(20, "admin", HERE)
    for number in range(FREE_OF_ADDRESS):
        door.fail(f"user {number}", ELSEWHERE)
    assert door.wait("another", ELSEWHERE) > 0
    assert door.wait("admin", ELSEWHERE) == 0
    assert door.wait("admin", HERE) > 0
    door.fail_in_time(FREE_OF_PLACE, "admin", ELSEWHERE)
    assert door.wait("admin", ELSEWHERE) > 0


async def test_where_somebody_logged_in_is_known_after_a_start_for_a_while() -> None:
    door = Door()
    await door.succeed("admin", ELSEWHERE)
    after = Door(door.store)
    await after.places.recall()
    for number in range(FREE_OF_USER):
        after.fail("admin", f"192.0.2.{number}")
    assert after.wait("admin", ELSEWHERE) == 0
    assert after.wait("admin", "198.51.100.2") > 0
    after.let_pass(KEPT_DAYS * DAY / 1000 + 1)
    assert not after.places.knows("admin", ELSEWHERE)


async def test_somebody_who_logs_in_from_everywhere_makes_others_no_less_known() -> None:
    door = Door()
    await door.succeed("admin", ELSEWHERE)
    for number in range(MOST_PLACES + 5):
        await door.succeed("eve", f"192.0.2.{number}")
        door.let_pass(1)
    assert door.places.knows("admin", ELSEWHERE)
    assert [door.places.knows("eve", f"192.0.2.{number}") for number in (4, 5)] == [False, True]


async def test_a_success_makes_good_what_one_did_wrong_there_before_and_nothing_for_an_address() -> None:
    door = Door()
    door.fail_in_time(FREE_OF_PLACE - 1)
    await door.succeed("ann", HERE)
    assert [door.fail() for _ in range(FREE_OF_PLACE - 1)] == [0] * (FREE_OF_PLACE - 1)
    for number in range(FREE_OF_ADDRESS):
        door.fail(f"user {number}")
        await door.succeed("ann", HERE)
    assert door.wait("another") > 0


async def test_whoever_guesses_one_password_and_knows_another_is_not_let_off() -> None:
    door = Door()
    for number in range(FREE_OF_USER):
        door.fail("ann", f"192.0.2.{number}")
        await door.succeed("eve", f"192.0.2.{number}")
    assert door.wait("ann", ELSEWHERE) > 0


async def test_failures_are_forgotten_after_a_while_and_never_fill_the_memory() -> None:
    door = Door()
    door.fail_in_time(FREE_OF_PLACE + 6)
    door.let_pass(FORGOTTEN_SECONDS + 1)
    assert [door.fail() for _ in range(FREE_OF_PLACE)] == [0] * FREE_OF_PLACE
    for number in range(KEPT + 10):
        door.fail(f"user {number}", f"address {number}")
    assert len(door.attempts._failures) == KEPT
    assert len(door.attempts._users) == KEPT_USERS


def test_what_is_asked_before_its_time_drives_nothing_out_of_the_memory() -> None:
    door = Door()
    for number in range(FREE_OF_USER):
        door.fail("ann", f"192.0.2.{number}")
    for number in range(FREE_OF_ADDRESS):
        door.fail(f"user {number}", HERE)
    for number in range(KEPT + 10):
        assert door.fail(f"other {number}", HERE) > 0
    assert door.wait("ann", ELSEWHERE) > 0


def test_turns_do_not_fill_the_memory_and_come_back_when_they_are_not_taken() -> None:
    turns, now = Turns(), 1_000.0
    for number in range(10 * MOST_REGIONS):
        turns.wait(f"address {number}", now, now)
    assert turns._newcomers is not None
    assert len(turns._newcomers.turns) <= (LONGEST_LINE_SECONDS + KEPT_SECONDS) / TURN_SECONDS + 1
    assert len(turns._seen) == MOST_REGIONS
    now += LONGEST_LINE_SECONDS + TURN_SECONDS
    assert turns.wait("one who comes late", now, now) <= TURN_SECONDS


@pytest.mark.parametrize(
    ("address", "place", "region"),
    [
        ("192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/64", "fe80::/48"),
        ("a session of ann", "a session of ann", "a session of ann"),
        ("", "", ""),
    ],
)
def test_an_address_of_ipv6_is_the_network_around_it(address: str, place: str, region: str) -> None:
    assert (place_of(address), region_of(place_of(address))) == (place, region)


# --- while somebody never stops guessing ---


class Siege:
    """Somebody who asks from each of his addresses, so often in a second, as long as the test goes on."""

    def __init__(self, door: Door, addresses: Sequence[str], in_a_second: float) -> None:
        self.door = door
        self.addresses = addresses
        self.in_a_second = in_a_second
        self.guesses: list[float] = []

    def goes_on(self, seconds: float) -> None:
        """Let so much time pass."""
        for _ in range(math.ceil(seconds * self.in_a_second)):
            self.door.let_pass(1 / self.in_a_second)
            for address in self.addresses:
                if self.door.fail("admin", address) == 0:
                    self.guesses.append(self.door.clock.monotonic())

    def waits_of(self, address: str, patience: int) -> int:
        """Return after how many seconds somebody who comes whenever he is told to may try."""
        waited = 0
        while seconds := self.door.wait("admin", address):
            self.goes_on(seconds)
            waited += seconds
            assert waited <= patience
        return waited

    def most_in_an_hour(self) -> int:
        return max(bisect_left(self.guesses, first + 3600) - place for place, first in enumerate(self.guesses))


ONE = ["203.0.113.1"]
HUNDRED = [f"203.0.113.{number}" for number in range(100)]
NETWORK = [f"2001:db8:1:{number:x}::1" for number in range(100)]


@pytest.mark.parametrize(
    ("addresses", "in_a_second"), [(ONE, 1), (ONE, 10), (HUNDRED, 0.2), (NETWORK, 0.2)], ids=["one", "one in haste", "hundred", "network"]
)
def test_whoever_never_stops_guessing_keeps_nobody_out_for_good_and_guesses_little(addresses: list[str], in_a_second: int) -> None:
    door = Door()
    siege = Siege(door, addresses, in_a_second)
    siege.goes_on(5)
    newcomers = 1 if addresses is NETWORK else len(addresses)
    assert siege.waits_of("192.0.2.7", math.ceil(TURN_SECONDS * (newcomers + 1))) > 0 or len(addresses) == 1
    siege.goes_on(3600 - door.clock.monotonic() % 3600)
    for number in range(3):  # whoever comes later does not stand behind those who have tried
        assert siege.waits_of(f"192.0.2.{10 + number}", math.ceil(TURN_SECONDS) + 1) <= TURN_SECONDS + 1
    siege.goes_on(600)
    assert siege.most_in_an_hour() <= MOST_IN_AN_HOUR


def test_who_has_mistyped_meanwhile_waits_for_his_turn_and_gets_it() -> None:
    door = Door()
    siege = Siege(door, HUNDRED, 0.2)
    siege.goes_on(3600)
    siege.waits_of("192.0.2.7", 60)
    door.fail("admin", "192.0.2.7")
    assert siege.waits_of("192.0.2.7", math.ceil(TURN_SECONDS * (len(HUNDRED) + 2)))


def test_addresses_without_end_make_no_more_guesses() -> None:
    door, numbers = Door(), count()
    siege = Siege(door, [], 1)
    for _ in range(3600):
        siege.addresses = [
            f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}" for number, _ in zip(numbers, range(3), strict=False)
        ]
        siege.goes_on(1)
    assert 0 < len(siege.guesses) <= MOST_IN_AN_HOUR
