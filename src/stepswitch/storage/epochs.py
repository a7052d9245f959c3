"""Which restore of a backup a store went through last, over any `Database`. Called by `bootstrap`."""

from typing import Final

from sqlalchemy import func, insert, select

from stepswitch.engine.audit import Entry
from stepswitch.storage.audit import write_audited
from stepswitch.storage.database import Database, Op, Query, Statement
from stepswitch.storage.tables import epochs

_CURRENT: Final = Statement(select(func.max(epochs.c.id)))
_BEGIN: Final = Statement(insert(epochs))


async def current_epoch(database: Database) -> str:
    """Return the epoch of a store; empty where it was never restored."""
    (((epoch,),),) = await database.read([Query(_CURRENT)])
    return epoch or ""


async def begin_epoch(database: Database, epoch: str, now: int, backed_up_at: int, entry: Entry | None = None) -> None:
    """Give a store that was restored now, from the backup of `backed_up_at`, the epoch that it has from now on."""
    await write_audited(database, [Op(_BEGIN, {"id": epoch, "begun_at": now, "backed_up_at": backed_up_at}, 1)], entry)
