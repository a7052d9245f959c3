"""Risk: the first lines of Python that somebody copies do not run, or the page names a method that there is not."""

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from stepswitch import client
from tests.api.real import real_service
from tests.architecture.source_tree import ROOT

PAGE: Final = ROOT / "docs" / "how-to" / "python-client.md"
EXAMPLES: Final = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


async def test_the_first_example_runs(tmp_path: Path) -> None:
    async with real_service(tmp_path) as real:
        script = EXAMPLES[0].replace("http://127.0.0.1:8080", str(real.client.base_url).rstrip("/"))
        environment = {**os.environ, "PASSWORD": "correct horse"}
        command = (sys.executable, "-c", script)
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment
        )
        out, err = await asyncio.wait_for(process.communicate(), 60)
    assert (out.decode().strip(), err.decode()) == ("COMPLETED Hello, world", "")


def test_the_other_examples_use_what_there_is() -> None:
    """Their names are looked at here; what they do is tested with the client."""
    for example in EXAMPLES[1:]:
        compile(example, "example", "exec", flags=0x2000)  # PyCF_ALLOW_TOP_LEVEL_AWAIT
    service: Any = client.StepswitchClient("http://127.0.0.1:1")
    used = re.findall(r"client\.(workflows|executions|host_keys)\.(\w+)\(", "".join(EXAMPLES))
    assert len(used) > 5
    assert not [(part, method) for part, method in used if not callable(getattr(getattr(service, part), method, None))]


@pytest.mark.parametrize("part", ["workflows", "executions", "host_keys", "users", "roles"])
def test_the_table_has_every_method(part: str) -> None:
    found = re.search(rf"^\| `client\.{part}` \| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    service: Any = client.StepswitchClient("http://127.0.0.1:1")
    methods = {name for name in dir(getattr(service, part)) if not name.startswith("_")}
    assert set(re.findall(r"`(\w+)`", found[1])) == methods


def test_every_error_is_named() -> None:
    errors = {name for name in client.__all__ if name.endswith("Error") and name not in ("ClientError", "NoAnswerError", "StepError")}
    assert not {name for name in errors if f"`{name}`" not in PAGE.read_text(encoding="utf-8")}
