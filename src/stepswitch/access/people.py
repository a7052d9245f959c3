"""Who somebody is at this moment, whoever says so: the one place that knows. Implements `engine.account_ports.People`; asked by `sessions` and by `credential_rules`."""

from stepswitch.access.directory_people import DirectoryPeople
from stepswitch.engine.account_ports import AccountStore
from stepswitch.engine.records import Account


class CurrentPeople:
    """Users with a password are what is stored. Whom the directory knew is what it says now, whom the provider `issuer` vouches for what it said last.

    Whoever comes from elsewhere is nobody: from a directory or a provider that the settings do not name (any more).
    """

    def __init__(self, store: AccountStore, directory: DirectoryPeople | None, issuer: str | None) -> None:
        self._store = store
        self._directory = directory
        self._issuer = issuer

    async def account(self, name: str) -> Account | None:
        """See `People`."""
        account = await self._store.account(name)
        if account is None or account.subject is None:
            return account
        if account.is_of_directory:
            return None if self._directory is None else await self._directory.current(account)
        return account if account.source == self._issuer else None
