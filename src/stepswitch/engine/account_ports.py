"""The seams of who may come in, beside those of `ports`: accounts, sessions and passwords. Implemented in `storage` and `access`."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from stepswitch.engine.audit import Act, Entry
from stepswitch.engine.callers import Caller
from stepswitch.engine.privileges import Role
from stepswitch.engine.records import Account, Ending, Session


class PlaceStore(Protocol):
    """From where users have logged in."""

    async def known_places(self, oldest: int) -> Sequence[tuple[str, str, int]]:
        """Return users and places with the time when that was noted, if not before `oldest`; the latest last."""

    async def put_known_place(self, user: str, place: str, now: int, *, most: int, oldest: int) -> None:
        """Note a place of a user; forget all but the latest `most` of his, and what was noted before `oldest`."""


class AccountStore(PlaceStore, Protocol):
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

    async def change_account(self, before: Account, after: Account, entry: Entry | None = None, ending: Ending = Ending.NONE) -> None:
        """Replace an account that is still as it was `before`, and end sessions of it; raises VersionConflictError where it is not."""

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


class People(Protocol):
    """The one who knows what somebody is at this moment, whoever says so: asked with every request, and at each use of a credential."""

    async def account(self, name: str) -> Account | None:
        """Return somebody's account as it is now, None where there is nobody called so any more.

        Raises ProviderUnavailableError where somebody else says so, cannot be asked, and has not been for too long.
        """


class PasswordHasher(Protocol):
    """Makes of passwords what may be stored."""

    async def hash(self, password: str) -> str:
        """Return the text to store for `password`."""

    async def fits(self, password_hash: str | None, password: str) -> bool:
        """Return whether `password` is the one that was hashed; after the same time where there is none."""


class Guess(Protocol):
    """A password that is tried."""

    def failed(self) -> None:
        """Count it as wrong."""

    def succeeded(self) -> None:
        """Forget the wrong ones of the user from this place."""


class Guesses(Protocol):
    """Slows down whoever guesses passwords, by user and by where he does it."""

    def attempt(self, user: str, address: str) -> AbstractContextManager[Guess]:
        """Return what is told how an attempt went, while it goes on; raises TooManyAttemptsError where it is not time yet for another one."""
        ...


class Authenticator(Protocol):
    """Who logs in, and who stands behind a token."""

    async def login(self, username: str, password: str, address: str = "", act: Act | None = None) -> tuple[str, Session]:
        """Return a new token with its session; raises NotAuthenticatedError, after the same time whether or not there is such a user.

        Whom a login that fails was for is noted in `act`. Raises TooManyAttemptsError where that failed too often, for the user or from the address,
        ProviderUnavailableError where only a directory could say who he is, and does not answer.
        """

    async def authenticate(self, token: str) -> Caller:
        """Return who the token was given to; raises NotAuthenticatedError where it is unknown, expired or logged out."""

    async def logout(self, token: str, entry: Entry | None = None) -> None:
        """End the session of a token; an unknown one is no error. Raises NotPermittedError for an access token of a provider, which ends there."""

    async def ended(self, token: str) -> None:
        """Return when the session of a token is over: logged out, or expired."""
        ...


@dataclass(frozen=True, slots=True)
class BegunLogin:
    """A login that goes on at the provider: where the browser is sent, and the secret that it keeps until it comes back."""

    address: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeviceLogin:
    """A login that somebody confirms at the provider with a code; `device_code` is known to who began it only. Times are in seconds."""

    device_code: str = field(repr=False)
    user_code: str
    verification_uri: str
    verification_uri_complete: str | None
    expires_in: int
    interval: int


class ProviderLogins(Protocol):
    """Logins of people through the provider. Each raises NotFoundError where that is not offered, ProviderUnavailableError where it cannot be asked."""

    async def begin(self, return_to: str) -> BegunLogin:
        """Return where to send a browser that is to come back to the path `return_to`; raises InvalidRequestError where that leads elsewhere."""
        ...

    async def finish(self, secret: str, answer: Mapping[str, str]) -> tuple[str, str]:
        """Return a ticket for a session, and the path to go on to, for a browser that has come back with its secret and the provider's answer.

        Raises InvalidRequestError where that was not begun by who has the secret, or not completed, NotAuthenticatedError where he may not come in.
        """
        ...

    async def session_of(self, ticket: str, address: str, act: Act | None) -> tuple[str, Session]:
        """Return a new token with its session for a ticket, once; raises NotAuthenticatedError."""
        ...

    async def logout_address(self, user: str, return_to: str) -> str | None:
        """Return where to send the browser of somebody who logs out here, so that he can do so at the provider, too; it comes back to `return_to`, a path on this service.

        None where he did not come from the provider, or that ends no sessions.
        """
        ...

    def logged_out(self, state: str) -> str | None:
        """Return the path to go on to for a browser that has come back from a logout at the provider; None where its state names none."""
        ...

    async def begin_on_device(self) -> DeviceLogin:
        """Return a code for somebody to confirm."""
        ...

    async def finish_on_device(self, device_code: str, address: str, act: Act | None) -> tuple[str, Session]:
        """Return a new token with its session; raises InvalidRequestError where nobody has confirmed the code yet, or will."""
        ...
