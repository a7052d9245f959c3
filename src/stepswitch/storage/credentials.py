"""Credentials, over any `Database`. Implements `engine.credential_ports.CredentialStore`.

Nothing is kept at hand: what was changed or removed, by whichever process, is what the next use finds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, Final

from sqlalchemy import bindparam, delete, insert, select, update

from stepswitch.engine.audit import Entry
from stepswitch.engine.credential_records import KINDS, Credential, kind_of
from stepswitch.storage.audit import write_audited
from stepswitch.storage.database import Database, Op, Query, Row, Statement
from stepswitch.storage.encoding import dump_row, load_row, refuse_foreign
from stepswitch.storage.places import credential_place
from stepswitch.storage.tables import credentials

_C: Final = credentials.c
_THE_STORED: Final = (_C.tenant == bindparam("of"), _C.name == bindparam("called"), _C.revision == bindparam("read_revision"))
_FIND: Final = Statement(select(_C.tenant, _C.name, _C.body).where(_C.tenant == bindparam("of"), _C.name == bindparam("called")))
_ALL: Final = Statement(
    select(_C.tenant, _C.name, _C.body)
    .where(_C.tenant == bindparam("of"), _C.name > bindparam("after"))
    .order_by(_C.name)
    .limit(bindparam("count"))
)
_ADD: Final = Statement(insert(credentials))
_REPLACE: Final = Statement(
    update(credentials).where(*_THE_STORED).values({name: bindparam(name) for name in ("revision", "body", "sealed_with")})
)
_REMOVE: Final = Statement(delete(credentials).where(*_THE_STORED))
_FIELDS: Final = frozenset(each.name for each in fields(Credential)) - {"source"}
_LISTS: Final = ("roles", "workflows", "devices")


class SqlCredentialStore:
    """Credentials in a table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, tenant: str, name: str) -> Credential | None:
        """See `CredentialFinder`."""
        (found,) = await self._database.read([Query(_FIND, {"of": tenant, "called": name}, place=_place_of_row)])
        return _credential(found[0]) if found else None

    async def all(self, tenant: str, after: str, count: int) -> Sequence[Credential]:
        """See `CredentialStore`."""
        (found,) = await self._database.read([Query(_ALL, {"of": tenant, "after": after, "count": count}, place=_place_of_row)])
        return [_credential(row) for row in found]

    async def add(self, credential: Credential, entry: Entry | None = None) -> None:
        """See `CredentialStore`."""
        row = {"tenant": credential.tenant, "name": credential.name, **_columns(credential)}
        await write_audited(self._database, [Op(_ADD, row, 1, _place(credential))], entry)

    async def replace(self, credential: Credential, entry: Entry | None = None) -> None:
        """See `CredentialStore`."""
        row = {**_the_stored(credential, credential.revision - 1), **_columns(credential)}
        await write_audited(self._database, [Op(_REPLACE, row, 1, _place(credential))], entry)

    async def remove(self, credential: Credential, entry: Entry | None = None) -> None:
        """See `CredentialStore`."""
        await write_audited(self._database, [Op(_REMOVE, _the_stored(credential, credential.revision), 1)], entry)


def _the_stored(credential: Credential, revision: int) -> dict[str, Any]:
    return {"of": credential.tenant, "called": credential.name, "read_revision": revision}


def _place(credential: Credential) -> bytes:
    return credential_place(credential.tenant, credential.name)


def _place_of_row(row: Row) -> bytes:
    return credential_place(row[0], row[1])


def _columns(credential: Credential) -> dict[str, Any]:
    source = {"kind": kind_of(credential.source), **asdict(credential.source)}
    return {"revision": credential.revision, "body": dump_row({**asdict(credential), "source": source})}


def _credential(row: Row) -> Credential:
    plain: Mapping[str, Any] = load_row(row[2])
    with refuse_foreign("a credential"):
        source = dict(plain["source"])
        known: dict[str, Any] = {name: tuple(value) if name in _LISTS else value for name, value in plain.items() if name in _FIELDS}
        return Credential(**known, source=KINDS[source.pop("kind")](**source))
