"""Rows of log: what a save or a flush writes, and the pages in which it is read. Called by `executions`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Final

from sqlalchemy import ColumnElement, Integer, LargeBinary, bindparam, func, insert, select, tuple_

from stepswitch.domain.execution import LogEntry
from stepswitch.engine.records import LogOrder, LogPage
from stepswitch.storage.database import Database, Op, Query, Statement
from stepswitch.storage.encoding import dump_logs, logs_from
from stepswitch.storage.places import log_place
from stepswitch.storage.tables import executions, logs

LOG_ROWS: Final = 500
"""Rows of log in one page at most."""
_L = logs.c
_COLUMNS: Final = ("execution_id", "step", "body", "sealed_with")
_ADD: Final = Statement(insert(logs).values({name: bindparam(name) for name in _COLUMNS}))
_ADD_WHERE_IT_IS: Final = Statement(
    insert(logs).from_select(
        _COLUMNS,
        select(executions.c.id, bindparam("step"), bindparam("body", type_=LargeBinary), bindparam("sealed_with", type_=Integer)).where(
            executions.c.id == bindparam("execution_id")
        ),
    )
)
"""Nothing is logged for an execution that is gone: nobody could find it, or remove it. A save finds out by its own row, and takes the other statement:
SQLite can undo one that selects by itself, for which it copies each page that is changed: that takes nearly as long as all the rest."""


def _page(index: str, order: Sequence[Any], *conditions: ColumnElement[bool]) -> Statement:
    """Return the statement for the next rows up to the one that fills the limit: what is behind it is not even read."""
    rows = (
        select(_L.step, _L.place, func.length(_L.body).label("size"))
        .where(_L.execution_id == bindparam("execution_id"), _L.place <= bindparam("until"), *conditions)
        .with_hint(logs, f"INDEXED BY {index}", "sqlite")
        .order_by(*order)
        .limit(LOG_ROWS)
        .subquery()
    )
    before = func.sum(rows.c.size).over(order_by=[rows.c[key.name] for key in order]) - rows.c.size
    sized = select(rows.c.place, rows.c.size, before.label("before")).subquery()
    return Statement(
        select(_L.step, _L.place, sized.c.size, _L.body)
        .join_from(sized, logs, _L.place == sized.c.place)
        .where(sized.c.before < bindparam("limit_bytes"))
        .order_by(*order)
    )


_PAGES: Final[Mapping[LogOrder, Statement]] = {
    LogOrder.COMMITS: _page("logs_by_execution", [_L.place], _L.place > bindparam("after")),
    LogOrder.OWN: _page("logs_by_execution", [_L.place], _L.place > bindparam("after"), _L.step.is_(None)),
    LogOrder.STEPS: _page(
        "logs_by_step",
        [_L.step, _L.place],
        _L.step.is_not(None),
        _L.step >= bindparam("after_step"),
        tuple_(_L.step, _L.place) > tuple_(bindparam("after_step"), bindparam("after")),
    ),
}


_LAST_ROWS: Final = 20
"""In so few rows the lines of a flush are found that was in doubt: since then only saves have logged anything of its step."""
_LAST: Final = Statement(
    select(_L.body)
    .where(_L.execution_id == bindparam("execution_id"), _L.step == bindparam("step"))
    .order_by(_L.place.desc())
    .limit(_LAST_ROWS)
)


def log_ops(execution_id: str, entries: Iterable[LogEntry], *, is_confidential: bool, with_save: bool) -> list[Op]:
    """Return what appends entries: a row for those that follow one another and tell of the same step. `with_save`: behind what writes the execution's own row."""
    rows = groupby(entries, key=lambda entry: entry.step)
    place = log_place(execution_id) if is_confidential else None
    add = _ADD if with_save else _ADD_WHERE_IT_IS
    return [Op(add, {"execution_id": execution_id, "step": step, "body": dump_logs(list(of_step))}, place=place) for step, of_step in rows]


async def are_logged(database: Database, execution_id: str, entries: Sequence[LogEntry]) -> bool:
    """Return whether entries of one step are there as they are, among the last that were written of it."""
    params = {"execution_id": execution_id, "step": entries[0].step}
    (rows,) = await database.read([Query(_LAST, params, place=lambda _: log_place(execution_id))])
    return any(logs_from(body) == list(entries) for (body,) in rows)


async def read_logs(database: Database, execution_id: str, page: LogPage) -> tuple[Sequence[LogEntry], LogPage | None]:
    """Return the entries of a page, and the next page; None at the end."""
    params = {
        "execution_id": execution_id,
        "after_step": page.after_step,
        "after": page.after,
        "until": page.until,
        "limit_bytes": page.limit_bytes,
    }
    (rows,) = await database.read([Query(_PAGES[page.order], params, place=lambda _: log_place(execution_id))])
    entries = [entry for *_, body in rows for entry in logs_from(body)]
    is_full = len(rows) == LOG_ROWS or sum(size for _, _, size, _ in rows) >= page.limit_bytes  # as stored: a body comes without its seal
    if not is_full:
        return entries, None
    step, place, *_ = rows[-1]
    return entries, replace(page, after=place, after_step=page.after_step if step is None else step)
