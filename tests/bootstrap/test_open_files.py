"""Risk: the service runs out of open files, and then can neither answer nor say why."""

import resource
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from stepswitch.bootstrap.open_files import FEWEST_CONNECTIONS, room_for_connections
from stepswitch.config.settings import Settings

NEEDED = 1_000 + 2 * 100 + 100 + 100
NO_LIMIT = resource.RLIM_INFINITY


class Limits:
    """The limits of a process that is not this one."""

    def __init__(self, soft: int, hard: int) -> None:
        self.now = (soft, hard)

    def getrlimit(self, _what: int) -> tuple[int, int]:
        return self.now

    def setrlimit(self, _what: int, wanted: tuple[int, int]) -> None:
        assert wanted[0] <= wanted[1] or wanted[1] == NO_LIMIT
        self.now = wanted


@pytest.mark.parametrize(
    ("soft", "hard", "raised_to", "room"),
    [
        (NEEDED, NEEDED, NEEDED, 1_000),
        (NO_LIMIT, NO_LIMIT, NO_LIMIT, 1_000),
        (1_024, 1_048_576, NEEDED, 1_000),
        (1_024, NO_LIMIT, NEEDED, 1_000),
        (1_024, 1_024, 1_024, 624),
        (256, 900, 900, 500),
        (64, 64, 64, FEWEST_CONNECTIONS),
    ],
)
def test_the_limit_is_raised_as_far_as_it_may_be_and_fewer_connections_taken_where_it_may_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, soft: int, hard: int, raised_to: int, room: int
) -> None:
    limits = Limits(soft, hard)
    for name in ("getrlimit", "setrlimit"):
        monkeypatch.setattr(f"stepswitch.bootstrap.open_files.resource.{name}", getattr(limits, name))
    with capture_logs() as told:
        assert room_for_connections(Settings.model_validate({"data_dir": tmp_path})) == room
    assert limits.now == (raised_to, hard)
    assert [(each["log_level"], each["limit"], each["needed"]) for each in told] == (
        [] if room == 1_000 else [("warning", raised_to, NEEDED)]
    )
