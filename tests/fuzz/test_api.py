"""Risk: the service answers otherwise than its own description says: another status, form, header or kind, with 500, or to whom it must not.

Some is tried always, with the same seed; `make fuzz` tries more, with a seed that is drawn anew each time and shown. What is found comes with its
request as a curl command, and with the seed to ask the same again.
"""

import os
import re
from dataclasses import replace
from pathlib import Path
from random import SystemRandom
from typing import Any, Final

import pytest
from starlette.responses import Response

from stepswitch.api import health, host_keys, roles
from stepswitch.engine.callers import Caller
from stepswitch.engine.catalogue import Catalogue
from stepswitch.engine.records import StoredWorkflow
from stepswitch.engine.users import Users
from tests.api.real import real_service
from tests.fuzz.fuzzing import Budget, fuzz

EXAMPLES: Final = int(os.environ.get("FUZZ_EXAMPLES", "0"))
SEED: Final = int(os.environ.get("FUZZ_SEED") or (SystemRandom().randrange(10**9) if EXAMPLES else 1))
BUDGET: Final = Budget(EXAMPLES, EXAMPLES * 10, 6 * 3600, is_small=False) if EXAMPLES else Budget(7, 24, 600)
NEVER_DONE: Final = {
    *("scanHostKeys", "getVroLoginDetails"),
    *("beginProviderLogin", "finishProviderLogin", "openProviderSession", "beginDeviceLogin", "openDeviceSession"),
}
"""For which there is no success here: nobody listens at the address that is asked, no execution has used a vRO, and there is no provider of logins."""


@pytest.mark.timeout(BUDGET.seconds + 20)
async def test_every_answer_is_as_it_is_described(tmp_path: Path) -> None:
    async with real_service(tmp_path / "data") as real:
        outcome = await fuzz(real, tmp_path, SEED, BUDGET)
    print(f"FUZZ_SEED={SEED}\n{outcome.output}")  # noqa: T201 # shown where the test fails, and by `make fuzz`
    assert outcome.code == 0
    undone = outcome.never_done() - NEVER_DONE
    assert len(undone) <= (0 if EXAMPLES else 6), f"who is never answered with success has shown little: {undone}"


async def break_down(*_: Any) -> None:
    raise ValueError("a fault")


def let_everybody_read(monkeypatch: pytest.MonkeyPatch) -> None:
    get = Catalogue.get

    async def get_of_any_tenant(self: Catalogue, caller: Caller, workflow_id: str) -> StoredWorkflow:
        return await get(self, replace(caller, tenant="default"), workflow_id)

    monkeypatch.setattr(Catalogue, "get", get_of_any_tenant)


@pytest.mark.timeout(620)
async def test_faults_that_are_built_in_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    let_everybody_read(monkeypatch)
    monkeypatch.setattr(Users, "all", break_down)
    monkeypatch.setattr(roles, "encode", lambda _: b'{"name": 7}')
    monkeypatch.setattr(host_keys, "json_response", lambda _: Response(b"[]", media_type="text/plain", headers={"x-extra": "1"}))
    monkeypatch.setattr(health, "Response", lambda content, *_: Response(content, 202))
    async with real_service(tmp_path / "data") as real:
        outcome = await fuzz(real, tmp_path, 1, Budget(2, 10, 600), *CHOSEN)
    assert outcome.code == 1
    assert found(outcome.output) == {
        "GET /stepswitch/api/v1/users": {"ST101 Server error", "ST202 Schema-valid request rejected"},
        "GET /stepswitch/api/v1/health": {"ST103 Undocumented status code"},
        "GET /stepswitch/api/v1/roles": {"ST108 Response violates schema"},
        "GET /stepswitch/api/v1/host-keys": {
            "ST105 Undocumented Content-Type",
            "ST901 Custom check failed: `every_header_is_described`",
        },
        "GET /telco/api/workflows/workflow/{workflowId}": {"ST402 Object-level authorization bypass"},
    }


CHOSEN: Final = [
    f"--include-operation-id={each}" for each in ("listUsers", "health", "listRoles", "listHostKeys", "createWorkflow", "getWorkflow")
]


def found(output: str) -> dict[str, set[str]]:
    """Return what is said of each operation."""
    sections = re.split(r"^_+ ([A-Z]+ /\S+) _+$", output, flags=re.MULTILINE)[1:]
    return {
        name: set(re.findall(r"^- (ST\d+ .+)$", text, flags=re.MULTILINE)) for name, text in zip(sections[::2], sections[1::2], strict=True)
    }
