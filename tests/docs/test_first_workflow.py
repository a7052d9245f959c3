"""Risk: the first thing that somebody types from the README does not work."""

import asyncio
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.api.real import real_service
from tests.architecture.source_tree import ROOT

SECTION: Final = re.compile(r"^## A first workflow\n(.*?)^## ", re.MULTILINE | re.DOTALL)
COMMANDS: Final = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here; install it (Debian: apt-get install curl)")
async def test_the_first_workflow_of_the_readme_runs(tmp_path: Path) -> None:
    section = SECTION.search((ROOT / "README.md").read_text(encoding="utf-8"))
    assert section
    with_curl, with_the_command_line = COMMANDS.findall(section[1])
    async with real_service(tmp_path / "data") as real:
        address = str(real.client.base_url).rstrip("/")
        script = (with_curl + with_the_command_line).replace(".venv/bin/stepswitch", f"{sys.executable} -m stepswitch")
        script = script.replace("http://127.0.0.1:8080", address)
        process = await asyncio.create_subprocess_exec(
            *("bash", "-euc", script),
            cwd=tmp_path,
            env={**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "config")},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(b"correct horse\ncorrect horse\n"), 100)
    assert process.returncode == 0, err.decode()
    told, shown = out.decode().split("\n{", 1)
    assert "event: execution" in told
    assert '"status": "COMPLETED"' in shown
    assert '"greeting": "Hello, world"' in shown
    assert shown.splitlines()[-1] == "output greeting = Hello, world"
