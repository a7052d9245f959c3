"""The use cases of users: who there is, with which roles, and what becomes of their sessions. Called by `api.users` and the command line.

An administrator looks after the users of his tenant; those of the tenant `default` look after everybody.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from stepswitch.domain.errors import ElsewhereError, ErrorCode, Fault, InvalidRequestError, NotFoundError, VersionConflictError
from stepswitch.engine.account_ports import AccountStore, Guesses, PasswordHasher
from stepswitch.engine.audit import MASK, Entry, Thing, changed
from stepswitch.engine.callers import DEFAULT_TENANT, Caller
from stepswitch.engine.names_of_people import LONGEST_NAME, name_faults, user_name_faults
from stepswitch.engine.passwords import password_fault
from stepswitch.engine.privileges import ADMINISTRATOR, ROLES, Privilege, role_name
from stepswitch.engine.records import Account, Ending


@dataclass(frozen=True, slots=True)
class UserOrder:
    """What is to become of a user; None leaves it as it is."""

    password: str | None = None
    roles: tuple[str, ...] | None = None
    is_disabled: bool | None = None


class Users:
    """Looks after accounts. `forget` is told of every user whose sessions this process must not trust any more.

    `guesses` slows down whoever has somebody's session and guesses his password; None where nobody can, as on the command line.
    """

    def __init__(
        self, store: AccountStore, passwords: PasswordHasher, forget: Callable[[str], None] = lambda _: None, guesses: Guesses | None = None
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._forget = forget
        self._guesses = guesses

    async def all(self, caller: Caller) -> Sequence[Account]:
        """Return the users whom the caller looks after, by name."""
        caller.require(Privilege.ADMINISTRATION)
        return await self._store.accounts(None if caller.runs_installation else caller.tenant)

    async def get(self, caller: Caller, name: str) -> Account:
        """Return a user; raises NotFoundError where the caller looks after nobody called so."""
        caller.require(Privilege.ADMINISTRATION)
        account = await self._store.account(name) if 0 < len(name) <= LONGEST_NAME and name.isprintable() else None
        if account is None:
            raise NotFoundError(f"no user {name}")
        if not caller.runs_installation and account.tenant != caller.tenant:
            raise ElsewhereError(f"no user {name}")
        return account

    async def add(self, caller: Caller, name: str, password: str, roles: Sequence[str], tenant: str | None = None) -> Account:
        """Make a user and return it; raises InvalidRequestError with every fault."""
        caller.require(Privilege.ADMINISTRATION)
        of_tenant = _tenant_faults(caller, tenant)
        there = caller.tenant if tenant is None or of_tenant else tenant  # nobody is told which roles another tenant has
        faults = [*user_name_faults("username", name), *await self._role_faults(there, roles), *of_tenant]
        faults += _password_faults(name, password)
        if faults:
            raise InvalidRequestError(faults)
        account = Account(name, tenant or caller.tenant, await self._passwords.hash(password), tuple(map(role_name, roles)))
        try:
            await self._store.add_account(account, caller.entry(_thing(account), after=_shown(account)))
        except VersionConflictError:
            message = "there is a user of this name already; names are taken once, whatever the tenant"
            raise InvalidRequestError([Fault(ErrorCode.ALREADY_EXISTS, "username", message)]) from None
        return account

    async def change(self, caller: Caller, name: str, order: UserOrder) -> Account:
        """Change a user, all of it or nothing; a new password ends his logins at once, being disabled his API tokens too."""
        account = before = await self.get(caller, name)
        faults = [
            *await self._role_faults(account.tenant, order.roles or ()),
            *_password_faults(name, order.password),
            *_own_faults(caller, account, order),
            *_provider_faults(account, order),
        ]
        if faults:
            raise InvalidRequestError(faults)
        if order.roles is not None:
            account = replace(account, roles=tuple(map(role_name, order.roles)))
        if order.is_disabled is not None:
            account = replace(account, is_disabled=order.is_disabled)
        if order.password is not None:
            account = replace(account, password_hash=await self._passwords.hash(order.password))
        ending = Ending.ALL if account.is_disabled else Ending.LOGINS if order.password is not None else Ending.NONE
        await self._save(account, ending, _change(caller, before, account))
        return account

    async def change_own_password(self, caller: Caller, old: str, new: str) -> None:
        """Give the caller another password, which ends all his logins, this one too; raises InvalidRequestError where `old` is wrong.

        Raises TooManyAttemptsError where it was wrong too often: whoever found an open session does not guess faster than at a login.
        """
        account = await self._account_by(caller.user, old)
        if account is None:
            raise InvalidRequestError([Fault(ErrorCode.WRONG_CREDENTIALS, "oldPassword", "is wrong")])
        if faults := _password_faults(caller.user, new, "newPassword"):
            raise InvalidRequestError(faults)
        changed_account = replace(account, password_hash=await self._passwords.hash(new))
        await self._save(changed_account, Ending.LOGINS, _change(caller, account, changed_account))

    async def _account_by(self, user: str, password: str) -> Account | None:
        """Return the account that a password opens."""
        if self._guesses is None:
            return await self._opened(user, password)
        with self._guesses.attempt(
            user, f"a session of {user}"
        ) as guess:  # no address: it counts for this user, wherever he is, and for nobody else
            account = await self._opened(user, password)
            if account is None:
                guess.failed()
            else:
                guess.succeeded()
            return account

    async def _opened(self, user: str, password: str) -> Account | None:
        account = await self._store.account(user)
        fits = await self._passwords.fits(None if account is None else account.password_hash or None, password)
        return account if fits else None

    async def end_sessions(self, caller: Caller, name: str) -> None:
        """Log a user out everywhere, and end his API tokens."""
        account = await self.get(caller, name)
        await self._save(account, Ending.ALL, caller.entry(_thing(account), after={"endedSessions": Ending.ALL.value}))

    async def _role_faults(self, tenant: str, roles: Sequence[str]) -> list[Fault]:
        known = [*ROLES, *(role.name for role in await self._store.roles(tenant))]
        return [
            Fault(ErrorCode.INVALID_VALUE, f"roles[{place}]", f"is no role; there are {', '.join(known)}")
            for place, role in enumerate(roles)
            if role_name(role) not in known
        ]

    async def _save(self, account: Account, ending: Ending, entry: Entry | None) -> None:
        await self._store.put_account(account, ending, entry)
        self._forget(account.name)


def _thing(account: Account) -> Thing:
    return Thing("user", account.name)


def _shown(account: Account) -> dict[str, Any]:
    """Return what the audit trail says of a user."""
    return {"tenantId": account.tenant, "roles": account.roles, "isDisabled": account.is_disabled}


def _change(caller: Caller, before: Account, after: Account) -> Entry | None:
    """Return the record of a change: what differs, and of a password that it does."""
    was, became = changed(_shown(before), _shown(after))
    if after.password_hash != before.password_hash:
        was["password"] = became["password"] = MASK
    return caller.entry(_thing(after), was, became)


def _tenant_faults(caller: Caller, tenant: str | None) -> list[Fault]:
    if tenant is None or tenant == caller.tenant:
        return []
    if not caller.runs_installation:
        message = f"only administrators of the tenant {DEFAULT_TENANT} make users of other tenants"
        return [Fault(ErrorCode.NOT_PERMITTED, "tenantId", message)]
    return name_faults("tenantId", tenant)


def _password_faults(name: str, password: str | None, path: str = "password") -> list[Fault]:
    why = None if password is None else password_fault(name, password)
    return [] if why is None else [Fault(ErrorCode.INVALID_VALUE, path, why)]


def _provider_faults(account: Account, order: UserOrder) -> list[Fault]:
    """Return faults where what the provider says of somebody is to be said here: it would count until he comes the next time."""
    if account.subject is None:
        return []
    given = {"password": order.password, "roles": order.roles}
    message = "comes from the provider of logins, which vouches for this user; change it there"
    return [Fault(ErrorCode.NOT_PERMITTED, name, message) for name, value in given.items() if value is not None]


def _own_faults(caller: Caller, account: Account, order: UserOrder) -> list[Fault]:
    """Return faults where administrators would lock themselves out: so there is always one left."""
    if account.name != caller.user:
        return []
    faults = []
    if order.is_disabled:
        faults.append(Fault(ErrorCode.INVALID_VALUE, "isDisabled", "nobody disables himself; another administrator can"))
    if order.roles is not None and ADMINISTRATOR not in map(role_name, order.roles):
        faults.append(Fault(ErrorCode.INVALID_VALUE, "roles", f"nobody takes the role {ADMINISTRATOR} from himself"))
    return faults
