"""Risk: the first thing that anybody sees of Stepswitch does not work, or goes well when something is wrong."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from stepswitch.bootstrap import installed_types
from stepswitch.demo.acts import ACTS
from stepswitch.domain.validation import check


def test_the_demo_ends_well_and_tells_what_happened() -> None:
    ran = subprocess.run([sys.executable, "-m", "stepswitch", "demo"], capture_output=True, text=True, timeout=100, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.count("   COMPLETED   ") == 3
    assert "CONNECTION_CUT" in ran.stdout
    assert "   1 × reload module 2" in ran.stdout
    assert ran.stderr == ""


def test_it_stays_up_where_that_is_wanted_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "stepswitch", "demo", "--keep", "--data-dir", str(tmp_path)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if line.startswith("   the router "):
                break
        found = re.search(r"curl -s -H 'x-hm-authorization: (\S+)' (\S+)", said)
        assert found, said
        execution = httpx.get(found[2], headers={"x-hm-authorization": found[1]}, trust_env=False)
        assert (execution.status_code, execution.json()["status"]) == (200, "COMPLETED")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
    assert (tmp_path / "stepswitch.db").exists()


def test_ctrl_c_in_the_middle_ends_it_without_a_trace() -> None:
    command = [sys.executable, "-m", "stepswitch", "demo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("2."):
                process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 1
    assert said[-1] == "Stopped before the end.\n"
    assert not [line for line in said if "Traceback" in line]


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.file)
def test_its_workflows_are_valid_without_a_warning(act: object) -> None:
    assert isinstance(act, type(ACTS[0]))
    parsed = check(act.document(), installed_types(), strict=True)
    assert (parsed.faults, parsed.warnings) == ((), ())


def test_what_is_not_as_expected_is_told() -> None:
    execution = {"status": "FAILED", "stepExecutions": [{"stepSnapshot": {"id": "ask"}}], "outputs": {"turns": 1}}
    faults = ACTS[1].faults(execution)
    assert [fault.split(" should")[0] for fault in faults] == ["the status", "the way", "the outputs"]
