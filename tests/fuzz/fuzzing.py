"""Lets Schemathesis loose on a running service, in a process of its own. Used by the tests here."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from stepswitch.api.operations import served
from tests.api.real import OWN, Real
from tests.architecture.source_tree import ROOT

PASSWORD: Final = "correct horse"
_HERE: Final = Path(__file__).parent
OTHER: Final = "elsewhere"
"""A second administrator, and the tenant that he is alone in: who must not see what the first one makes."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    code: int
    output: str
    """What a person reads: failures with the seed and with a curl command for each."""
    answers: dict[str, dict[str, int]]
    """How often which operation was answered with which status and error code."""

    def never_done(self) -> set[str]:
        """Return the operations that were never answered with success, whatever their root."""
        done = {name.removesuffix("OfTenant") for name, answers in self.answers.items() if any(each.startswith("2") for each in answers)}
        return {operation.id for _, operation, _ in served()} - done


@dataclass(frozen=True, slots=True)
class Budget:
    """How much is tried."""

    examples: int
    """Requests that are made up for each operation, beside those that try each value of each field."""
    walks: int
    """Walks along the links, of twelve requests at most."""
    seconds: float
    """How long it may take."""
    is_small: bool = True
    """Whether long bodies are left to others: see `small.toml`."""

    def configuration(self) -> str:
        """Return all that Schemathesis is told."""
        names = ("schemathesis.toml", *(["small.toml"] if self.is_small else []))
        amounts = f"""
[phases.fuzzing.generation]
max-examples = {self.examples}

[phases.stateful.generation]
max-examples = {self.walks}
mode = "positive"
"""
        return "".join(_HERE.joinpath(name).read_text(encoding="utf-8") for name in names) + amounts


async def fuzz(real: Real, folder: Path, seed: int, budget: Budget, *options: str) -> Outcome:
    """Hold a service against its own description."""
    users, counts, output = folder / "users.json", folder / "counts.json", folder / "output.txt"
    users.write_text(json.dumps(await _users(real)), encoding="utf-8")
    configuration = folder / "schemathesis.toml"
    configuration.write_text(budget.configuration(), encoding="utf-8")
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(configuration), "run", f"{real.server.url}/openapi.json",
        "--seed", str(seed), "--no-color", "--generation-database", "none", *options,
    ]  # fmt: skip
    environment = {
        **os.environ, "FUZZ_URL": real.server.url, "FUZZ_PASSWORD": PASSWORD, "FUZZ_SEED": str(seed), "FUZZ_USERS": str(users),
        "FUZZ_COUNTS": str(counts), "FUZZ_WALKS": str(budget.walks), "PYTHONHASHSEED": "0", "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    with output.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=folder, env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=sink, stderr=asyncio.subprocess.STDOUT
        )
    try:
        async with asyncio.timeout(budget.seconds):
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    answers = json.loads(counts.read_text(encoding="utf-8")) if counts.exists() else {}
    return Outcome(process.returncode or 0, output.read_text(encoding="utf-8", errors="replace"), answers)


async def _users(real: Real) -> dict[str, Any]:
    """Return how the two administrators log in, as Web Fuzzing Commons has it; the second one is made, and a third one for `hooks`."""
    for name, tenant in ((OTHER, OTHER), ("supplier", "default")):
        order = {"username": name, "tenantId": tenant, "password": PASSWORD, "roles": ["System Administrator"]}
        made = await real.client.post(f"{OWN}/users", json=order)
        assert made.status_code == 200, made.text
    return {"auth": [_login(name) for name in ("admin", OTHER)]}


def _login(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "loginEndpointAuth": {
            "endpoint": "/hybridity/api/sessions",
            "verb": "POST",
            "contentType": "application/json",
            "payloadUserPwd": {"username": name, "password": PASSWORD, "usernameField": "username", "passwordField": "password"},
            "token": {
                "extractFrom": "header",
                "extractSelector": "x-hm-authorization",
                "sendIn": "header",
                "sendName": "x-hm-authorization",
            },
        },
    }
