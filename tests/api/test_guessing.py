"""Risk: whoever guesses passwords over the API is not slowed down, or is told so in another form than every other refusal."""

from pathlib import Path

import pytest

from stepswitch.access.attempts import FREE_OF_USER
from stepswitch.domain.errors import NotAuthenticatedError, TooManyAttemptsError
from tests.api.house import codes
from tests.api.steered import open_desk
from tests.engine.scripted import open_house


async def test_too_many_failed_logins_are_429_with_the_time_to_wait_and_open_sessions_go_on(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        guess = {"username": "admin", "password": "wrong"}
        answers = [await desk.client.post("/hybridity/api/sessions", json=guess) for _ in range(6)]
        assert [each.status_code for each in answers] == [401] * 5 + [429]
        assert codes(answers[-1]) == ["TOO_MANY_ATTEMPTS"]
        assert answers[-1].headers["Retry-After"] == "2"
        assert (await desk.client.get("/stepswitch/api/v1/users")).status_code == 200


async def test_after_a_start_guesses_of_others_do_not_keep_out_who_has_logged_in_from_there(tmp_path: Path) -> None:
    async with open_house(tmp_path, start=False) as house:
        await house.service.accounts.login("admin", "long enough", "2001:db8::1")
    async with open_house(tmp_path, start=False) as house:
        for number in range(FREE_OF_USER):
            with pytest.raises(NotAuthenticatedError):
                await house.service.accounts.login("admin", "wrong", f"192.0.2.{number}")
        with pytest.raises(TooManyAttemptsError):
            await house.service.accounts.login("admin", "long enough", "2001:db8:1::1")
        await house.service.accounts.login("admin", "long enough", "2001:db8::2")  # of the same /64
