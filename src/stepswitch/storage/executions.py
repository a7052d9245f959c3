"""Executions with their rows, over any `Database`. Implements `engine.ports.ExecutionStore`."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

from sqlalchemy import and_, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from stepswitch.domain.errors import VersionConflictError
from stepswitch.domain.execution import ENDED, Head, LogEntry, StepExecution
from stepswitch.domain.states import StepState
from stepswitch.domain.values import Value
from stepswitch.engine.audit import Entry
from stepswitch.engine.records import WHOLE_LOG, Creation, LogPage, OpenClaim, RequestMark, Save, Snapshot, Standing
from stepswitch.storage.audit import write_audited
from stepswitch.storage.commits import lines_op, removal_ops, save_op
from stepswitch.storage.database import Database, Op, Query, Row, Statement
from stepswitch.storage.documents import snapshot_in
from stepswitch.storage.encoding import (
    Apart,
    Large,
    digests_of_head,
    digests_of_step,
    dump_head,
    dump_steps,
    head_from,
    load,
    load_large,
    load_steps,
    searchable,
    step_from,
)
from stepswitch.storage.file_uses import add_uses, change_uses, drop_uses, execution_owner
from stepswitch.storage.locks import lock_ops
from stepswitch.storage.logs import are_logged, log_ops, read_logs
from stepswitch.storage.places import head_place, large_place, steps_place
from stepswitch.storage.requests import add_mark
from stepswitch.storage.searched import searched_context
from stepswitch.storage.snapshots import StoredSnapshots, add_snapshot, drop_snapshots, if_there, snapshot_query
from stepswitch.storage.tables import claims, executions, large_values, locks, logs, snapshot_uses, step_executions

_E, _S, _C, _U = executions.c, step_executions.c, claims.c, snapshot_uses.c
_DIGESTS_AT_ONCE: Final = 200
NEVER_DUE: Final = 2**63 - 1
"""The time at which a step may be taken that waits for a lock: it stands in the queue, and nobody takes it from there."""

_CHANGED: Final = (
    *("version", "status", "snapshot_id", "end_time", "retained_til"),
    *("runnable_since", "not_before", "cleanup_number", "awaits", "awaits_until", "body", "sealed_with"),
)
_INSERT: Final = Statement(
    insert(executions).values({**{each.name: bindparam(each.name, type_=each.type) for each in _E}, "snapshot_id": if_there("snapshot_id")})
)
"""Refused, for a column that cannot be NULL, where its snapshot is not there."""
_UPDATE: Final = Statement(
    update(executions)
    .where(_E.id == bindparam("the_id"), _E.version == bindparam("read_version"))
    .values(
        {
            **{name: bindparam(name) for name in _CHANGED},
            "lane": func.coalesce(bindparam("lane"), _E.lane),
        }
    )
)
_KEEP_USE: Final = Statement(
    upsert(snapshot_uses)
    .from_select(["snapshot_id", "execution_id"], select(_E.snapshot_id, _E.id).where(_E.id == bindparam("execution_id")))
    .on_conflict_do_nothing()
)
"""Note, before an edit puts another snapshot into the head, that earlier steps refer to the one there now."""
_ADD_STEPS: Final = Statement(insert(step_executions))
_ADD_LARGE: Final = Statement(upsert(large_values).on_conflict_do_nothing())
_ADD_CLAIM: Final = Statement(upsert(claims).on_conflict_do_nothing())
_END_CLAIM: Final = Statement(delete(claims).where(_C.execution_id == bindparam("execution_id"), _C.nonce != bindparam("kept_nonce")))
_SIGN: Final = Statement(update(claims).where(_C.nonce == bindparam("the_nonce")).values(last_sign=bindparam("now")))

_HEAD: Final = Statement(select(_E.body, _E.tenant).where(_E.id == bindparam("id")))
_SIZES: Final = (
    select(_S.first, (func.sum(func.length(_S.body)).over(order_by=_S.first) - func.length(_S.body)).label("before"))
    .where(
        _S.execution_id == bindparam("execution_id"),
        _S.first
        >= select(func.coalesce(func.max(_S.first), 0))
        .where(_S.execution_id == bindparam("execution_id"), _S.first <= bindparam("first"))
        .scalar_subquery(),
        _S.first < bindparam("last"),
    )
    .order_by(_S.first)
    .limit(bindparam("rows"))
    .subquery()
)
_STEPS: Final = Statement(
    select(_S.body)
    .join_from(_SIZES, step_executions, and_(_S.execution_id == bindparam("execution_id"), _S.first == _SIZES.c.first))
    .where(_SIZES.c.before < bindparam("limit_bytes"))
    .order_by(_S.first)
)
"""Up to the row that fills the limit, as of the log."""
_IS_WANTED: Final = and_(
    large_values.c.execution_id == bindparam("execution_id"),
    large_values.c.digest.in_([bindparam(f"d{place}") for place in range(_DIGESTS_AT_ONCE)]),
)
_LARGE: Final = Statement(select(large_values.c.digest, large_values.c.body).where(_IS_WANTED))
_LARGE_SIZES: Final = Statement(select(large_values.c.digest, func.length(large_values.c.body)).where(_IS_WANTED))
_SNAPSHOT_IDS: Final = Statement(select(_U.snapshot_id).where(_U.execution_id == bindparam("id")))
_LOG_END: Final = Statement(select(func.max(logs.c.place)).where(logs.c.execution_id == bindparam("id")))
_CLAIM_COLUMNS: Final = (_C.execution_id, _C.number, _C.attempt, _C.nonce, _C.instance, _C.last_sign, _C.deadline)
_OPEN_CLAIMS: Final = Statement(
    select(*_CLAIM_COLUMNS).where(or_(_C.last_sign < bindparam("silent_since"), _C.deadline <= bindparam("now")))
)
_FOREIGN_CLAIMS: Final = Statement(select(*_CLAIM_COLUMNS).where(_C.instance != bindparam("instance")))
_CLEANUPS: Final = Statement(select(_E.id).where(_E.cleanup_number.is_not(None)).limit(bindparam("rows")))
_UNFINISHED: Final = Statement(
    select(_E.id).where(_E.end_time.is_(None), _E.id > bindparam("after")).order_by(_E.id).limit(bindparam("rows"))
)
_AWAITED: Final = executions.alias()
_UNHEARD: Final = Statement(
    select(_E.id)
    .join_from(executions, _AWAITED, _AWAITED.c.id == _E.awaits, isouter=True)
    .where(_E.awaits.is_not(None), or_(_AWAITED.c.id.is_(None), _AWAITED.c.end_time.is_not(None)))
    .union(select(_E.id).where(_E.awaits_until.is_not(None), _E.awaits_until <= bindparam("now")))
)
_AWAITING: Final = Statement(
    select(_E.id).where(_E.awaits.is_not(None), _E.id > bindparam("after")).order_by(_E.id).limit(bindparam("rows"))
)
_IS_EXPIRED: Final = and_(_E.end_time.is_not(None), _E.retained_til <= bindparam("now"), _E.cleanup_number.is_(None))
_EXPIRED: Final = Statement(select(_E.id).where(_IS_EXPIRED).order_by(_E.retained_til).limit(bindparam("rows")))
_DELETES: Final = tuple(
    Statement(delete(table).where(column == bindparam("execution_id")))
    for table, column in (
        (claims, _C.execution_id),
        (locks, locks.c.execution_id),
        (logs, logs.c.execution_id),
        (step_executions, _S.execution_id),
        (large_values, large_values.c.execution_id),
        (snapshot_uses, _U.execution_id),
        (executions, _E.id),
    )
)


class SqlExecutionStore:
    """Executions in tables."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._stored = StoredSnapshots()

    # --- writing ---

    async def create(self, save: Save, snapshot: Snapshot, mark: RequestMark | None = None) -> None:
        """See `ExecutionStore`."""
        ops = [*self._creation(save), *(() if mark is None else (add_mark(mark),))]
        if snapshot.id in self._stored:
            try:
                await write_audited(self._database, ops, save.entry)
            except VersionConflictError:  # perhaps because the snapshot is gone
                self._stored.discard(snapshot.id)
            else:
                return
        await write_audited(self._database, [add_snapshot(snapshot), *ops], save.entry)
        self._stored.add(snapshot.id)

    def _creation(self, save: Save) -> list[Op]:
        head = save.head
        large = self._large(head)
        row = {
            **_columns(save, large),
            "id": head.id,
            "tenant": head.tenant,
            "workflow_id": head.workflow_id,
            "creation_user": head.creation_user,
            "creation_time": head.creation_time,
            "workflow_name": searchable(head.workflow_name),
            "context_type": head.context_type.value,
            "context": searched_context(save.searched_context),
        }
        uses = add_uses(head.tenant, execution_owner(head.id), set(head.attachments.values()))
        return [Op(_INSERT, row, 1, _place_of(head)), *_row_ops(save, large), *uses]

    async def save(self, save: Save, snapshot: Snapshot | None = None, creation: Creation | None = None) -> None:
        """See `ExecutionStore`."""
        head = save.head
        large = self._large(head)
        row = {**_columns(save, large), "the_id": head.id, "read_version": head.version - 1}
        edit = [] if snapshot is None else [Op(_KEEP_USE, {"execution_id": head.id}), add_snapshot(snapshot)]
        uses = change_uses(save) if save.taken_files or save.left_files else ()
        made = [] if creation is None else [add_snapshot(creation.snapshot), *self._creation(creation.save)]
        ops = [*edit, Op(_UPDATE, row, 1, _place_of(head)), *_row_ops(save, large), *uses, *made]
        await write_audited(self._database, ops, save.entry if creation is None else creation.save.entry)

    def _large(self, head: Head) -> Large:
        return Large(self._database.sealer.digest) if head.is_confidential else Large()

    async def append_logs(self, execution_id: str, logs: Sequence[LogEntry], *, again: bool = False, is_confidential: bool = False) -> None:
        """See `ExecutionStore`."""
        if logs:
            if again and await are_logged(self._database, execution_id, logs):
                return
            lines = log_ops(execution_id, logs, is_confidential=is_confidential, with_save=False)
            await self._database.write([*lines, lines_op(execution_id, logs, log_rows=len(lines))])

    async def sign(self, nonces: Sequence[str], now: int) -> Sequence[str]:
        """See `ExecutionStore`."""
        if not nonces:
            return []
        counts = await self._database.write([Op(_SIGN, {"the_nonce": nonce, "now": now}) for nonce in nonces])
        return [nonce for nonce, count in zip(nonces, counts, strict=True) if count]

    async def delete(self, execution_id: str, entry: Entry | None = None) -> None:
        """See `ExecutionStore`."""
        ops = [drop_snapshots(execution_id), *(Op(statement, {"execution_id": execution_id}) for statement in _DELETES)]
        await write_audited(self._database, [*removal_ops(execution_id), *ops, drop_uses(execution_owner(execution_id))], entry)

    # --- reading ---

    async def load(self, execution_id: str) -> Head | None:
        """See `ExecutionStore`."""
        (found,) = await self._database.read([_head_query(execution_id)])
        return await self._head_of(execution_id, found)

    async def _head_of(self, execution_id: str, found: Sequence[Row]) -> Head | None:
        if not found:
            return None
        plain = load(found[0][0])
        digests = digests_of_head(plain)
        apart = await self._apart(execution_id, digests) if digests else {}
        return None if apart is None else head_from(plain, apart)

    async def standing(self, execution_id: str) -> Standing | None:
        """See `ExecutionStore`."""
        others = [Query(statement, {"id": execution_id}) for statement in (_SNAPSHOT_IDS, _LOG_END)]
        found, used, ((log_end,),) = await self._database.read([_head_query(execution_id), *others])
        head = await self._head_of(execution_id, found)
        return None if head is None else Standing(head, frozenset({head.snapshot_id, *(row[0] for row in used)}), log_end or 0)

    async def snapshot(self, snapshot_id: str) -> Snapshot | None:
        """See `ExecutionStore`."""
        (found,) = await self._database.read([snapshot_query(snapshot_id)])
        return Snapshot(snapshot_id, found[0][0], **snapshot_in(found[0][1])) if found else None

    async def steps(self, execution_id: str, first: int = 0, count: int = 1_000, limit_bytes: int = 8_000_000) -> Sequence[StepExecution]:
        """See `ExecutionStore`."""
        params = {"execution_id": execution_id, "first": first, "last": first + count, "rows": count, "limit_bytes": limit_bytes}
        (found,) = await self._database.read([Query(_STEPS, params, place=lambda _: steps_place(execution_id))])
        plain = [step for (body,) in found for step in load_steps(body) if first <= step["number"] < first + count]
        digests = [digests_of_step(step) for step in plain]
        if not any(digests):
            return [step_from(step, {}) for step in plain]
        plain = plain[: await self._fitting(execution_id, digests, limit_bytes)]
        apart = await self._apart(execution_id, set().union(*digests[: len(plain)]))
        return [] if apart is None else [step_from(step, apart) for step in plain]

    async def _fitting(self, execution_id: str, digests: Sequence[AbstractSet[str]], limit_bytes: int) -> int:
        """Return how many steps fit into the limit with the large values that they refer to; one always does."""
        rows = await self._by_digest(_LARGE_SIZES, execution_id, set().union(*digests))
        sizes: dict[str, int] = {row[0]: row[1] for row in rows}
        total = 0
        for place, of_step in enumerate(digests):
            total += sum(sizes.get(digest, 0) for digest in of_step)
            if total > limit_bytes:
                return max(1, place)
        return len(digests)

    async def logs(self, execution_id: str, page: LogPage = WHOLE_LOG) -> tuple[Sequence[LogEntry], LogPage | None]:
        """See `ExecutionStore`."""
        return await read_logs(self._database, execution_id, page)

    async def log_end(self, execution_id: str) -> int:
        """See `ExecutionStore`."""
        (found,) = await self._database.read([Query(_LOG_END, {"id": execution_id})])
        return (found[0][0] or 0) if found else 0

    async def open_claims(self, silent_since: int, now: int) -> Sequence[OpenClaim]:
        """See `ExecutionStore`."""
        (found,) = await self._database.read([Query(_OPEN_CLAIMS, {"silent_since": silent_since, "now": now})])
        return [OpenClaim(*row) for row in found]

    async def foreign_claims(self, instance: str) -> Sequence[OpenClaim]:
        """See `ExecutionStore`."""
        (found,) = await self._database.read([Query(_FOREIGN_CLAIMS, {"instance": instance})])
        return [OpenClaim(*row) for row in found]

    async def cleanups(self, count: int) -> Sequence[str]:
        """See `ExecutionStore`."""
        (found,) = await self._database.read([Query(_CLEANUPS, {"rows": count})])
        return [execution_id for (execution_id,) in found]

    async def unheard(self, now: int) -> Sequence[str]:
        """See `ExecutionStore`."""
        (found,) = await self._database.read([Query(_UNHEARD, {"now": now})])
        return [execution_id for (execution_id,) in found]

    async def awaiting(self, after: str, count: int) -> Sequence[str]:
        """See `ExecutionStore`."""
        (found,) = await self._database.read([Query(_AWAITING, {"after": after, "rows": count})])
        return [execution_id for (execution_id,) in found]

    async def unfinished(self, after: str, count: int) -> Sequence[str]:
        """Return ids of executions that have not ended, in their order, behind the one named; asked by a restore only."""
        (found,) = await self._database.read([Query(_UNFINISHED, {"after": after, "rows": count})])
        return [execution_id for (execution_id,) in found]

    async def expired(self, now: int, count: int) -> Sequence[str]:
        """See `ExecutionStore`."""
        (found,) = await self._database.read([Query(_EXPIRED, {"now": now, "rows": count})])
        return [execution_id for (execution_id,) in found]

    async def _apart(self, execution_id: str, digests: AbstractSet[str]) -> Apart | None:
        """Return the large values of an execution; None where somebody deleted it meanwhile."""
        found: dict[str, Value] = {digest: load_large(body) for digest, body in await self._by_digest(_LARGE, execution_id, digests)}
        if len(found) < len(digests) and not (await self._database.read([_head_query(execution_id)]))[0]:
            return None
        return found

    async def _by_digest(self, statement: Statement, execution_id: str, digests: AbstractSet[str]) -> list[Row]:
        wanted, queries = list(digests), []
        for start in range(0, len(wanted), _DIGESTS_AT_ONCE):
            page = wanted[start : start + _DIGESTS_AT_ONCE]
            padded = {f"d{place}": page[min(place, len(page) - 1)] for place in range(_DIGESTS_AT_ONCE)}
            queries.append(Query(statement, {"execution_id": execution_id, **padded}, place=lambda row: large_place(execution_id, row[0])))
        return [row for rows in await self._database.read(queries) for row in rows] if queries else []


def _head_query(execution_id: str) -> Query:
    return Query(_HEAD, {"id": execution_id}, place=lambda row: head_place(row[1], execution_id))


def _place_of(head: Head) -> bytes | None:
    return head_place(head.tenant, head.id) if head.is_confidential else None


def _columns(save: Save, large: Large) -> dict[str, Any]:
    head = save.head
    current = head.current
    runnable = current is not None and current.work.state is StepState.EXECUTABLE and head.status not in ENDED
    child = None if current is None else current.awaits
    return {
        "version": head.version,
        "status": head.status.value,
        "snapshot_id": head.snapshot_id,
        "end_time": head.end_time,
        "retained_til": head.retained_til,
        "runnable_since": current.work.since if current is not None and runnable else None,
        "lane": save.lane,
        "not_before": None if current is None or not runnable else NEVER_DUE if head.awaited_lock else current.work.not_before,
        "cleanup_number": head.left_behind[0].number if head.left_behind else None,
        "awaits": None if child is None else child.execution_id,
        "awaits_until": None if child is None or child.is_overdue else child.deadline,
        "body": dump_head(head, large),
    }


def _row_ops(save: Save, large: Large) -> list[Op]:
    """Return what a save appends: step executions, log entries, the commit itself, large values, and the claim where it is new."""
    execution_id, is_confidential = save.head.id, save.head.is_confidential
    ops: list[Op] = []
    if save.rows:
        row = {"execution_id": execution_id, "first": save.rows[0].number, "body": dump_steps(save.rows, large)}
        ops.append(Op(_ADD_STEPS, row, place=steps_place(execution_id) if is_confidential else None))
    lines = log_ops(execution_id, save.logs, is_confidential=is_confidential, with_save=True)
    ops += [*lines, save_op(save, log_rows=len(lines))]
    for digest, body in large.items():
        place = large_place(execution_id, digest) if is_confidential else None
        ops.append(Op(_ADD_LARGE, {"execution_id": execution_id, "digest": digest, "body": body}, place=place))
    return [*ops, *_claim_ops(save), *(() if save.locks is None else lock_ops(save.head, save.locks))]


def _claim_ops(save: Save) -> list[Op]:
    """Return what makes the stored claim the one of the head. One that goes on is left alone: its last sign stands in its row only.

    The first sign of life is that it was asked for, however long before that an attempt has begun whose claim comes late.
    """
    current = save.head.current
    if current is None or (current.claim is None and not any(row.claim for row in save.rows)):
        return []
    work = current.work
    claim = work.claim if work.state is StepState.EXECUTING else None
    end = Op(_END_CLAIM, {"execution_id": save.head.id, "kept_nonce": "" if claim is None else claim.nonce})
    if claim is None:
        return [end]
    row = {
        "execution_id": save.head.id,
        "number": current.number,
        "attempt": current.attempt,
        "nonce": claim.nonce,
        "instance": claim.instance,
        "last_sign": save.head.last_time,
        "deadline": claim.deadline,
    }
    return [end, Op(_ADD_CLAIM, row)]
