"""Risk: a program changes another entry than it means, or overwrites what somebody else has changed since."""

import pytest

from stepswitch.client import InvalidRequestError, NotFoundError, PreconditionFailedError
from tests.client.office import Office


async def test_an_inventory_is_replaced_read_and_changed_entry_by_entry(office: Office) -> None:
    inventory = office.client.inventory
    empty = await inventory.get()
    whole = await inventory.replace({"sites": {"paris": {}}}, if_match=empty.etag)
    assert (await inventory.get()).document == whole.document
    with pytest.raises(PreconditionFailedError):
        await inventory.replace({}, if_match=empty.etag)
    made = await inventory.put_entry("devices", "core / 7".replace("/", "\u2044"), {"addresses": ["192.0.2.7"], "site": "paris"})
    name = "core \u2044 7"
    assert await inventory.get_entry("devices", name) == made
    changed = await inventory.put_entry("devices", name, {"addresses": ["192.0.2.8"], "site": "paris"}, if_match=made.etag)
    with pytest.raises(PreconditionFailedError):
        await inventory.remove_entry("devices", name, if_match=made.etag)
    with pytest.raises(InvalidRequestError, match=r"site: there is no site 'paris'"):
        await inventory.remove_entry("sites", "paris")
    await inventory.remove_entry("devices", name, if_match=changed.etag)
    with pytest.raises(NotFoundError):
        await inventory.get_entry("devices", name)
    with pytest.raises(ValueError, match="vims"):
        await inventory.get_entry("vims", "x")


async def test_a_source_says_why_it_cannot_be_read(office: Office) -> None:
    inventory = office.client.inventory
    await inventory.put_entry("sources", "vnfm", {"kind": "SOL003", "url": "https://127.0.0.1:1", "everySeconds": 86_400})
    shown = await inventory.refresh_source("vnfm")
    assert (shown.source, shown.state, shown.read_at, shown.is_being_read) == ("vnfm", "UNREAD", None, False)
    assert shown.failing_since == shown.asked_at
    assert shown.error is not None
    assert "may not connect to" in shown.error
    assert [each.raw for each in await inventory.source_states()] == [shown.raw]
    assert (shown.network_functions, shown.network_services, shown.virtual_machines, shown.problems) == (0, 0, 0, ())
    whole = await inventory.get(with_sources=True)
    assert whole.document["sources"].keys() == {"vnfm"}
    with pytest.raises(NotFoundError):
        await inventory.refresh_source("other")
