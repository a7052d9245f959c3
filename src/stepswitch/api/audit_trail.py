"""The operations that read the audit trail, for administrators: pages of it, and all of it as lines. Listed in `audit_operations`."""

from collections.abc import AsyncIterator, Callable
from typing import Final, TypeVar
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.responses import Response, StreamingResponse

from stepswitch.api.list_requests import MARKER
from stepswitch.api.services import Call, json_response
from stepswitch.api.wire.times import parse_time
from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError
from stepswitch.engine.audit import Judgement, Record, written_time
from stepswitch.engine.audit_ports import AuditStore, Wanted
from stepswitch.engine.callers import Caller
from stepswitch.engine.selection import LARGEST_PAGE, PAGE_SIZE

LINES: Final = "application/x-ndjson"
NARROWED_BY: Final = ("since", "until", "user", "operation", "object", "outcome")
LARGEST_NUMBER: Final = 2**62
_AT_ONCE: Final = 500
_WINDOWS: Final = 20
"""So often one page looks on where it has found nothing yet; then it is empty, and names the next one."""
_Value = TypeVar("_Value")


async def list_records(call: Call) -> Response:
    """Answer with a page of records, the newest first."""
    query, faults = call.request.query_params, list[Fault]()
    wanted = _wanted(call.caller, query, faults)
    before = _number(query, MARKER, LARGEST_NUMBER, LARGEST_NUMBER, faults)
    size = _number(query, "page_size", PAGE_SIZE, LARGEST_PAGE, faults)
    if faults:
        raise InvalidRequestError(faults)
    store = call.services.audit.store
    records, before = await _found(store, wanted, min(before, await store.newest() + 1), size)
    others = [(name, value) for name, value in query.multi_items() if name != MARKER]
    link = f'<{call.request.url.path}?{urlencode([*others, (MARKER, str(before))])}>; rel="next"'
    return json_response(f"[{','.join(record.line for record in records)}]".encode("ascii"), {"Link": link} if before else None)


async def export_records(call: Call) -> Response:
    """Answer with every record up to now as a line, the oldest first, while they are read."""
    faults: list[Fault] = []
    wanted = _wanted(call.caller, call.request.query_params, faults)
    if faults:
        raise InvalidRequestError(faults)
    store = call.services.audit.store
    return StreamingResponse(_lines(store, wanted, await store.newest()), 200, {"Cache-Control": "no-store"}, LINES)


async def _found(store: AuditStore, wanted: Wanted, before: int, count: int) -> tuple[list[Record], int]:
    found: list[Record] = []
    for _ in range(_WINDOWS):
        if before <= 1 or len(found) == count:
            break
        records, before = await store.backwards(wanted, before, count - len(found))
        found += records
    return found, before if before > 1 else 0


async def _lines(store: AuditStore, wanted: Wanted, until: int) -> AsyncIterator[bytes]:
    after = 0
    while after < until:
        records, after = await store.page(wanted, after, until, _AT_ONCE)
        if records:
            yield "".join(f"{record.line}\n" for record in records).encode("ascii")


def _wanted(caller: Caller, query: QueryParams, faults: list[Fault]) -> Wanted:
    """Return which records are asked for: those of the caller's tenant, unless he looks after all of them."""
    names = (*NARROWED_BY, MARKER, "page_size")
    faults += [Fault(ErrorCode.INVALID_VALUE, name, "is given twice") for name in names if len(query.getlist(name)) > 1]
    return Wanted(
        tenant=None if caller.runs_installation else caller.tenant,
        since=_read(query, "since", lambda text: written_time(parse_time(text)), faults),
        until=_read(query, "until", lambda text: written_time(parse_time(text)), faults),
        user=query.get("user"),
        operation=query.get("operation"),
        thing=query.get("object"),
        outcome=_read(query, "outcome", _outcome, faults),
    )


def _read(query: QueryParams, name: str, read: Callable[[str], _Value], faults: list[Fault]) -> _Value | None:
    text = query.get(name)
    if text is None:
        return None
    try:
        return read(text)
    except ValueError as error:
        faults.append(Fault(ErrorCode.INVALID_VALUE, name, str(error)))
        return None


def _outcome(text: str) -> str:
    if text not in list(Judgement):
        raise ValueError(f"is none of {', '.join(Judgement)}")
    return text


def _number(query: QueryParams, name: str, otherwise: int, largest: int, faults: list[Fault]) -> int:
    text = query.get(name)
    if text is None:
        return otherwise
    if text.isascii() and text.isdecimal() and len(text) <= 19 and 1 <= int(text) <= largest:
        return int(text)
    faults.append(
        Fault(ErrorCode.INVALID_VALUE, name, f"is to be a number from 1 to {largest}; leave it out, or follow the Link of a page")
    )
    return otherwise
