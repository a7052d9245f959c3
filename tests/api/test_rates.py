"""Risk: one program that asks without end keeps everybody else waiting, or is let off by logging in twice."""

from pathlib import Path

import httpx
import pytest

from stepswitch.api.operation import OWN_ROOT
from stepswitch.api.rates import KEPT, Rates
from stepswitch.bootstrap.server import application
from stepswitch.domain.errors import TooManyRequestsError
from tests.access.account_store import HandClock
from tests.api.house import PLAIN, codes
from tests.client.office import token_of
from tests.engine.scripted import open_house


def taken(rates: Rates, user: str, tries: int) -> int:
    """Return how many of so many requests are let pass."""
    passed = 0
    for _ in range(tries):
        try:
            rates.take(user)
        except TooManyRequestsError:
            pass
        else:
            passed += 1
    return passed


def test_so_many_a_second_twice_as_many_at_once_and_each_user_for_himself() -> None:
    clock = HandClock()
    rates = Rates(clock, 5)
    assert taken(rates, "ann", 50) == 10
    assert taken(rates, "ben", 50) == 10
    clock.time += 1000
    assert taken(rates, "ann", 50) == 5
    clock.time += 3_600_000
    assert taken(rates, "ann", 50) == 10
    assert taken(Rates(clock, None), "ann", 10_000) == 10_000


def test_less_than_one_a_second_is_possible_and_the_wait_is_told() -> None:
    clock = HandClock()
    rates = Rates(clock, 0.1)
    assert taken(rates, "ann", 3) == 1
    with pytest.raises(TooManyRequestsError) as refused:
        rates.take("ann")
    assert 10 <= refused.value.retry_after <= 11
    clock.time += 10_000
    assert taken(rates, "ann", 3) == 1


def test_what_is_kept_of_users_has_a_bound() -> None:
    rates = Rates(HandClock(), 1)
    for number in range(KEPT + 100):
        rates.take(f"{number}")
    assert len(rates._left) == KEPT


async def test_who_asks_too_often_is_429_with_every_login_of_his_and_others_are_not(tmp_path: Path) -> None:
    async with open_house(tmp_path, start=False, requests_per_second=2) as house:
        transport = httpx.ASGITransport(application(house.service))
        async with httpx.AsyncClient(transport=transport, base_url="http://house") as client:
            tokens = [await token_of(house, "ann", "Operations"), await token_of(house, "ann", lasts=10**8)]
            answers = [await client.get(f"{PLAIN}/workflow", headers={"x-hm-authorization": tokens[number % 2]}) for number in range(6)]
            assert [each.status_code for each in answers] == [200] * 4 + [429] * 2
            assert codes(answers[-1]) == ["TOO_MANY_REQUESTS"]
            assert answers[-1].headers["retry-after"] == "1"
            other = {"x-hm-authorization": await token_of(house, "ben", "Operations")}
            assert (await client.get(f"{PLAIN}/workflow", headers=other)).status_code == 200
            assert (await client.get(f"{OWN_ROOT}/health")).status_code == 200
