"""Accounts and sessions, over any `Database`. Implements `engine.account_ports.AccountStore`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from stepswitch.engine.audit import Entry
from stepswitch.engine.privileges import Privilege, Role
from stepswitch.engine.records import Account, Ending, Session
from stepswitch.storage.audit import write_audited
from stepswitch.storage.database import Database, Op, Query, Row, Statement
from stepswitch.storage.encoding import dump_row, load_row
from stepswitch.storage.tables import accounts, known_places, roles, sessions

_ADD_ACCOUNT = upsert(accounts)
_PUT_ACCOUNT: Final = Statement(
    _ADD_ACCOUNT.on_conflict_do_update(
        index_elements=["name"], set_={"tenant": _ADD_ACCOUNT.excluded.tenant, "body": _ADD_ACCOUNT.excluded.body}
    )
)
_ACCOUNT: Final = Statement(select(accounts.c.body).where(accounts.c.name == bindparam("name")))
_ACCOUNT_OF: Final = Statement(select(accounts.c.body).where(accounts.c.subject == bindparam("of")))
_ACCOUNTS: Final = Statement(select(accounts.c.body).order_by(accounts.c.name))
_ACCOUNTS_OF: Final = Statement(select(accounts.c.body).where(accounts.c.tenant == bindparam("tenant")).order_by(accounts.c.name))
_NEW_ACCOUNT: Final = Statement(upsert(accounts).on_conflict_do_nothing())
_CHANGE_ACCOUNT: Final = Statement(
    update(accounts)
    .where(accounts.c.name == bindparam("called"), accounts.c.body == bindparam("before"))
    .values(tenant=bindparam("in_tenant"), body=bindparam("after"))
)
_COUNT: Final = Statement(select(func.count()).select_from(accounts))
_ROLES: Final = Statement(select(roles.c.body).where(roles.c.tenant == bindparam("tenant")).order_by(roles.c.name))
_NEW_ROLE: Final = Statement(upsert(roles).on_conflict_do_nothing())
_END_ROLE: Final = Statement(delete(roles).where(roles.c.tenant == bindparam("of"), roles.c.name == bindparam("called")))
_PUT_SESSION: Final = Statement(upsert(sessions).on_conflict_do_nothing())
_SESSION: Final = Statement(select(sessions.c.body).where(sessions.c.token_hash == bindparam("token_hash")))
_SESSIONS_OF: Final = Statement(select(sessions.c.body).where(sessions.c.user == bindparam("name")))
_END: Final = Statement(delete(sessions).where(sessions.c.token_hash == bindparam("token_hash")))
_END_OF_USER: Final = Statement(delete(sessions).where(sessions.c.user == bindparam("name")))
_END_LOGINS: Final = Statement(delete(sessions).where(sessions.c.user == bindparam("name"), sessions.c.is_token == 0))
_ENDINGS: Final = {Ending.LOGINS: _END_LOGINS, Ending.ALL: _END_OF_USER}
_PLACES: Final = Statement(
    select(known_places.c.user, known_places.c.place, known_places.c.noted_at)
    .where(known_places.c.noted_at >= bindparam("oldest"))
    .order_by(known_places.c.noted_at)
)
_NEW_PLACE: Final = upsert(known_places)
_PUT_PLACE: Final = Statement(
    _NEW_PLACE.on_conflict_do_update(index_elements=["user", "place"], set_={"noted_at": _NEW_PLACE.excluded.noted_at})
)
_LATEST: Final = (
    select(known_places.c.place)
    .where(known_places.c.user == bindparam("name"))
    .order_by(known_places.c.noted_at.desc(), known_places.c.place)
    .limit(bindparam("most"))
)
_END_PLACES: Final = Statement(
    delete(known_places).where(known_places.c.user == bindparam("name"), known_places.c.place.not_in(_LATEST.scalar_subquery()))
)
_END_OLD_PLACES: Final = Statement(delete(known_places).where(known_places.c.noted_at < bindparam("oldest")))
_END_EXPIRED: Final = Statement(delete(sessions).where(sessions.c.expires_at < bindparam("now")))


class SqlAccountStore:
    """Accounts and sessions in tables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def account(self, name: str) -> Account | None:
        """See `AccountStore`."""
        (found,) = await self._database.read([Query(_ACCOUNT, {"name": name})])
        return _account(found[0]) if found else None

    async def account_of(self, subject: str) -> Account | None:
        """See `AccountStore`."""
        (found,) = await self._database.read([Query(_ACCOUNT_OF, {"of": subject})])
        return _account(found[0]) if found else None

    async def accounts(self, tenant: str | None) -> Sequence[Account]:
        """See `AccountStore`."""
        (found,) = await self._database.read([Query(_ACCOUNTS) if tenant is None else Query(_ACCOUNTS_OF, {"tenant": tenant})])
        return [_account(row) for row in found]

    async def add_account(self, account: Account, entry: Entry | None = None) -> None:
        """See `AccountStore`."""
        await write_audited(self._database, [Op(_NEW_ACCOUNT, _row(account), expect=1)], entry)

    async def put_account(self, account: Account, ending: Ending = Ending.NONE, entry: Entry | None = None) -> None:
        """See `AccountStore`."""
        await write_audited(self._database, [Op(_PUT_ACCOUNT, _row(account)), *_ending(account, ending)], entry)

    async def change_account(self, before: Account, after: Account, entry: Entry | None = None, ending: Ending = Ending.NONE) -> None:
        """See `AccountStore`."""
        values = {"called": before.name, "in_tenant": after.tenant, "before": _row(before)["body"], "after": _row(after)["body"]}
        await write_audited(self._database, [Op(_CHANGE_ACCOUNT, values, expect=1), *_ending(after, ending)], entry)

    async def count_accounts(self) -> int:
        """See `AccountStore`."""
        (found,) = await self._database.read([Query(_COUNT)])
        return int(found[0][0])

    async def roles(self, tenant: str) -> Sequence[Role]:
        """See `AccountStore`."""
        (found,) = await self._database.read([Query(_ROLES, {"tenant": tenant})])
        return [_role(load_row(row[0])) for row in found]

    async def add_role(self, tenant: str, role: Role, entry: Entry | None = None) -> None:
        """See `AccountStore`."""
        body = {"name": role.name, "privileges": sorted(role.privileges), "workflow_names": list(role.workflow_names)}
        await write_audited(self._database, [Op(_NEW_ROLE, {"tenant": tenant, "name": role.name, "body": dump_row(body)}, expect=1)], entry)

    async def remove_role(self, tenant: str, name: str, entry: Entry | None = None) -> None:
        """See `AccountStore`."""
        await write_audited(self._database, [Op(_END_ROLE, {"of": tenant, "called": name}, _one(entry))], entry)

    async def put_session(self, session: Session, entry: Entry | None = None) -> None:
        """See `AccountStore`."""
        row = {
            "token_hash": session.token_hash,
            "user": session.user,
            "is_token": int(session.is_token),
            "expires_at": session.expires_at,
            "body": dump_row(asdict(session) | {"privileges": None if session.privileges is None else sorted(session.privileges)}),
        }
        await write_audited(self._database, [Op(_PUT_SESSION, row)], entry)

    async def session(self, token_hash: str) -> Session | None:
        """See `AccountStore`."""
        (found,) = await self._database.read([Query(_SESSION, {"token_hash": token_hash})])
        return _session(found[0]) if found else None

    async def sessions_of(self, user: str) -> Sequence[Session]:
        """See `AccountStore`."""
        (found,) = await self._database.read([Query(_SESSIONS_OF, {"name": user})])
        return sorted(map(_session, found), key=lambda each: (-each.created_at, each.id))

    async def end_session(self, token_hash: str, entry: Entry | None = None) -> None:
        """See `AccountStore`."""
        await write_audited(self._database, [Op(_END, {"token_hash": token_hash}, _one(entry))], entry)

    async def known_places(self, oldest: int) -> Sequence[tuple[str, str, int]]:
        """See `PlaceStore`."""
        (found,) = await self._database.read([Query(_PLACES, {"oldest": oldest})])
        return [(row[0], row[1], row[2]) for row in found]

    async def put_known_place(self, user: str, place: str, now: int, *, most: int, oldest: int) -> None:
        """See `PlaceStore`."""
        put = Op(_PUT_PLACE, {"user": user, "place": place, "noted_at": now})
        await self._database.write([put, Op(_END_PLACES, {"name": user, "most": most}), Op(_END_OLD_PLACES, {"oldest": oldest})])

    async def end_expired_sessions(self, now: int) -> None:
        """See `AccountStore`."""
        await self._database.write([Op(_END_EXPIRED, {"now": now})])


def _ending(account: Account, ending: Ending) -> list[Op]:
    return [Op(_ENDINGS[ending], {"name": account.name})] if ending in _ENDINGS else []


def _one(entry: Entry | None) -> int | None:
    """Return how many rows have to go: what is recorded has to have been there."""
    return None if entry is None else 1


def _row(account: Account) -> dict[str, Any]:
    return {"name": account.name, "tenant": account.tenant, "subject": account.subject, "body": dump_row(asdict(account))}


def _account(row: Row) -> Account:
    plain = load_row(row[0])
    return Account(
        plain["name"],
        plain["tenant"],
        plain["password_hash"],
        tuple(plain["roles"]),
        plain["is_disabled"],
        subject=plain["subject"],
        told_at=plain["told_at"],
    )


def _session(row: Row) -> Session:
    plain = load_row(row[0])
    privileges = plain["privileges"]
    return Session(
        token_hash=plain["token_hash"],
        user=plain["user"],
        tenant=plain["tenant"],
        roles=tuple(plain["roles"]),
        expires_at=plain["expires_at"],
        credential=plain["credential"],
        created_at=plain["created_at"],
        address=plain["address"],
        token_name=plain["token_name"],
        privileges=None if privileges is None else frozenset(map(Privilege, privileges)),
    )


def _role(plain: Mapping[str, Any]) -> Role:
    return Role(plain["name"], frozenset(map(Privilege, plain["privileges"])), tuple(plain["workflow_names"]))
