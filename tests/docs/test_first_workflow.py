"""Risk: the first thing that somebody types from the README does not work."""

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import Final

from tests.api.real import real_service
from tests.architecture.source_tree import ROOT

EXAMPLE: Final = re.compile(r"^## A first workflow\n.*?^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


async def test_the_first_workflow_of_the_readme_runs(tmp_path: Path) -> None:
    found = EXAMPLE.search((ROOT / "README.md").read_text(encoding="utf-8"))
    assert found
    async with real_service(tmp_path / "data") as real:
        address = str(real.client.base_url).rstrip("/")
        script = found[1].replace(".venv/bin/stepswitch", f"{sys.executable} -m stepswitch").replace("http://127.0.0.1:8080", address)
        process = await asyncio.create_subprocess_exec(
            *("bash", "-euc", script),
            cwd=tmp_path,
            env={**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "config")},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(b"correct horse\n"), 100)
    assert process.returncode == 0, err.decode()
    assert out.decode().splitlines()[-1] == "output greeting = Hello, world"
