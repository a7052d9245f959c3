"""Risk: the package that shows how to write a step type does not install, fails its own tests, or is not found once it is installed."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.source_tree import ROOT
from tests.cli.calling import Caller

PACKAGE: Final = ROOT / "examples" / "step_type"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a copy of the package, and beside it what was installed from it: nothing is fetched, nothing of it was there before."""
    place = tmp_path_factory.mktemp("package")
    shutil.copytree(PACKAGE, place / "step_type", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--no-cache-dir", "--quiet", "--disable-pip-version-check"]
    installed = _run(
        [sys.executable, "-m", "pip", "install", *options, "--target", str(place / "installed"), str(place / "step_type")], place
    )
    assert installed.returncode == 0, installed.stderr
    assert (place / "installed" / "stepswitch_tl1" / "py.typed").exists()
    return place


@contextmanager
def network_element(place: Path) -> Iterator[int]:
    """Give the port of the network element that comes with the package."""
    words = [sys.executable, str(place / "step_type" / "tests" / "network_element.py")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as element:
        try:
            assert element.stdout is not None
            yield int(element.stdout.readline())
        finally:
            element.kill()


@pytest.fixture
def stepswitch(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Caller:
    """Return the command line of a machine on which the package is installed."""
    monkeypatch.syspath_prepend(str(place / "installed"))
    return Caller(capsys)


def _run(words: list[str], place: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(place / "installed"),
        "TMPDIR": str(place),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    return subprocess.run(words, cwd=place, env=environment, capture_output=True, text=True, timeout=100, check=False)


def test_its_own_tests_pass(place: Path) -> None:
    ran = _run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "pytest_asyncio.plugin", "step_type"], place)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " passed" in ran.stdout


def test_once_installed_it_is_told_as_any_other(stepswitch: Caller) -> None:
    (told,) = json.loads(stepswitch("step-types", "TL1", "--json").out)
    assert (told["name"], told["deviceInputs"]) == ("TL1", ["hostNameOrIP", "port"])
    assert {each["name"]: each["default"] for each in told["inputs"]}["port"] == 3083


def test_its_workflow_is_valid_where_it_is_installed_and_nowhere_else(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("validate", "--strict", place / "step_type" / "workflow.json")
    without = Caller(capsys)(*words)
    assert (without.exit, "UNKNOWN_STEP_TYPE" in without.out) == (1, True)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(place / "installed"))
        assert Caller(capsys)(*words).out.endswith("workflow.json: valid\n")


def test_its_workflow_runs(place: Path, stepswitch: Caller) -> None:
    with network_element(place) as port:
        (place / "password").write_text("sesame-4711")
        inputs = ("host=127.0.0.1", f"port={port}", "user=noc", f"password=@{place / 'password'}")
        ran = stepswitch("run", place / "step_type" / "workflow.json", *(word for each in inputs for word in ("--input", each)), "--json")
    assert ran.exit == 0, ran.out + ran.err
    alarms = json.loads(ran.out)["outputs"]["alarms"].splitlines()
    assert [each.split(",")[0] for each in alarms] == ['"SLOT-1', '"SLOT-2', '"SLOT-3', '"SLOT-9']
