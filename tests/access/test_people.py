"""Risk: somebody goes on by the word of a provider or a directory that the settings name no more."""

import pytest

from stepswitch.access.people import CurrentPeople
from stepswitch.engine.credential_rules import AccountRoles
from stepswitch.engine.records import Account
from tests.access.account_store import DictAccountStore

HERE, THERE = "https://login.example.net", "https://login.example.net/realms/other"
LOCAL = Account("ann", "default", "argon2", ("Operations",))
VOUCHED = Account("oidc:ann", "default", "", ("Operations",), subject=f"{HERE} 7d0f")
OF_DIRECTORY = Account("ldap:ann", "default", "", ("Operations",), subject="ldap 4711")


@pytest.mark.parametrize(
    ("account", "issuer", "is_there"),
    [
        (LOCAL, None, True),
        (LOCAL, HERE, True),
        (VOUCHED, HERE, True),
        (VOUCHED, None, False),
        (VOUCHED, THERE, False),
        (VOUCHED, HERE + "/", False),
        (OF_DIRECTORY, None, False),
        (OF_DIRECTORY, HERE, False),
    ],
)
async def test_somebody_is_there_as_long_as_the_settings_name_who_says_so(account: Account, issuer: str | None, is_there: bool) -> None:
    store = DictAccountStore()
    await store.add_account(account)
    people = CurrentPeople(store, None, issuer)
    assert await people.account(account.name) == (account if is_there else None)
    roles = await AccountRoles(people).roles_of("default", account.name)  # as for a step that begins in his name
    assert roles == (frozenset({"Operations"}) if is_there else None)
    assert await people.account("nobody") is None
