"""A command line to call, in an environment without settings."""

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from stepswitch.bootstrap import server
from stepswitch.telemetry import logging as own_logging
from tests.cli.calling import Caller
from tests.cli.distant import Distant, distant_office


@pytest.fixture(autouse=True)
def no_settings_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("STEPSWITCH_")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def logging_of_this_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Log what is an error to what is this test's own output at that moment."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
    for module in (server, own_logging):
        monkeypatch.setattr(module, "set_up_logging", lambda *_: None)


@pytest.fixture(autouse=True)
def logins_of_this_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where logins are kept: nobody's own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "stepswitch" / "logins.json"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory that nobody has used yet."""
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def distant(tmp_path: Path) -> Iterator[Distant]:
    """A service somewhere, at which nobody is logged in yet."""
    with distant_office(tmp_path / "data") as office:
        yield office


@pytest.fixture
def desk(distant: Distant, monkeypatch: pytest.MonkeyPatch) -> Distant:
    """A service that the variables of the environment name, with the token of an administrator."""
    monkeypatch.setenv("STEPSWITCH_URL", distant.url)
    monkeypatch.setenv("STEPSWITCH_TOKEN", distant.token)
    return distant


@pytest.fixture
def stepswitch(capsys: pytest.CaptureFixture[str]) -> Caller:
    return Caller(capsys)
