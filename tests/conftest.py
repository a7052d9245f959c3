"""What holds for every test. With STEPSWITCH_REQUIRE_SERVERS=1 (set by .ci/run) a test that skips itself has failed."""

import os
from collections.abc import Generator
from typing import TypeVar

import pytest
from hypothesis import settings

settings.register_profile("patient", deadline=None)  # how long an example takes is no property of the code on a machine that others use too
settings.load_profile("patient")

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)
NOTHING_IS_SKIPPED = os.environ.get("STEPSWITCH_REQUIRE_SERVERS") == "1"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _refuse_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _refuse_skip((yield))


def _refuse_skip(report: Report) -> Report:
    if NOTHING_IS_SKIPPED and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"Nothing may be skipped here: {report.longrepr}"
    return report
