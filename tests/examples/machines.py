"""What the service of the examples is told of a vCenter: where it is, which machine it has, and both passwords. Used by `test_examples`."""

from typing import Final

from stepswitch.bootstrap import Service
from stepswitch.engine.callers import administrator
from stepswitch.engine.credential_records import StoredValue
from stepswitch.engine.credentials import CredentialOrder
from stepswitch.engine.records import Account
from stepswitch.storage.accounts import SqlAccountStore
from tests.steps.guest_context import CREDENTIALS, described
from tests.vcenter import FakeVCenter

SOMEBODY: Final = administrator("tester")


async def introduce(service: Service, center: FakeVCenter) -> None:
    """Put a vCenter into the inventory, keep the passwords that this names, and let who executes the examples use them."""
    await SqlAccountStore(service._database).put_account(Account(SOMEBODY.user, "default", "no password", ("Workflow Executor",)))
    for name, value in CREDENTIALS.items():
        await service.credentials.add(SOMEBODY, name, CredentialOrder(StoredValue(value), ("*",), ("*",), ("*",)))
    await service.inventories.replace(SOMEBODY, described(center))
