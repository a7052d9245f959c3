"""Logins and API tokens: a token goes out once, only its hash is kept. `Sessions` is the port `Authenticator`, asked by `api` with every request.

Sessions in use are kept in memory, so that a request costs microseconds; what is kept is read again every two seconds, for a
logout, or a change of the user, may have happened at another node or on the command line.
"""

import asyncio
import hashlib
import secrets
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from stepswitch.access.accounts import Passwords
from stepswitch.access.attempts import Attempts
from stepswitch.access.current_callers import granted
from stepswitch.access.directory_people import DirectoryPeople
from stepswitch.access.directory_text import PREFIX, folded
from stepswitch.access.places import KnownPlaces, place_of
from stepswitch.access.provider_access import AccessTokens
from stepswitch.domain.errors import (
    ErrorCode,
    NotAuthenticatedError,
    NotPermittedError,
    ProviderUnavailableError,
    StoreError,
    VersionConflictError,
)
from stepswitch.engine.account_ports import AccountStore, People
from stepswitch.engine.audit import Act, Entry, written_time
from stepswitch.engine.callers import Caller
from stepswitch.engine.logins import thing_of
from stepswitch.engine.ports import Clock
from stepswitch.engine.privileges import narrowed
from stepswitch.engine.records import Account, Session

KEPT: Final = 10_000
TRUSTED_SECONDS: Final = 2.0
LOOK_SECONDS: Final = 15.0
"""How often somebody who waits for the end of a session looks whether it was ended elsewhere."""
_TOKEN_BYTES: Final = 32
_TOKEN_LENGTH: Final = 43
API_TOKEN_PREFIX: Final = "ssw_"
"""What the tokens of programs begin with, so that whoever scans for secrets knows one that was left lying about."""
_NAME_LENGTH: Final = 256
_DOTS: Final = 2
"""Between the three parts of an access token; a token of ours has none."""


@dataclass(frozen=True, slots=True)
class _Kept:
    caller: Caller
    expires_at: int
    read_at: float


class Sessions:
    """Logs people in and out, and knows who stands behind a token."""

    def __init__(
        self,
        store: AccountStore,
        passwords: Passwords,
        clock: Clock,
        session_hours: float = 8.0,
        *,
        access_tokens: AccessTokens | None = None,
        directory: DirectoryPeople | None = None,
        people: People | None = None,
    ) -> None:
        self._store = store
        self._access_tokens = access_tokens
        self._directory = directory
        self._people = people or store
        self._passwords = passwords
        self._clock = clock
        self._places = KnownPlaces(store, clock)
        self.attempts = Attempts(clock, self._places)
        """Counts every password that is tried, here and where somebody changes his own."""
        self._lasts = round(session_hours * 3_600_000)
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._logouts = 0
        self._awaited: dict[str, set[asyncio.Event]] = {}
        """Who waits for the end of a session, by the hash of its token."""

    async def login(self, username: str, password: str, address: str = "", act: Act | None = None) -> tuple[str, Session]:
        """See `Authenticator`."""
        name = _counted(username) if _is_name(username) else ""
        await self._places.recall()
        with self.attempts.attempt(name, address) as attempt:
            account = await self._who(username, password, act)
            if account is None:
                attempt.failed()
                raise NotAuthenticatedError("unknown user or wrong password", ErrorCode.WRONG_CREDENTIALS)
            attempt.succeeded()
        await self._places.note(name, place_of(address))
        return await self.open(account, address, act)

    async def _who(self, username: str, password: str, act: Act | None) -> Account | None:
        """Return the account of who logs in, None where that is nobody. Who has a password here is not looked for elsewhere."""
        account = await self._store.account(username) if _is_name(username) else None
        known_as = None if self._directory is None else self._directory.name_of(username)
        if self._directory is None or known_as is None or (account is not None and account.subject is None):
            _note(act, account)
            fits = await self._passwords.fits((account.password_hash or None) if account else None, password)
            return account if account is not None and fits and not account.is_disabled else None
        _note(act, await self._store.account(f"{PREFIX}{known_as}"))
        account = await self._directory.login(username, password)
        _note(act, account)
        return account

    async def open(self, account: Account, address: str = "", act: Act | None = None) -> tuple[str, Session]:
        """Return a new token with its session, for somebody who has shown who he is."""
        now = self._clock.now()
        longest = self._directory.longest_login if self._directory is not None and account.is_of_directory else None
        lasts = self._lasts if longest is None else min(self._lasts, longest)
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        session = Session(
            token_hash=_hash(token),
            user=account.name,
            tenant=account.tenant,
            roles=account.roles,
            expires_at=now + lasts,
            credential=account.credential,
            created_at=now,
            address=address,
        )
        await self._store.end_expired_sessions(now)
        who = Caller(account.name, account.tenant, session_id=session.id, act=act)
        after = {"expiresAt": written_time(session.expires_at), "source": account.source}
        await self._store.put_session(session, who.entry(thing_of(session), after=after))
        return token, session

    async def authenticate(self, token: str) -> Caller:
        """Return who the token was given to; raises NotAuthenticatedError where it is unknown, expired or logged out."""
        if not token.isascii() or (len(token.removeprefix(API_TOKEN_PREFIX)) != _TOKEN_LENGTH and not self._may_be_access_token(token)):
            raise NotAuthenticatedError("this is no token of ours")
        token_hash = _hash(token)
        kept = self._kept.get(token_hash)
        if kept is None or self._clock.monotonic() - kept.read_at > TRUSTED_SECONDS:
            kept = await self._read(token, token_hash)
        else:
            self._kept.move_to_end(token_hash)
        if kept.expires_at <= self._clock.now():
            self._kept.pop(token_hash, None)
            raise NotAuthenticatedError("the session has expired; log in again", ErrorCode.SESSION_EXPIRED)
        return kept.caller

    async def logout(self, token: str, entry: Entry | None = None) -> None:
        """See `Authenticator`."""
        if self._may_be_access_token(token):
            raise NotPermittedError("an access token has no session here: it ends at its time, or with its provider")
        token_hash = _hash(token)
        with suppress(VersionConflictError):  # it was ended meanwhile
            await self._store.end_session(token_hash, entry)
        self._logouts += 1
        self._kept.pop(token_hash, None)
        self._look_again(token_hash)

    async def ended(self, token: str) -> None:
        """Return when the session of a token is over: at once where that happens here or it expires, soon where it does elsewhere."""
        token_hash, due = _hash(token), asyncio.Event()
        self._awaited.setdefault(token_hash, set()).add(due)
        try:
            while await self._goes_on(token):
                await self._wait(due, self._kept.get(token_hash))
                due.clear()
        finally:
            self._awaited[token_hash].discard(due)
            if not self._awaited[token_hash]:
                del self._awaited[token_hash]

    def _look_again(self, token_hash: str) -> None:
        for due in self._awaited.get(token_hash, ()):
            due.set()

    async def _goes_on(self, token: str) -> bool:
        try:
            await self.authenticate(token)
        except NotAuthenticatedError:
            return False
        except ProviderUnavailableError:
            return False  # it has been away for so long that nobody is believed any more
        except StoreError:
            return True  # nobody can say; the next look may
        return True

    async def _wait(self, due: asyncio.Event, kept: _Kept | None) -> None:
        """Return when a look is due: something was changed here, the session expires, or nobody has looked for a while."""
        seconds = LOOK_SECONDS
        if kept is not None:
            seconds = min(seconds, max(0.001, (kept.expires_at - self._clock.now()) / 1000))
        looking = asyncio.ensure_future(self._clock.sleep(seconds))
        changing = asyncio.ensure_future(due.wait())
        waiting: set[asyncio.Future[Any]] = {looking, changing}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            looking.cancel()
            changing.cancel()

    def forget(self, user: str) -> None:
        """Read again what the sessions of a user are good for, with the next request of each."""
        self._logouts += 1
        for token_hash in [each for each, kept in self._kept.items() if kept.caller.user == user]:
            del self._kept[token_hash]
        for token_hash in list(self._awaited):
            self._look_again(token_hash)

    async def _read(self, token: str, token_hash: str) -> _Kept:
        logouts = self._logouts
        try:
            caller, expires_at = await (self._held(token, token_hash) if self._may_be_access_token(token) else self._logged_in(token_hash))
        except NotAuthenticatedError:
            self._kept.pop(token_hash, None)
            raise
        kept = _Kept(caller, expires_at, self._clock.monotonic())
        if logouts == self._logouts:  # else it may be this very session that has just ended
            self._kept[token_hash] = kept
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return kept

    async def _logged_in(self, token_hash: str) -> tuple[Caller, int]:
        session = await self._store.session(token_hash)
        if session is None:
            raise NotAuthenticatedError("unknown token; log in")
        account = await self._people.account(session.user)
        has_other_password = account is not None and account.credential != session.credential and not session.is_token
        if account is None or account.is_disabled or has_other_password:
            raise NotAuthenticatedError("the user is disabled, or has another password; log in")
        grants = narrowed(await granted(self._store, account), session.privileges)
        return Caller(account.name, account.tenant, grants, session_id=session.id, is_program=session.is_token), session.expires_at

    def _may_be_access_token(self, token: str) -> bool:
        return self._access_tokens is not None and token.count(".") == _DOTS

    async def _held(self, token: str, token_hash: str) -> tuple[Caller, int]:
        if self._access_tokens is None:
            raise NotAuthenticatedError("no provider vouches for anybody here")
        account, expires_at = await self._access_tokens.holder(token)
        name = token_hash[:24]  # as of a session: tells nothing of the token
        caller = Caller(account.name, account.tenant, await granted(self._store, account), name, is_program=True, has_access_token=True)
        return caller, expires_at


def new_api_token() -> tuple[str, str]:
    """Return a token for a program, and what is stored of it."""
    token = API_TOKEN_PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)
    return token, _hash(token)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _counted(username: str) -> str:
    """Return for whom failures count: for a directory, names in other cases and with other blanks are the same."""
    return folded(username).removeprefix(PREFIX)


def _note(act: Act | None, account: Account | None) -> None:
    """Have the record say whom a login is for, where there is such a user."""
    if act is not None and account is not None:
        act.user, act.tenant = account.name, account.tenant


def _is_name(username: str) -> bool:
    """Return whether there can be an account called so: not every store can be asked for any text."""
    return 0 < len(username) <= _NAME_LENGTH and username.isprintable()
