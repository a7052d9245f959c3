"""What holds for every test. With STEPSWITCH_REQUIRE_SERVERS=1 (set by .ci/run) a test that skips itself has failed."""

import os
import shutil
import signal
from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
import structlog
from argon2 import PasswordHasher
from hypothesis import settings

settings.register_profile("patient", deadline=None)  # how long an example takes is no property of the code on a machine that others use too
settings.load_profile("patient")

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)
LONGEST = (
    "fuzz/test_api.py",
    "chaos/test_kill.py",
    "hunt/test_planted_secret.py",
    "hunt/test_planted_on_the_command_line.py",
    "simulation/test_schedules.py",
    "chaos/test_follow.py",
    "chaos/test_backup.py",
    "chaos/test_stop_under_load.py",
    "chaos/test_killing_step.py",
    "chaos/test_stop.py",
    "api/test_tenants.py",
)
"""Begun first, so that in the end nobody waits for one of them alone."""
NOTHING_IS_SKIPPED = os.environ.get("STEPSWITCH_REQUIRE_SERVERS") == "1"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes longest, and leave out what needs a cluster, unless somebody has named one."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get("/".join(item.path.parts[-2:]), len(places)))
    if "STEPSWITCH_TEST_KUBECONFIG" not in os.environ:
        left_out = [item for item in items if item.get_closest_marker("cluster") is not None]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


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


@pytest.fixture(scope="session", autouse=True)
def _keep_no_logger() -> Generator[None]:
    """Let no module keep the logger that a test has set up: what a later test wants to see logged would still go where that one said."""
    configure = structlog.configure

    def configure_for_now(**options: Any) -> None:
        configure(**options | {"cache_logger_on_first_use": False})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(structlog, "configure", configure_for_now)
        yield


@pytest.fixture(autouse=True)
def _logging_of_one_test() -> Generator[None]:
    """Set what is logged, and where, back to what it was before the test."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture(autouse=True)
def _interrupts_stay() -> Generator[None]:
    """Have interrupts obeyed, and fail the test that leaves them ignored or blocked: programs that are started in this process would ignore them, too."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests in the background has them ignored
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))
    yield
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN, "SIGINT is ignored after this test"
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ()), "SIGINT is blocked after this test"


@pytest.fixture(scope="session", autouse=True)
def _open_services_quickly(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    """Let every service that opens in this process copy a new database instead of making it, and hash passwords cheaply unless told how.

    What is made and hashed in earnest has tests of its own, in `storage` and `access`.
    """
    from stepswitch.access import accounts  # noqa: PLC0415 # a test that opens none must not wait for it
    from stepswitch.bootstrap import wiring  # noqa: PLC0415
    from stepswitch.storage.data_dir import migrate  # noqa: PLC0415

    template = tmp_path_factory.mktemp("template") / "stepswitch.db"

    def copy_or_migrate(database: Path) -> None:
        if not template.exists():
            migrate(template)
        if database.exists():
            migrate(database)
        else:
            shutil.copy(template, database)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wiring, "migrate", copy_or_migrate)
        patch.setattr(accounts, "PasswordHasher", partial(PasswordHasher, time_cost=1, memory_cost=64, parallelism=1))
        yield
