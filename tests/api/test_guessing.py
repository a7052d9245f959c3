"""Risk: whoever guesses passwords over the API is not slowed down, or is told so in another form than every other refusal."""

from pathlib import Path

from tests.api.house import codes
from tests.api.steered import open_desk


async def test_too_many_failed_logins_are_429_with_the_time_to_wait_and_open_sessions_go_on(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        guess = {"username": "admin", "password": "wrong"}
        answers = [await desk.client.post("/hybridity/api/sessions", json=guess) for _ in range(6)]
        assert [each.status_code for each in answers] == [401] * 5 + [429]
        assert codes(answers[-1]) == ["TOO_MANY_ATTEMPTS"]
        assert answers[-1].headers["Retry-After"] == "2"
        assert (await desk.client.get("/stepswitch/api/v1/users")).status_code == 200
