"""The seams of who may come in, beside those of `ports`: accounts, sessions and passwords. Implemented in `storage` and `access`."""

from collections.abc import Sequence
from typing import Protocol

from stepswitch.engine.audit import Act, Entry
from stepswitch.engine.callers import Caller
from stepswitch.engine.privileges import Role
from stepswitch.engine.records import Account, Ending, Session


class AccountStore(Protocol):
    """Accounts and sessions. `entry` is the record of a change, written with it or not at all."""

    async def account(self, name: str) -> Account | None:
        """Return an account."""

    async def account_of(self, subject: str) -> Account | None:
        """Return the account of somebody whom a provider calls so."""

    async def accounts(self, tenant: str | None) -> Sequence[Account]:
        """Return the accounts of a tenant, or of all of them, by name."""

    async def add_account(self, account: Account, entry: Entry | None = None) -> None:
        """Create an account; raises VersionConflictError where the name exists."""

    async def put_account(self, account: Account, ending: Ending = Ending.NONE, entry: Entry | None = None) -> None:
        """Create or replace an account, and end sessions of it in the same transaction."""

    async def change_account(self, before: Account, after: Account, entry: Entry | None = None) -> None:
        """Replace an account that is still as it was `before`; raises VersionConflictError where it is not."""

    async def count_accounts(self) -> int:
        """Return how many accounts there are."""

    async def roles(self, tenant: str) -> Sequence[Role]:
        """Return a tenant's own roles, by name."""

    async def add_role(self, tenant: str, role: Role, entry: Entry | None = None) -> None:
        """Create a role; raises VersionConflictError where the tenant has one of that name."""

    async def remove_role(self, tenant: str, name: str, entry: Entry | None = None) -> None:
        """Forget a role; raises VersionConflictError where that is to be recorded and there is none."""

    async def put_session(self, session: Session, entry: Entry | None = None) -> None:
        """Store a session."""

    async def session(self, token_hash: str) -> Session | None:
        """Return a session, expired or not."""

    async def sessions_of(self, user: str) -> Sequence[Session]:
        """Return the sessions of a user, expired or not, the newest first."""

    async def end_session(self, token_hash: str, entry: Entry | None = None) -> None:
        """Forget a session; raises VersionConflictError where that is to be recorded and there is none."""

    async def end_expired_sessions(self, now: int) -> None:
        """Forget the sessions that expired before `now`."""


class PasswordHasher(Protocol):
    """Makes of passwords what may be stored."""

    async def hash(self, password: str) -> str:
        """Return the text to store for `password`."""

    async def fits(self, password_hash: str | None, password: str) -> bool:
        """Return whether `password` is the one that was hashed; after the same time where there is none."""


class Guesses(Protocol):
    """Slows down whoever guesses passwords, by user and by where he does it."""

    def begin(self, user: str, address: str) -> None:
        """Raise TooManyAttemptsError where it is not time yet for another attempt."""

    def failed(self, user: str, address: str) -> None:
        """Count a wrong password."""

    def succeeded(self, user: str, address: str) -> None:
        """Forget the wrong ones of a user."""


class Authenticator(Protocol):
    """Who logs in, and who stands behind a token."""

    async def login(self, username: str, password: str, address: str = "", act: Act | None = None) -> tuple[str, Session]:
        """Return a new token with its session; raises NotAuthenticatedError, after the same time whether or not there is such a user.

        Whom a login that fails was for is noted in `act`. Raises TooManyAttemptsError where that failed too often, for the user or from the address.
        """

    async def authenticate(self, token: str) -> Caller:
        """Return who the token was given to; raises NotAuthenticatedError where it is unknown, expired or logged out."""

    async def logout(self, token: str, entry: Entry | None = None) -> None:
        """End the session of a token; an unknown one is no error. Raises NotPermittedError for an access token of a provider, which ends there."""

    async def ended(self, token: str) -> None:
        """Return when the session of a token is over: logged out, or expired."""
        ...
