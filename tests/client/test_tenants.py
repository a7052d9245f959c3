"""Risk: a program takes a tenant without a limit for one that has used it up, or that of somebody else for its own."""

from pathlib import Path

import pytest

from stepswitch.client import Amount, NotFoundError
from tests.client.office import open_office


async def test_what_tenants_use_comes_with_its_limits(tmp_path: Path) -> None:
    async with open_office(tmp_path / "data", tenant_limits={"default": {"stored_executions": 0}}) as office:
        tenants = office.client.tenants
        (found,) = await tenants.usage()
        assert (found.tenant_id, found.stored_executions, found.queued_executions) == ("default", Amount(0, 0), Amount(0, None))
        assert (found.executions_at_once, found.file_bytes) == (Amount(0, None), Amount(0, None))
        assert list(await tenants.usage("default")) == [found]
        with pytest.raises(NotFoundError, match="tenant nowhere"):
            await tenants.usage("nowhere")
