"""Commits in their order, for those who follow them. Implements `engine.ports.CommitLog`; written by `executions`, in the transaction of each commit.

A row says how an execution stood then, and where the rest is: finished steps and lines of log stand in their own tables, once.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Integer, LargeBinary, and_, bindparam, delete, exists, func, insert, null, or_, select, update

from stepswitch.domain.execution import LogEntry, StepExecution
from stepswitch.engine.commits import Commit, CommitPage, CommitRow, Position
from stepswitch.engine.records import Save
from stepswitch.storage.database import Database, Op, Query, Row, Statement
from stepswitch.storage.encoding import load_steps, logs_from, step_from
from stepswitch.storage.outlines import dump_outline, load_outline
from stepswitch.storage.places import log_place, outline_place, steps_place
from stepswitch.storage.tables import commits, executions, logs, snapshot_uses, step_executions

PAGE: Final = 200
"""Commits in one page at most."""
WINDOW: Final = 5_000
"""Places that one page of a tenant looks through: what others have is to be passed over, and no other read is to wait for that."""
PORTION: Final = 500
"""Commits that are forgotten at once."""
_NO_VALUES: Final[Mapping[str, Any]] = {"inputs": {}, "outputs": {}, "claim": None}
_C, _E, _L, _S = commits.c, executions.c, logs.c, step_executions.c

# --- writing ---

_LOG_END: Final = func.coalesce(select(func.max(_L.place)).scalar_subquery(), 0)
"""The lines of a commit are written right before it: they are the last ones then."""
_ADD_SAVE: Final = Statement(
    insert(commits).values(
        tenant=bindparam("the_tenant"),
        execution_id=bindparam("the_id"),
        time=bindparam("now"),
        first_step=bindparam("first"),
        log_rows=bindparam("lines"),
        log_end=_LOG_END,
        outline=bindparam("body", type_=LargeBinary),
        sealed_with=bindparam("sealed_with", type_=Integer),
    )
)
_LINE_COLUMNS: Final = ("tenant", "execution_id", "time", "log_rows", "log_end")


def _of_execution(*columns: ColumnElement[Any]) -> Any:
    return select(_E.tenant, _E.id, *columns).where(_E.id == bindparam("execution_id"))


_ADD_LINES: Final = Statement(insert(commits).from_select(_LINE_COLUMNS, _of_execution(bindparam("now"), bindparam("lines"), _LOG_END)))
_NEWEST_PLACE: Final = select(func.max(_C.place)).scalar_subquery()
_NEWEST_TIME: Final = func.coalesce(select(_C.time).where(_C.place == _NEWEST_PLACE).scalar_subquery(), 0)
_ADD_REMOVAL: Final = Statement(
    insert(commits).from_select(
        [*_LINE_COLUMNS, "creation_user", "workflow_name"],
        _of_execution(_NEWEST_TIME, bindparam("none"), bindparam("nothing"), _E.creation_user, _E.workflow_name),
    )
)
"""Its time is that of the commit before it: the store has no clock."""
_EMPTY: Final = Statement(
    update(commits)
    .where(_C.execution_id == bindparam("the_id"), or_(_C.outline.is_not(None), _C.log_rows > 0))
    .values(outline=null(), sealed_with=null(), first_step=null(), log_rows=1, log_end=0)
)
"""They look like flushes without lines then, and not like removals."""


def save_op(save: Save, log_rows: int) -> Op:
    """Return what notes a save that has just written so many rows of log."""
    head = save.head
    params = {
        "the_tenant": head.tenant,
        "the_id": head.id,
        "now": head.last_time,
        "first": save.rows[0].number if save.rows else None,
        "lines": log_rows,
        "body": dump_outline(head),
    }
    return Op(_ADD_SAVE, params, place=outline_place(head.id) if head.is_confidential else None)


def lines_op(execution_id: str, entries: Sequence[LogEntry], log_rows: int) -> Op:
    """Return what notes lines of log that were just written as so many rows; nothing where the execution is gone."""
    return Op(_ADD_LINES, {"execution_id": execution_id, "now": entries[-1].time, "lines": log_rows})


def removal_ops(execution_id: str) -> list[Op]:
    """Return what notes that an execution is removed, and empties its earlier commits; to be carried out before it is."""
    marker = {"execution_id": execution_id, "none": 0, "nothing": 0}
    return [Op(_EMPTY, {"the_id": execution_id}), Op(_ADD_REMOVAL, marker)]


# --- reading ---

_LINES_OF: Final = and_(_L.place > _C.log_end - _C.log_rows, _L.place <= _C.log_end)
_STEPS_OF: Final = and_(_S.execution_id == _C.execution_id, _S.first == _C.first_step)
_SIZE: Final = (
    func.coalesce(func.length(_C.outline), 0)
    + func.coalesce(select(func.sum(func.length(_L.body))).where(_LINES_OF).scalar_subquery(), 0)
    + func.coalesce(select(func.length(_S.body)).where(_STEPS_OF).scalar_subquery(), 0)
)


def _rows(*conditions: ColumnElement[bool]) -> Statement:
    return Statement(
        select(_C.place, _C.time, _C.tenant, _C.execution_id, _SIZE)
        .where(_C.place > bindparam("after"), _C.place <= bindparam("until"), *conditions)
        .order_by(_C.place)
        .limit(PAGE)
    )


_ALL: Final = _rows()
_OF_TENANT: Final = _rows(_C.tenant == bindparam("tenant"))
_OF_EXECUTION: Final = _rows(_C.execution_id == bindparam("execution_id"))
_OLDEST: Final = Statement(select(func.min(_C.place)))
_NEWEST: Final = Statement(select(_C.place, _C.time).where(_C.place == _NEWEST_PLACE))
_NEWEST_OF: Final = Statement(
    select(_C.place, _C.time).where(_C.execution_id == bindparam("execution_id")).order_by(_C.place.desc()).limit(1)
)
_TIME_AT: Final = Statement(select(_C.time).where(_C.place == bindparam("place")))
_WANTED: Final = _C.place.in_([bindparam(f"p{number}") for number in range(PAGE)])
_IS_EDITED: Final = exists().where(snapshot_uses.c.execution_id == _C.execution_id)
_OUTLINES: Final = Statement(
    select(_C.place, _C.execution_id, _C.outline, _C.log_rows, _C.creation_user, _C.workflow_name, _IS_EDITED).where(_WANTED)
)
_LINES: Final = Statement(select(_C.place, _C.execution_id, _L.body).join_from(commits, logs, _LINES_OF).where(_WANTED).order_by(_L.place))
_STEPS: Final = Statement(select(_C.place, _C.execution_id, _S.body).join_from(commits, step_executions, _STEPS_OF).where(_WANTED))
_CONTENTS: Final[Sequence[tuple[Statement, Callable[[Row], bytes]]]] = (
    (_OUTLINES, lambda row: outline_place(row[1])),
    (_LINES, lambda row: log_place(row[1])),
    (_STEPS, lambda row: steps_place(row[1])),
)
_PORTION: Final = select(_C.place, _C.time).order_by(_C.place).limit(PORTION).subquery()
_FORGET: Final = Statement(
    delete(commits).where(
        _C.place <= select(func.max(_PORTION.c.place)).where(_PORTION.c.time < bindparam("before")).scalar_subquery(),
        _C.place < _NEWEST_PLACE,
    )
)
"""Only ever the oldest: so nothing is missing behind a commit that is still there."""


class SqlCommitLog:
    """Commits in a table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(self, execution_id: str | None = None) -> Position:
        """See `CommitLog`."""
        query = Query(_NEWEST) if execution_id is None else Query(_NEWEST_OF, {"execution_id": execution_id})
        (found,) = await self._database.read([query])
        return Position(*found[0]) if found else Position(0, 0)

    async def time_at(self, place: int) -> int | None:
        """See `CommitLog`."""
        (found,) = await self._database.read([Query(_TIME_AT, {"place": place})])
        return found[0][0] if found else None

    async def page(self, after: int, until: int, *, tenant: str | None = None, execution_id: str | None = None) -> CommitPage:
        """See `CommitLog`."""
        params: dict[str, Any] = {"after": after, "until": until}
        statement = _ALL
        if execution_id is not None:
            statement, params["execution_id"] = _OF_EXECUTION, execution_id
        elif tenant is not None:
            until = min(until, after + WINDOW)
            statement, params = _OF_TENANT, {"after": after, "until": until, "tenant": tenant}
        found, oldest = await self._database.read([Query(statement, params), Query(_OLDEST)])
        rows = [CommitRow(*row) for row in found]
        first = oldest[0][0]
        return CommitPage(rows, rows[-1].place if len(rows) == PAGE else until, is_whole=first is None or after + 1 >= first)

    async def read(self, rows: Sequence[CommitRow]) -> Sequence[Commit]:
        """See `CommitLog`."""
        if not rows:
            return []
        places = [row.place for row in rows[:PAGE]]
        params = {f"p{number}": places[min(number, len(places) - 1)] for number in range(PAGE)}
        outlines, lines, steps = await self._database.read([Query(each, params, place=place) for each, place in _CONTENTS])
        known = {row[0]: row for row in outlines}
        logged: dict[int, tuple[LogEntry, ...]] = {}
        for place, _, body in lines:
            logged[place] = (*logged.get(place, ()), *logs_from(body))
        finished = {place: tuple(map(_without_values, load_steps(body))) for place, _, body in steps}
        return [
            _commit(row, known[row.place], finished.get(row.place, ()), logged.get(row.place, ()))
            for row in rows[:PAGE]
            if row.place in known
        ]

    async def forget(self, before: int) -> bool:
        """See `CommitLog`."""
        (count,) = await self._database.write([Op(_FORGET, {"before": before})])
        return count >= PORTION


def _without_values(plain: Mapping[str, Any]) -> StepExecution:
    probe = plain.get("probe")
    return step_from({**plain, **_NO_VALUES, "variables": {}, "probe": probe and {**probe, **_NO_VALUES}}, {})


def _commit(row: CommitRow, known: Row, steps: tuple[StepExecution, ...], entries: tuple[LogEntry, ...]) -> Commit:
    _, _, outline, log_rows, creation_user, workflow_name, is_edited = known
    return Commit(
        place=row.place,
        time=row.time,
        tenant=row.tenant,
        execution_id=row.execution_id,
        outline=None if outline is None else load_outline(outline),
        steps=steps,
        logs=entries,
        is_gone=outline is None and not log_rows,
        creation_user=creation_user or "",
        workflow_name=workflow_name or "",
        is_edited=bool(is_edited),
    )
