"""Executions with their rows, over any `Database`. Implements `engine.ports.ExecutionStore`."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import and_, bindparam, delete, exists, func, insert, not_, or_, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from stepswitch.domain.execution import ENDED, Head, LogEntry, StepExecution
from stepswitch.domain.states import StepState
from stepswitch.engine.ports import OpenClaim, Runnable, Save, Snapshot
from stepswitch.storage.database import Database, Op, Query, Statement
from stepswitch.storage.encoding import (
    Large,
    digests_of_head,
    digests_of_step,
    dump,
    dump_head,
    dump_logs,
    dump_steps,
    head_from,
    load,
    logs_from,
    step_from,
)
from stepswitch.storage.tables import claims, executions, large_values, logs, snapshot_uses, snapshots, step_executions

_E, _S, _L, _C = executions.c, step_executions.c, logs.c, claims.c
_DIGESTS_AT_ONCE: Final = 200

_INSERT: Final = Statement(insert(executions))
_UPDATE: Final = Statement(
    update(executions)
    .where(_E.id == bindparam("the_id"), _E.version == bindparam("read_version"))
    .values(
        {
            name: bindparam(name)
            for name in ("version", "status", "snapshot_id", "end_time", "retained_til", "runnable_since", "cleanup_number", "body")
        }
    )
)
_ADD_SNAPSHOT: Final = Statement(upsert(snapshots).on_conflict_do_nothing())
_ADD_USE: Final = Statement(upsert(snapshot_uses).on_conflict_do_nothing())
_ADD_STEPS: Final = Statement(insert(step_executions))
_ADD_LOGS: Final = Statement(insert(logs).values(execution_id=bindparam("execution_id"), body=bindparam("body")))
_ADD_LARGE: Final = Statement(upsert(large_values).on_conflict_do_nothing())
_ADD_CLAIM: Final = Statement(insert(claims))
_END_CLAIM: Final = Statement(delete(claims).where(_C.execution_id == bindparam("execution_id")))
_SIGN: Final = Statement(update(claims).where(_C.nonce == bindparam("the_nonce")).values(last_sign=bindparam("now")))

_HEAD: Final = Statement(select(_E.body).where(_E.id == bindparam("id")))
_SNAPSHOT: Final = Statement(select(snapshots.c.tenant, snapshots.c.body).where(snapshots.c.id == bindparam("id")))
_STEPS: Final = Statement(
    select(_S.body)
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
)
_LOGS: Final = Statement(
    select(_L.place, _L.body)
    .where(_L.execution_id == bindparam("execution_id"), _L.place > bindparam("after"))
    .order_by(_L.place)
    .limit(500)
)
_LARGE: Final = Statement(
    select(large_values.c.digest, large_values.c.body).where(
        large_values.c.execution_id == bindparam("execution_id"),
        large_values.c.digest.in_([bindparam(f"d{place}") for place in range(_DIGESTS_AT_ONCE)]),
    )
)
_CLAIM_COLUMNS: Final = (_C.execution_id, _C.number, _C.attempt, _C.nonce, _C.instance, _C.last_sign, _C.deadline)
_OPEN_CLAIMS: Final = Statement(
    select(*_CLAIM_COLUMNS).where(or_(_C.last_sign < bindparam("silent_since"), _C.deadline <= bindparam("now")))
)
_FOREIGN_CLAIMS: Final = Statement(select(*_CLAIM_COLUMNS).where(_C.instance != bindparam("instance")))
_NONCES: Final = Statement(select(_C.nonce))
_CLEANUPS: Final = Statement(select(_E.id, _E.cleanup_number).where(_E.cleanup_number.is_not(None)).limit(bindparam("rows")))
_RUNNABLE: Final = Statement(
    select(_E.id, _E.runnable_since)
    .where(
        _E.runnable_since.is_not(None),
        or_(
            _E.runnable_since > bindparam("since"),
            and_(_E.runnable_since == bindparam("since"), _E.id > bindparam("id")),
        ),
    )
    .order_by(_E.runnable_since, _E.id)
    .limit(bindparam("rows"))
)
_EXPIRED: Final = Statement(
    select(_E.id).where(_E.end_time.is_not(None), _E.retained_til <= bindparam("now")).order_by(_E.retained_til).limit(bindparam("rows"))
)
_USED: Final = Statement(
    select(_E.snapshot_id)
    .where(_E.id == bindparam("execution_id"))
    .union(select(snapshot_uses.c.snapshot_id).where(snapshot_uses.c.execution_id == bindparam("execution_id")))
)
_DELETES: Final = tuple(
    Statement(delete(table).where(column == bindparam("execution_id")))
    for table, column in (
        (claims, _C.execution_id),
        (logs, _L.execution_id),
        (step_executions, _S.execution_id),
        (large_values, large_values.c.execution_id),
        (snapshot_uses, snapshot_uses.c.execution_id),
        (executions, _E.id),
    )
)
_DROP_UNUSED: Final = Statement(
    delete(snapshots).where(
        snapshots.c.id == bindparam("snapshot_id"),
        not_(exists().where(_E.snapshot_id == snapshots.c.id)),
        not_(exists().where(snapshot_uses.c.snapshot_id == snapshots.c.id)),
    )
)


class SqlExecutionStore:
    """Executions in tables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- writing ---

    async def create(self, save: Save, snapshot: Snapshot) -> None:
        """See `ExecutionStore`."""
        head = save.head
        large: Large = {}
        row = {
            **_columns(head, large),
            "id": head.id,
            "tenant": head.tenant,
            "workflow_id": head.workflow_id,
            "creation_user": head.creation_user,
            "creation_time": head.creation_time,
        }
        await self._database.write([_add_snapshot(snapshot), Op(_INSERT, row, 1), *_row_ops(save, large)])

    async def save(self, save: Save, snapshot: Snapshot | None = None) -> None:
        """See `ExecutionStore`."""
        head = save.head
        large: Large = {}
        row = {**_columns(head, large), "the_id": head.id, "read_version": head.version - 1}
        ops = [Op(_UPDATE, row, 1), *_row_ops(save, large)]
        if snapshot is not None:
            ops += [_add_snapshot(snapshot), Op(_ADD_USE, {"snapshot_id": snapshot.id, "execution_id": head.id})]
        await self._database.write(ops)

    async def append_logs(self, execution_id: str, logs: Sequence[LogEntry]) -> None:
        """See `ExecutionStore`."""
        await self._database.write([Op(_ADD_LOGS, {"execution_id": execution_id, "body": dump_logs(logs)})])

    async def sign(self, nonces: Sequence[str], now: int) -> Sequence[str]:
        """See `ExecutionStore`."""
        counts = await self._database.write([Op(_SIGN, {"the_nonce": nonce, "now": now}) for nonce in nonces])
        return [nonce for nonce, count in zip(nonces, counts, strict=True) if count]

    async def delete(self, execution_id: str) -> None:
        """See `ExecutionStore`."""
        params = {"execution_id": execution_id}
        (used,) = await self._database.read([Query(_USED, params)])
        drops = [Op(_DROP_UNUSED, {"snapshot_id": snapshot_id}) for (snapshot_id,) in used]
        await self._database.write([*(Op(statement, params) for statement in _DELETES), *drops])

    # --- reading ---

    async def load(self, execution_id: str) -> Head | None:
        """See `ExecutionStore`."""
        (found,) = await self._database.read([Query(_HEAD, {"id": execution_id})])
        if not found:
            return None
        plain = load(found[0][0])
        return head_from(plain, await self._large(execution_id, digests_of_head(plain)))

    async def snapshot(self, snapshot_id: str) -> Snapshot | None:
        """See `ExecutionStore`."""
        (found,) = await self._database.read([Query(_SNAPSHOT, {"id": snapshot_id})])
        return Snapshot(snapshot_id, found[0][0], load(found[0][1])) if found else None

    async def steps(self, execution_id: str, first: int = 0, count: int = 1_000) -> Sequence[StepExecution]:
        """See `ExecutionStore`."""
        params = {"execution_id": execution_id, "first": first, "last": first + count, "rows": count}
        (found,) = await self._database.read([Query(_STEPS, params)])
        plain = [step for (body,) in found for step in load(body)[1:] if first <= step["number"] < first + count]
        large = await self._large(execution_id, {digest for step in plain for digest in digests_of_step(step)})
        return [step_from(step, large) for step in plain]

    async def logs(self, execution_id: str, after: int = 0, limit_bytes: int = 8_000_000) -> tuple[Sequence[LogEntry], int | None]:
        """See `ExecutionStore`."""
        (found,) = await self._database.read([Query(_LOGS, {"execution_id": execution_id, "after": after})])
        entries: list[LogEntry] = []
        size = 0
        for place, body in found:
            entries += logs_from(body)
            size += len(body)
            if size >= limit_bytes:
                return entries, place
        return entries, found[-1][0] if len(found) == 500 else None

    async def open_claims(self, silent_since: int, now: int) -> Sequence[OpenClaim]:
        """See `ExecutionStore`."""
        (found,) = await self._database.read([Query(_OPEN_CLAIMS, {"silent_since": silent_since, "now": now})])
        return [OpenClaim(*row) for row in found]

    async def foreign_claims(self, instance: str) -> Sequence[OpenClaim]:
        """See `ExecutionStore`."""
        (found,) = await self._database.read([Query(_FOREIGN_CLAIMS, {"instance": instance})])
        return [OpenClaim(*row) for row in found]

    async def cleanups(self, count: int) -> Sequence[tuple[str, int]]:
        """See `ExecutionStore`."""
        (found,) = await self._database.read([Query(_CLEANUPS, {"rows": count})])
        return [(execution_id, number) for execution_id, number in found]

    async def runnable(self, after: Runnable | None, count: int) -> Sequence[Runnable]:
        """See `ExecutionStore`."""
        params = {"since": after.since if after else -1, "id": after.execution_id if after else "", "rows": count}
        (found,) = await self._database.read([Query(_RUNNABLE, params)])
        return [Runnable(execution_id, since) for execution_id, since in found]

    async def expired(self, now: int, count: int) -> Sequence[str]:
        """See `ExecutionStore`."""
        (found,) = await self._database.read([Query(_EXPIRED, {"now": now, "rows": count})])
        return [execution_id for (execution_id,) in found]

    async def _large(self, execution_id: str, digests: Iterable[str]) -> Large:
        wanted = list(digests)
        if not wanted:
            return {}
        queries = []
        for start in range(0, len(wanted), _DIGESTS_AT_ONCE):
            page = wanted[start : start + _DIGESTS_AT_ONCE]
            padded = {f"d{place}": page[min(place, len(page) - 1)] for place in range(_DIGESTS_AT_ONCE)}
            queries.append(Query(_LARGE, {"execution_id": execution_id, **padded}))
        return {digest: body for rows in await self._database.read(queries) for digest, body in rows}


def _columns(head: Head, large: Large) -> dict[str, Any]:
    current = head.current
    runnable = current is not None and current.state is StepState.EXECUTABLE and head.status not in ENDED
    return {
        "version": head.version,
        "status": head.status.value,
        "snapshot_id": head.snapshot_id,
        "end_time": head.end_time,
        "retained_til": head.retained_til,
        "runnable_since": current.since if current is not None and runnable else None,
        "cleanup_number": current.number if current is not None and current.cleanup_pending else None,
        "body": dump_head(head, large),
    }


def _add_snapshot(snapshot: Snapshot) -> Op:
    return Op(_ADD_SNAPSHOT, {"id": snapshot.id, "tenant": snapshot.tenant, "body": dump(snapshot.document)})


def _row_ops(save: Save, large: Large) -> list[Op]:
    """Return what a save appends: step executions, log entries, large values, and the claim as it is now."""
    execution_id = save.head.id
    ops: list[Op] = []
    if save.rows:
        body = dump_steps(save.rows, large)
        ops.append(Op(_ADD_STEPS, {"execution_id": execution_id, "first": save.rows[0].number, "body": body}))
    if save.logs:
        ops.append(Op(_ADD_LOGS, {"execution_id": execution_id, "body": dump_logs(save.logs)}))
    ops += [Op(_ADD_LARGE, {"execution_id": execution_id, "digest": digest, "body": body}) for digest, body in large.items()]
    return [*ops, *_claim_ops(save)]


def _claim_ops(save: Save) -> list[Op]:
    current = save.head.current
    if current is None or (current.claim is None and not any(row.claim for row in save.rows)):
        return []
    ops = [Op(_END_CLAIM, {"execution_id": save.head.id})]
    claim = current.claim
    if claim is not None and current.state is StepState.EXECUTING:
        row = {
            "execution_id": save.head.id,
            "number": current.number,
            "attempt": current.attempt,
            "nonce": claim.nonce,
            "instance": claim.instance,
            "last_sign": current.claimed_time,
            "deadline": claim.deadline,
        }
        ops.append(Op(_ADD_CLAIM, row))
    return ops
