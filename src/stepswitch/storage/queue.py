"""What can run, in its order, over any `Database`. Implements `engine.dispatching.QueueStore`.

An execution stands in the queue while its step is executable; `lane` is what that stands in line for. All that is asked here is answered
from one index, and counting ends at `COUNTED_PLACES`.
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Final

from sqlalchemy import BindParameter, and_, bindparam, case, func, literal, or_, select, tuple_

from stepswitch.domain.events import lane_of_tenant
from stepswitch.domain.execution import COUNTED_PLACES
from stepswitch.engine.records import ANY, Due, Runnable
from stepswitch.storage.database import Database, Query, Statement
from stepswitch.storage.tables import claims, executions

TURN: Final = "turn"
LANES_PASSED: Final = 100
"""So many crowded lanes are passed over by the database; whoever asked passes over the others."""
_E = executions.c
_IN_LINE: Final = _E.runnable_since.is_not(None)
_place: Final = tuple_(_E.runnable_since, _E.id)
_LANE: Final = func.coalesce(_E.lane, "")
_PASSED: Final[list[BindParameter[str]]] = [bindparam(f"lane{place}") for place in range(LANES_PASSED)]
_RUNNABLE: Final = Statement(
    select(_E.id, _E.runnable_since, _LANE, _E.tenant)
    .where(
        _IN_LINE,
        _place > tuple_(bindparam("since"), bindparam("id")),
        or_(bindparam("turns") == -1, case((_LANE == TURN, 1), else_=0) == bindparam("turns")),
        or_(_E.not_before.is_(None), _E.not_before <= bindparam("before")),
        _LANE.not_in(_PASSED),
        literal(lane_of_tenant("")).concat(_E.tenant).not_in(_PASSED),
    )
    .order_by(_E.runnable_since, _E.id)
    .limit(bindparam("rows"))
)
_BETWEEN: Final = and_(
    _IN_LINE,
    _E.tenant == bindparam("tenant"),
    _place >= tuple_(bindparam("since"), bindparam("id")),
    _place < tuple_(bindparam("to_since"), bindparam("to_id")),
)
_OF_TENANT: Final = select(literal(1)).select_from(executions).where(_BETWEEN).limit(COUNTED_PLACES + 1)
_COUNT_BETWEEN: Final = Statement(
    select(func.count()).select_from(_OF_TENANT.with_hint(executions, "INDEXED BY executions_runnable", "sqlite").subquery())
)
_FIRST: Final = select(_E.tenant).where(_IN_LINE).order_by(_E.runnable_since, _E.id).limit(COUNTED_PLACES + 1).subquery()
_COUNTS: Final = Statement(select(_FIRST.c.tenant, func.count()).group_by(_FIRST.c.tenant))
_COUNT_ALL: Final = Statement(select(func.count()).where(_IN_LINE))
_COUNT_OF_TENANT: Final = Statement(
    select(func.count()).where(_IN_LINE, _E.tenant == bindparam("tenant")).with_hint(executions, "INDEXED BY executions_runnable", "sqlite")
)
_COUNT_CLAIMS_OF_TENANT: Final = Statement(
    select(func.count()).select_from(claims.join(executions, _E.id == claims.c.execution_id)).where(_E.tenant == bindparam("tenant"))
)
_COUNT_STORED: Final = Statement(
    select(func.count()).where(_E.tenant == bindparam("tenant")).with_hint(executions, "INDEXED BY executions_by_id", "sqlite")
)
_COUNT_CLAIMS: Final = Statement(select(func.count()).select_from(claims))


class SqlQueueStore:
    """The queue, as an index of the executions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def runnable(self, after: Runnable | None, count: int, due: Due = ANY) -> Sequence[Runnable]:
        """See `QueueStore`."""
        lanes = sorted(islice(due.crowded, LANES_PASSED))
        params: dict[str, str | int] = {f"lane{place}": lanes[place] if place < len(lanes) else "\0" for place in range(LANES_PASSED)}
        params |= {"since": after.since if after else -1, "id": after.execution_id if after else "", "rows": count}
        params |= {"turns": -1 if due.turns is None else int(due.turns), "before": due.before}
        (found,) = await self._database.read([Query(_RUNNABLE, params)])
        return [Runnable(*row) for row in found]

    async def before(self, tenant: str, of: Sequence[Runnable]) -> Sequence[int]:
        """See `QueueStore`."""
        places = sorted({each.place for each in of})
        bounds = zip([(-1, ""), *places], places, strict=False)
        keys = ("tenant", "since", "id", "to_since", "to_id")
        queries = [Query(_COUNT_BETWEEN, dict(zip(keys, (tenant, *a, *b), strict=True))) for a, b in bounds]
        total, before = 0, {}
        for place, ((between,),) in zip(places, await self._database.read(queries) if queries else (), strict=True):
            before[place] = total = total + between
        return [before[each.place] for each in of]

    async def counts(self) -> Mapping[str, int]:
        """See `QueueStore`."""
        (found,) = await self._database.read([Query(_COUNTS, {})])
        return {tenant: int(waiting) for tenant, waiting in found}

    async def under_way(self) -> int:
        """See `QueueStore`."""
        (((waiting,),), ((running,),)) = await self._database.read([Query(_COUNT_ALL, {}), Query(_COUNT_CLAIMS, {})])
        return int(waiting + running)

    async def under_way_of(self, tenant: str) -> int:
        """See `QueueStore`."""
        of_tenant = {"tenant": tenant}
        counts = await self._database.read([Query(_COUNT_OF_TENANT, of_tenant), Query(_COUNT_CLAIMS_OF_TENANT, of_tenant)])
        return sum(int(count) for ((count,),) in counts)

    async def stored(self, tenant: str) -> int:
        """See `QueueStore`."""
        (((count,),),) = await self._database.read([Query(_COUNT_STORED, {"tenant": tenant})])
        return int(count)
