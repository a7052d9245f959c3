"""Risk: a mistake at the prompt is answered with a trace, or help keeps people waiting."""

import json
import subprocess
import sys

import pytest

from stepswitch.cli import validate
from tests.cli.calling import Caller
from tests.cli.distant import Distant


def test_help_names_every_command(stepswitch: Caller) -> None:
    called = stepswitch("--help")
    assert called.exit == 0
    assert all(command in called.out for command in ("serve", "validate", "run", "demo", "host-key", "login", "workflow"))


def test_help_shows_the_defaults(stepswitch: Caller) -> None:
    assert "[default: 127.0.0.1]" in stepswitch("serve", "--help").out


def test_the_health_of_a_service_is_told(stepswitch: Caller, distant: Distant) -> None:
    called = stepswitch("health", "--url", distant.url)
    assert (called.exit, called.out.split()[:2]) == (0, ["version", "0.1.0"])
    assert json.loads(stepswitch("health", "--url", distant.url, "--json").out)["status"] == "ok"
    assert stepswitch("health", "--url", "http://127.0.0.1:1").exit == 5


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
