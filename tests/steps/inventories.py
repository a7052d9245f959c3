"""Inventories with devices for tests of step types: written as documents, and read as the service reads them."""

from typing import Any

from stepswitch.domain.inventory import Inventory
from stepswitch.domain.inventory_document import read_inventory
from stepswitch.plugin import Value
from tests.openssh import OpenSshServer


def known(**devices: dict[str, Any]) -> Inventory:
    """Return an inventory with these devices, by their ids."""
    read = read_inventory({"devices": devices})
    assert read.inventory is not None, read.faults
    return read.inventory


def entry_of(server: OpenSshServer, **more: Any) -> dict[str, Any]:
    """Return an entry for a server, with its key and with the credential `pw` for its user."""
    return {
        "addresses": [f"{server.host}:{server.port}"],
        "login": {"username": server.user, "password": {"credential": "pw"}},
        "hostKeys": [server.host_public_key],
        **more,
    }


def where(server: OpenSshServer, **more: Value) -> dict[str, Value]:
    """Return the inputs of a step that says where, and leaves it to the inventory as whom."""
    return {"hostNameOrIP": server.host, "port": server.port, **more}
