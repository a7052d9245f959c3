"""Risk: an administrator at a terminal does not see how near a tenant is to its limits."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.calling import Caller
from tests.cli.distant import Distant, distant_office


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Distant]:
    with distant_office(tmp_path / "data", tenant_stored_executions=5, tenant_file_bytes=0) as found:
        monkeypatch.setenv("STEPSWITCH_URL", found.url)
        monkeypatch.setenv("STEPSWITCH_TOKEN", found.token)
        yield found


def test_what_tenants_use_is_shown_beside_what_they_may(stepswitch: Caller, desk: Distant) -> None:
    shown = stepswitch("tenant", "usage")
    assert (shown.exit, shown.out) == (0, "default\t0\t0\t0 of 5\t0 of 0\n")
    assert stepswitch("tenant", "usage", "default").out == shown.out
    (told,) = json.loads(stepswitch("tenant", "usage", "--json").out)
    assert (told["tenantId"], told["storedExecutions"], told["queuedExecutions"]) == ("default", {"used": 0, "limit": 5}, {"used": 0})
    missing = stepswitch("tenant", "usage", "nowhere")
    assert (missing.exit != 0, missing.out) == (True, "")
    assert "no tenant nowhere" in missing.err
