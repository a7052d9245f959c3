"""What was read from the sources of inventories, as rows and back. Called by `inventories`.

How a source stands is a row's small part, and is written at every reading; what was found is its large part, and is written when it is something else.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.findings import Findings, FoundFunction, FoundMachine, FoundService
from stepswitch.engine.inventory_ports import Failure, Reading
from stepswitch.storage.database import Op, Query, Row, Statement
from stepswitch.storage.encoding import dump_row, load_row, refuse_foreign
from stepswitch.storage.tables import inventories, readings

_R: Final = readings.c
_I: Final = inventories.c
_COLUMNS: Final = (_R.source, _R.state, _R.findings)
_ALL: Final = Statement(select(*_COLUMNS).where(_R.tenant == bindparam("of")).order_by(_R.source))
_ONE: Final = Statement(select(*_COLUMNS).where(_R.tenant == bindparam("of"), _R.source == bindparam("wanted")))
_FORGET: Final = Statement(delete(readings).where(_R.tenant == bindparam("of"), _R.source == bindparam("wanted")))
_NEW: Final = upsert(readings)
_NOTE: Final = Statement(_NEW.on_conflict_do_update(index_elements=["tenant", "source"], set_={"state": _NEW.excluded.state}))
_FOUND: Final = Statement(
    _NEW.on_conflict_do_update(index_elements=["tenant", "source"], set_={"state": _NEW.excluded.state, "findings": _NEW.excluded.findings})
)
_GROWN: Final = Statement(update(inventories).where(_I.tenant == bindparam("of")).values(findings=_I.findings + 1))
_STATE: Final = ("place", "read_at", "asked_at", "failing_since")


def all_readings(tenant: str) -> Query:
    """Return what asks for everything that was read for a tenant."""
    return Query(_ALL, {"of": tenant})


def one_reading(tenant: str, source: str) -> Query:
    """Return what asks for what was read from one source."""
    return Query(_ONE, {"of": tenant, "wanted": source})


def forgetting(tenant: str, source: str) -> Op:
    """Return what forgets all that was read from a source."""
    return Op(_FORGET, {"of": tenant, "wanted": source})


def noting(tenant: str, reading: Reading, *, with_findings: bool) -> list[Op]:
    """Return what stores how a source stands, and what was found there where that is something else than before."""
    state = {name: getattr(reading, name) for name in _STATE}
    state["failure"] = None if reading.failure is None else [reading.failure.code, reading.failure.message]
    found = dump_row(asdict(reading.findings if with_findings else Findings()))
    row = {"tenant": tenant, "source": reading.source, "state": dump_row(state), "findings": found}
    return [Op(_FOUND, row), Op(_GROWN, {"of": tenant}, 1)] if with_findings else [Op(_NOTE, row)]


def reading_of(row: Row) -> Reading:
    """Return a reading; raises StoreError where a later release wrote it."""
    state, found = load_row(row[1]), load_row(row[2])
    with refuse_foreign("what was read from a source of an inventory"):
        failure = state["failure"]
        return Reading(
            source=row[0],
            findings=_findings(found),
            failure=None if failure is None else Failure(ErrorCode(failure[0]), failure[1]),
            **{name: state[name] for name in _STATE},
        )


def _findings(plain: Mapping[str, Any]) -> Findings:
    return Findings(
        functions=tuple(_function(each) for each in plain["functions"]),
        services=tuple(FoundService(**{**each, "functions": tuple(each["functions"])}) for each in plain["services"]),
        problems=tuple(plain["problems"]),
    )


def _function(plain: Mapping[str, Any]) -> FoundFunction:
    vims = tuple(tuple(each) for each in plain["vims"])
    machines = tuple(FoundMachine(each["resource"], tuple(each["vim"])) for each in plain["machines"])
    return FoundFunction(**{**plain, "vims": vims, "machines": machines})
