"""Accounts and sessions in dicts, and a clock that is moved by hand. Used by the tests of access."""

from collections.abc import Sequence

from stepswitch.domain.errors import VersionConflictError
from stepswitch.engine.audit import Entry
from stepswitch.engine.privileges import Role
from stepswitch.engine.records import Account, Ending, Session


class HandClock:
    def __init__(self, now: int = 1_800_000_000_000) -> None:
        self.time = now

    def now(self) -> int:
        return self.time

    def monotonic(self) -> float:
        return self.time / 1000

    async def sleep(self, seconds: float) -> None:
        self.time += round(seconds * 1000)


class DictAccountStore:
    def __init__(self) -> None:
        self.known: dict[str, Account] = {}
        self.sessions: dict[str, Session] = {}
        self.made: dict[tuple[str, str], Role] = {}
        self.places: dict[tuple[str, str], int] = {}
        self.reads = 0

    async def account(self, name: str) -> Account | None:
        return self.known.get(name)

    async def account_of(self, subject: str) -> Account | None:
        return next((each for each in self.known.values() if each.subject == subject), None)

    async def accounts(self, tenant: str | None) -> Sequence[Account]:
        return sorted((each for each in self.known.values() if tenant in (None, each.tenant)), key=lambda each: each.name)

    async def add_account(self, account: Account, entry: Entry | None = None) -> None:
        if account.name in self.known or (account.subject is not None and await self.account_of(account.subject)):
            raise VersionConflictError("the name is taken")
        self.known[account.name] = account

    async def put_account(self, account: Account, ending: Ending = Ending.NONE, entry: Entry | None = None) -> None:
        self.known[account.name] = account
        if ending is not Ending.NONE:
            ends = [each for each in self.sessions.values() if each.user == account.name and (ending is Ending.ALL or not each.is_token)]
            self.sessions = {key: session for key, session in self.sessions.items() if session not in ends}

    async def change_account(self, before: Account, after: Account, entry: Entry | None = None, ending: Ending = Ending.NONE) -> None:
        if self.known.get(before.name) != before:
            raise VersionConflictError("it was changed")
        await self.put_account(after, ending)

    async def count_accounts(self) -> int:
        return len(self.known)

    async def roles(self, tenant: str) -> Sequence[Role]:
        return [role for (of, _), role in sorted(self.made.items()) if of == tenant]

    async def add_role(self, tenant: str, role: Role, entry: Entry | None = None) -> None:
        if (tenant, role.name) in self.made:
            raise VersionConflictError("the name is taken")
        self.made[tenant, role.name] = role

    async def remove_role(self, tenant: str, name: str, entry: Entry | None = None) -> None:
        self.made.pop((tenant, name), None)

    async def put_session(self, session: Session, entry: Entry | None = None) -> None:
        self.sessions[session.token_hash] = session

    async def session(self, token_hash: str) -> Session | None:
        self.reads += 1
        return self.sessions.get(token_hash)

    async def sessions_of(self, user: str) -> Sequence[Session]:
        found = [each for each in self.sessions.values() if each.user == user]
        return sorted(found, key=lambda each: (-each.created_at, each.id))

    async def end_session(self, token_hash: str, entry: Entry | None = None) -> None:
        self.sessions.pop(token_hash, None)

    async def end_expired_sessions(self, now: int) -> None:
        self.sessions = {key: session for key, session in self.sessions.items() if session.expires_at > now}

    async def known_places(self, oldest: int) -> Sequence[tuple[str, str, int]]:
        found = [(user, place, noted_at) for (user, place), noted_at in self.places.items() if noted_at >= oldest]
        return sorted(found, key=lambda each: each[2])

    async def put_known_place(self, user: str, place: str, now: int, *, most: int, oldest: int) -> None:
        self.places[user, place] = now
