"""The inventory of an example, with the addresses, users and keys of servers that are really there. Used by `test_examples`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from stepswitch.bootstrap import Service
from stepswitch.engine.callers import Caller
from stepswitch.engine.credential_records import StoredValue
from stepswitch.engine.credentials import CredentialOrder
from stepswitch.inventory.file import read_file
from tests.openssh import OpenSshServer

_EVERYBODY: Final = ("*",)


async def have_known(service: Service, somebody: Caller, path: Path, servers: Mapping[str, OpenSshServer]) -> None:
    """Give a service the inventory of a file and the credentials in it; each device in there is one of `servers`, by its id."""
    document: Any = read_file(path).document
    await service.users.add(somebody, somebody.user, "only-for-this-example", ["System Administrator"])
    for name, device in document["devices"].items():
        server = servers[name]
        device["addresses"] = [f"{server.host}:{server.port}"]
        device["hostKeys"] = [server.host_public_key]
        device["login"]["username"] = server.user
        for field, value in {"password": server.password, "privateKey": server.private_key}.items():
            if field in device["login"]:
                order = CredentialOrder(StoredValue(value), _EVERYBODY, _EVERYBODY, (server.host,))
                await service.credentials.add(somebody, device["login"][field]["credential"], order)
    await service.inventories.replace(somebody, document)
