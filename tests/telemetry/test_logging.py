"""Risk: the service's own log shows a secret that a local variable held when something went wrong."""

import asyncio
import json
import logging
from typing import Literal

import pytest
import structlog

from stepswitch.telemetry.logging import set_up_logging


def fail_with_a_secret() -> None:
    secret = "planted" + "-secret"
    raise ZeroDivisionError(f"{len(secret)} characters")


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_trace_shows_no_local_variables(form: Literal["text", "json"], capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("debug", form)
    try:
        fail_with_a_secret()
    except ZeroDivisionError:
        structlog.get_logger("test").exception("it failed")
    logged = capsys.readouterr().err
    assert "ZeroDivisionError" in logged
    assert "14 characters" in logged
    assert "planted-secret" not in logged


def test_json_is_one_object_a_line_and_the_level_holds(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("warning", "json")
    log = structlog.get_logger("test")
    log.info("not said")
    log.warning("said", number=1)
    (line,) = capsys.readouterr().err.splitlines()
    said = json.loads(line)
    assert (said["event"], said["level"], said["number"]) == ("said", "warning", 1)


def test_a_request_that_a_stop_cuts_is_a_sentence_and_no_trace(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("warning", "text")
    try:
        raise asyncio.CancelledError("Task cancelled, timeout graceful shutdown exceeded")  # noqa: TRY301 # as the server has it
    except asyncio.CancelledError as cut:
        logging.getLogger("uvicorn.error").log(logging.ERROR, "Exception in ASGI application\n", exc_info=cut)
    try:
        fail_with_a_secret()
    except ZeroDivisionError as fault:
        logging.getLogger("uvicorn.error").log(logging.ERROR, "Exception in ASGI application\n", exc_info=fault)
    logged = capsys.readouterr().err
    assert "a request was cut by the stop of the service" in logged
    assert "CancelledError" not in logged
    assert logged.count("Traceback") == logged.count("ZeroDivisionError: ") == 1


@pytest.mark.parametrize(
    "said", ["\x1b[2J", "\x1b]0;title\x07", "a\nb", "a\r\nb", "\x9b2J", "a\u2028b", "\u202eturned", "\x1b[2J\n2026 [info] forged"]
)
def test_what_others_say_writes_no_line_of_its_own_and_acts_on_no_terminal(said: str, capfd: pytest.CaptureFixture[str]) -> None:
    for form in ("text", "json"):
        set_up_logging("info", form)
        structlog.get_logger("stepswitch").warning("somebody said something", what=said, several=[said])
        lines = capfd.readouterr().err.splitlines()
        assert len(lines) == 1, lines
        assert lines[0].isprintable(), ascii(lines[0])


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_trace_with_what_others_said_acts_on_no_terminal(form: Literal["text", "json"], capfd: pytest.CaptureFixture[str]) -> None:
    set_up_logging("info", form)
    try:
        raise ValueError("\x1b[2J\x9b2J\u202eturned")  # noqa: TRY301 # as a step type does with what a device said
    except ValueError:
        structlog.get_logger("stepswitch").exception("it failed")
    lines = capfd.readouterr().err.splitlines()
    assert "turned" in lines[-1]
    assert all(each.isprintable() for each in lines), ascii(lines)
