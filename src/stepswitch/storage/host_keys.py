"""Trusted host keys, over any `Database`. Implements `engine.ports.HostKeyStore`."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects.sqlite import insert as upsert

from stepswitch.engine.audit import Entry
from stepswitch.engine.records import TrustedKey
from stepswitch.storage.audit import write_audited
from stepswitch.storage.database import Database, Op, Query, Row, Statement
from stepswitch.storage.tables import host_keys

_H = host_keys.c
_COLUMNS: Final = (_H.host, _H.port, _H.public_key, _H.added_by, _H.added_at)
_OF_ONE: Final = Statement(select(*_COLUMNS).where(_H.host == bindparam("host"), _H.port == bindparam("port")).order_by(_H.public_key))
_ALL: Final = Statement(select(*_COLUMNS).order_by(_H.host, _H.port, _H.public_key))
_TRUST: Final = Statement(upsert(host_keys).on_conflict_do_nothing())
_FORGET: Final = Statement(delete(host_keys).where(_H.host == bindparam("host"), _H.port == bindparam("port")))


class SqlHostKeyStore:
    """Host keys in a table, read anew for each connection: what one process trusts, every worker trusts at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def trusted(self, host: str, port: int) -> Sequence[TrustedKey]:
        """See `HostKeyStore`."""
        (found,) = await self._database.read([Query(_OF_ONE, {"host": host, "port": port})])
        return _keys(found)

    async def all(self) -> Sequence[TrustedKey]:
        """See `HostKeyStore`."""
        (found,) = await self._database.read([Query(_ALL)])
        return _keys(found)

    async def trust(self, key: TrustedKey, entry: Entry | None = None) -> None:
        """See `HostKeyStore`."""
        await write_audited(self._database, [Op(_TRUST, asdict(key))], entry)

    async def forget(self, host: str, port: int, entry: Entry | None = None) -> int:
        """See `HostKeyStore`."""
        found = await self.trusted(host, port)
        if not found:
            return 0
        (count,) = await write_audited(self._database, [Op(_FORGET, {"host": host, "port": port}, len(found))], entry)
        return count


def _keys(rows: Sequence[Row]) -> list[TrustedKey]:
    return [TrustedKey(*row) for row in rows]
