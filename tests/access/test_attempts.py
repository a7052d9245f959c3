"""Risk: passwords can be guessed as fast as the machine goes, or whoever guesses keeps others out."""

from stepswitch.access.attempts import FORGOTTEN_SECONDS, FREE_OF_ADDRESS, FREE_OF_USER, KEPT, LONGEST_WAIT, Attempts
from stepswitch.domain.errors import TooManyAttemptsError
from tests.access.account_store import HandClock


class Door:
    def __init__(self) -> None:
        self.clock = HandClock()
        self.attempts = Attempts(self.clock)

    def wait(self, user: str, address: str = "192.0.2.1") -> int:
        """Return how many seconds an attempt is put off; 0 where it may be made."""
        try:
            self.attempts.begin(user, address)
        except TooManyAttemptsError as error:
            return error.retry_after
        return 0

    def fail(self, times: int, user: str = "ann", address: str = "192.0.2.1") -> None:
        for _ in range(times):
            self.attempts.failed(user, address)

    def let_pass(self, seconds: float) -> None:
        self.clock.time += round(seconds * 1000)


def test_a_slip_of_the_finger_costs_nothing() -> None:
    door = Door()
    door.fail(FREE_OF_USER - 1)
    assert door.wait("ann") == 0


def test_each_failure_costs_longer_up_to_a_minute() -> None:
    door = Door()
    door.fail(FREE_OF_USER - 1)
    waits = []
    for _ in range(9):
        door.fail(1)
        waits.append(door.wait("ann") - 1)
        door.let_pass(LONGEST_WAIT)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert door.wait("ann") == 0


def test_what_is_tried_while_it_is_not_time_makes_the_wait_no_longer() -> None:
    door = Door()
    door.fail(FREE_OF_USER + 3)
    for _ in range(100):
        assert door.wait("ann") > 0
    door.let_pass(8)
    assert door.wait("ann") == 0


def test_many_attempts_at_once_are_one() -> None:
    door = Door()
    door.fail(FREE_OF_USER)
    door.let_pass(1)
    assert [door.wait("ann") > 0 for _ in range(5)] == [False, True, True, True, True]


def test_one_address_cannot_go_through_all_users() -> None:
    door = Door()
    for number in range(FREE_OF_ADDRESS):
        door.fail(1, f"user {number}")
    assert door.wait("another") > 0
    assert door.wait("another", "192.0.2.2") == 0


def test_many_addresses_cannot_go_through_all_passwords_of_one_user() -> None:
    door = Door()
    for number in range(FREE_OF_USER):
        door.fail(1, "ann", f"192.0.2.{number}")
    assert door.wait("ann", "192.0.2.99") > 0


def test_who_logged_in_from_here_before_is_not_kept_out_by_others() -> None:
    door = Door()
    door.attempts.succeeded("admin", "198.51.100.1")
    door.fail(1_000, "admin", "192.0.2.1")
    for number in range(100):
        door.fail(1, f"user {number}", "198.51.100.1")
    assert door.wait("admin", "198.51.100.1") == 0
    assert door.wait("admin", "192.0.2.1") > 0
    door.fail(FREE_OF_USER, "admin", "198.51.100.1")
    assert door.wait("admin", "198.51.100.1") > 0


def test_a_success_makes_good_what_one_did_wrong_before_and_nothing_for_an_address() -> None:
    door = Door()
    door.fail(FREE_OF_USER - 1)
    door.attempts.succeeded("ann", "192.0.2.1")
    door.fail(FREE_OF_USER - 1)
    assert door.wait("ann") == 0
    for number in range(FREE_OF_ADDRESS):
        door.fail(1, f"user {number}")
        door.attempts.succeeded("ann", "192.0.2.1")
    assert door.wait("another") > 0


def test_failures_are_forgotten_after_a_while_and_never_fill_the_memory() -> None:
    door = Door()
    door.fail(FREE_OF_USER + 10)
    door.let_pass(FORGOTTEN_SECONDS + 1)
    door.fail(1)
    assert door.wait("ann") == 0
    for number in range(KEPT + 10):
        door.fail(1, f"user {number}", f"address {number}")
        door.attempts.succeeded(f"user {number}", f"address {number}")
    assert len(door.attempts._failures) <= KEPT
    assert len(door.attempts._known) <= KEPT
