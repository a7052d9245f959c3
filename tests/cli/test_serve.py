"""Risk: two services share a data directory, a password is lost at the first start, or a start that fails shows a trace."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from stepswitch.bootstrap.server import HttpServer, serve
from stepswitch.config.settings import Settings
from stepswitch.domain.errors import SettingsError
from tests.cli.calling import Caller


@contextmanager
def _serving(*arguments: object, **variables: str) -> Iterator[tuple["subprocess.Popen[str]", str, str]]:
    """Give a service that listens: its process, its address, and what it said until then."""
    command = [sys.executable, "-m", "stepswitch", "serve", "--port", "0", *map(str, arguments)]
    environment = {**os.environ, **variables}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment) as process:
        try:
            said = list(_until(process, "url="))
            found = re.search(r"url=(\S+)", said[-1])
            assert found, "".join(said)
            yield process, found[1], "".join(said)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)


def _until(process: "subprocess.Popen[str]", text: str) -> Iterator[str]:
    assert process.stdout is not None
    for line in process.stdout:
        yield line
        if text in line:
            return


def _log_in(url: str, password: str) -> int:
    return httpx.post(f"{url}/hybridity/api/sessions", json={"username": "admin", "password": password}, trust_env=False).status_code


def test_the_first_start_shows_a_password_once_and_it_is_good(tmp_path: Path) -> None:
    with _serving("--data-dir", tmp_path / "data") as (_, url, said):
        found = re.search(r"with the password (\S+)", said)
        assert found, said
        assert (_log_in(url, found[1]), _log_in(url, "something-else")) == (200, 401)
    with _serving("--data-dir", tmp_path / "data") as (_, url, said):
        assert "password" not in said
        assert _log_in(url, found[1]) == 200


def test_the_first_start_takes_the_password_of_the_environment(tmp_path: Path) -> None:
    with _serving("--data-dir", tmp_path / "data", STEPSWITCH_ADMIN_PASSWORD="chosen-by-me") as (_, url, said):
        assert "chosen-by-me" not in said
        assert _log_in(url, "chosen-by-me") == 200


def test_a_data_directory_has_one_service(stepswitch: Caller, tmp_path: Path) -> None:
    with _serving("--data-dir", tmp_path / "data") as (process, _, _):
        called = stepswitch("serve", "--port", 0, "--data-dir", tmp_path / "data")
        assert called.exit == 2
        assert f"is in use by another service (process {process.pid})" in called.err
        # What only looks at the directory, or changes which keys are trusted, works beside it.
        assert stepswitch("host-key", "list", "--data-dir", tmp_path / "data").exit == 0


def _refused(stepswitch: Caller, arguments: Sequence[object]) -> str:
    called = stepswitch("serve", *arguments)
    assert called.exit == 2
    assert "Traceback" not in called.err
    return called.err


def test_a_port_in_use_is_a_sentence(stepswitch: Caller, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"cannot listen on 127.0.0.1 port {port}" in _refused(stepswitch, ["--port", port, "--data-dir", tmp_path / "data"])
    with _serving("--data-dir", tmp_path / "data") as (_, url, said):  # the start that failed has made no account of its own
        found = re.search(r"with the password (\S+)", said)
        assert found, said
        assert _log_in(url, found[1]) == 200


def test_a_password_is_shown_before_anything_else_can_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fail(_: object) -> None:
        raise SettingsError("no more of it")

    monkeypatch.setattr(HttpServer, "start", fail)
    with pytest.raises(SettingsError, match="no more of it"):
        serve(Settings.model_validate({"data_dir": tmp_path / "data", "port": 0}))
    assert "with the password" in capsys.readouterr().err


def test_a_service_whose_log_nobody_reads_any_more_stops_when_it_is_told_to(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "stepswitch", "serve", "--port", "0", "--data-dir", str(tmp_path / "data")]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=buffered) as process:
        assert process.stderr is not None
        assert any("url=" in line for line in process.stderr)
        process.stderr.close()
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(30) == 0
        finally:
            process.kill()


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_data_directory_that_cannot_be_is_a_sentence(stepswitch: Caller, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    assert f"the data directory {tmp_path / place} cannot be made" in _refused(stepswitch, ["--port", 0, "--data-dir", tmp_path / place])
