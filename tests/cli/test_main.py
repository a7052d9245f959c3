"""Risk: a mistake at the prompt is answered with a trace, or help keeps people waiting."""

import subprocess
import sys

import pytest

from stepswitch.cli import validate
from tests.cli.calling import Caller


def test_help_names_every_command(stepswitch: Caller) -> None:
    called = stepswitch("--help")
    assert called.exit == 0
    assert all(command in called.out for command in ("serve", "validate", "run", "demo", "host-key"))


def test_help_loads_nothing_heavy() -> None:
    look = "import sys, stepswitch.cli.main; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True, timeout=60).stdout.split()
    heavy = {"asyncssh", "fastapi", "sqlalchemy", "uvicorn", "pydantic", "alembic", "httpx", "structlog"}
    assert not heavy & set(loaded)


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["run"], ["validate"], ["serve", "--port", "many"], ["host-key", "trust", "h", "nonsense"]]
)
def test_wrong_usage_is_answered_with_a_sentence(stepswitch: Caller, arguments: list[str]) -> None:
    called = stepswitch(*arguments)
    assert called.exit == 2
    assert "Traceback" not in called.out + called.err
    assert called.err


def test_the_version_is_told(stepswitch: Caller) -> None:
    assert stepswitch("--version").out.startswith("stepswitch 0.")


def test_a_bug_is_one_sentence_unless_somebody_wants_to_see_it(stepswitch: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("deep inside")

    monkeypatch.setattr(validate, "look_at", broken)
    called = stepswitch("validate", "file.json")
    assert called.exit == 1
    assert called.err.startswith("stepswitch failed by a fault of its own: ZeroDivisionError: deep inside\n")
    assert "Traceback" not in called.err
    monkeypatch.setenv("STEPSWITCH_LOG_LEVEL", "debug")
    assert "Traceback" in stepswitch("validate", "file.json").err
