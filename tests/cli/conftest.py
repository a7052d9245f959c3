"""A command line to call, in an environment without settings."""

import logging
import os
import sys
from collections.abc import Iterator

import pytest
import structlog

from stepswitch.bootstrap import server
from stepswitch.telemetry import logging as own_logging
from tests.cli.calling import Caller


@pytest.fixture(autouse=True)
def no_settings_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("STEPSWITCH_")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def logging_of_this_test(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let no logger be kept that writes to this test's own output: a later test would find it closed."""
    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    for module in (server, own_logging):
        monkeypatch.setattr(module, "set_up_logging", lambda *_: None)
    yield
    structlog.configure(**before)


@pytest.fixture
def stepswitch(capsys: pytest.CaptureFixture[str]) -> Caller:
    return Caller(capsys)
