"""The use cases of sessions: who is logged in where, which API tokens there are, and their end. Called by `api.logins` and the command line."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError, NotFoundError, NotPermittedError, VersionConflictError
from stepswitch.engine.account_ports import AccountStore
from stepswitch.engine.audit import Thing, written_time
from stepswitch.engine.callers import Caller
from stepswitch.engine.names_of_people import name_faults
from stepswitch.engine.ports import Clock
from stepswitch.engine.privileges import MEANINGS, Privilege, grant, grants_of
from stepswitch.engine.records import Account, Session
from stepswitch.engine.users import Users

DAY: Final = 86_400_000
TOKEN_DAYS: Final = 90
"""How long an API token is good for unless its maker says."""
MOST_TOKEN_DAYS: Final = 366
MOST_TOKENS: Final = 100
"""So many API tokens a user has at most."""


@dataclass(frozen=True, slots=True)
class TokenOrder:
    """An API token to make. `privileges` are what it is good for, everything that its user may where there are none."""

    name: str
    privileges: tuple[str, ...] | None = None
    expires_at: int | None = None


class Logins:
    """Looks after sessions. `new_token` makes up a token and says what is stored of it; `forget` is told whose sessions to read again."""

    def __init__(
        self, store: AccountStore, users: Users, clock: Clock, new_token: Callable[[], tuple[str, str]], forget: Callable[[str], None]
    ) -> None:
        self._store = store
        self._users = users
        self._clock = clock
        self._new_token = new_token
        self._forget = forget

    async def of(self, caller: Caller, username: str | None = None) -> Sequence[Session]:
        """Return the sessions that go on, the newest first: the caller's own, or, for administrators, those of a user."""
        account = await self._whose(caller, username)
        now = self._clock.now()
        return [each for each in await self._store.sessions_of(account.name) if each.expires_at > now]

    async def end(self, caller: Caller, session_id: str, username: str | None = None) -> None:
        """End a session at once; raises NotFoundError where that user has none of that id."""
        for each in await self.of(caller, username):
            if each.id == session_id:
                await self._end(caller, each)
                return
        raise NotFoundError(f"no session {session_id}")

    async def _end(self, caller: Caller, session: Session) -> None:
        try:
            await self._store.end_session(session.token_hash, caller.entry(thing_of(session), before={"user": session.user}))
        except VersionConflictError:
            raise NotFoundError(f"no session {session.id} any more") from None
        self._forget(session.user)

    async def make_token(self, caller: Caller, order: TokenOrder, username: str | None = None) -> tuple[str, Session]:
        """Return a new API token with its session; raises InvalidRequestError with every fault. A token makes no tokens."""
        if caller.is_program:
            raise NotPermittedError("an API token makes no API tokens; log in")
        account = await self._whose(caller, username)
        if account.subject is not None and not account.is_of_directory:
            raise NotPermittedError("programs of those whom a provider vouches for come with access tokens of the provider")
        now = self._clock.now()
        others = [each for each in await self._store.sessions_of(account.name) if each.is_token and each.expires_at > now]
        expires_at = now + TOKEN_DAYS * DAY if order.expires_at is None else order.expires_at
        faults = [
            *name_faults("name", order.name),
            *await self._privilege_faults(account, order.privileges or ()),
            *_time_faults(now, expires_at),
            *_crowd_faults(order.name, others),
        ]
        if faults:
            raise InvalidRequestError(faults)
        token, token_hash = self._new_token()
        session = Session(
            token_hash=token_hash,
            user=account.name,
            tenant=account.tenant,
            roles=account.roles,
            expires_at=expires_at,
            credential=account.credential,
            created_at=now,
            token_name=order.name,
            privileges=None if order.privileges is None else grant(map(Privilege, order.privileges)).privileges,
        )
        await self._store.put_session(session, caller.entry(thing_of(session), after=_shown(session)))
        return token, session

    async def _whose(self, caller: Caller, username: str | None) -> Account:
        if username is not None:
            return await self._users.get(caller, username)
        account = await self._store.account(caller.user)
        if account is None:
            raise NotFoundError(f"no user {caller.user}")
        return account

    async def _privilege_faults(self, account: Account, privileges: Sequence[str]) -> list[Fault]:
        own = {role.name: role for role in await self._store.roles(account.tenant)}
        held = {privilege for each in grants_of(account.roles, own) for privilege in each.privileges}
        faults = []
        for place, name in enumerate(privileges):
            if name not in list(MEANINGS):
                faults.append(Fault(ErrorCode.INVALID_VALUE, f"privileges[{place}]", f"is no privilege; there are {', '.join(MEANINGS)}"))
            elif name not in held:
                faults.append(Fault(ErrorCode.NOT_PERMITTED, f"privileges[{place}]", f"is not among what {account.name} may"))
        return faults


def thing_of(session: Session) -> Thing:
    """Return what the audit trail calls a session."""
    return Thing("token" if session.is_token else "session", session.id, session.token_name or "")


def _shown(session: Session) -> dict[str, Any]:
    """Return what the audit trail says of an API token."""
    privileges = None if session.privileges is None else sorted(session.privileges)
    return {"user": session.user, "expiresAt": written_time(session.expires_at), "privileges": privileges}


def _time_faults(now: int, expires_at: int) -> list[Fault]:
    if now < expires_at <= now + MOST_TOKEN_DAYS * DAY:
        return []
    message = f"is to be in the future, and not more than {MOST_TOKEN_DAYS} days away"
    return [Fault(ErrorCode.INVALID_VALUE, "expiresAt", message)]


def _crowd_faults(name: str, others: Sequence[Session]) -> list[Fault]:
    faults = []
    if any(each.token_name == name for each in others):
        faults.append(
            Fault(ErrorCode.ALREADY_EXISTS, "name", "the user has a token of this name already; end that one first, or take another")
        )
    if len(others) >= MOST_TOKENS:
        faults.append(Fault(ErrorCode.INVALID_VALUE, "name", f"the user has {MOST_TOKENS} tokens already; end one first"))
    return faults
