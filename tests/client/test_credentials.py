"""Risk: a program makes, changes or removes another credential than it means, or is shown a value."""

import pytest

from stepswitch.client import InvalidRequestError, NotFoundError, PreconditionFailedError
from tests.client.office import Office

SOURCE = {"kind": "stored", "value": "a pigeon on the roof"}


async def test_credentials_are_made_read_changed_checked_and_removed(office: Office) -> None:
    credentials = office.client.credentials
    made = await credentials.create("core routers", SOURCE, roles=["*"], workflows=["core *"], devices=["192.0.2.0/24:22"])
    assert (made.source, made.devices, made.without_device) == ({"kind": "stored"}, ("192.0.2.0/24:22",), False)
    assert "pigeon" not in repr(made)
    read = await credentials.get("core routers")
    assert read == made
    changed = await credentials.change("core routers", devices=["core-7"], without_device=True, if_match=read.etag)
    assert (changed.devices, changed.without_device, changed.workflows) == (("core-7",), True, ("core *",))
    with pytest.raises(PreconditionFailedError):
        await credentials.delete("core routers", if_match=read.etag)
    assert [each.name for each in await credentials.list()] == ["core routers"]
    found = await credentials.check("core routers")
    assert (found.can_be_opened, found.problem) == (True, None)
    await credentials.delete("core routers", if_match=changed.etag)
    with pytest.raises(NotFoundError):
        await credentials.get("core routers")


async def test_what_cannot_be_opened_is_said_with_the_reason(office: Office) -> None:
    credentials = office.client.credentials
    source = {"kind": "environment", "variable": "STEPSWITCH_CREDENTIAL_OF_NOBODY"}
    await credentials.create("core", source, roles=["*"], workflows=["*"], devices=["*"])
    found = await credentials.check("core")
    assert not found.can_be_opened
    assert "STEPSWITCH_CREDENTIAL_OF_NOBODY is not set" in (found.problem or "")
    with pytest.raises(InvalidRequestError) as refused:
        await credentials.create("core", SOURCE, roles=[], workflows=["*"], devices=["192.0.2.*"])
    assert len(refused.value.faults) == 2
