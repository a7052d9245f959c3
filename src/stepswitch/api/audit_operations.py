"""What the reference says of the operations of the audit trail. Taken in by `operations`."""

from typing import Final

from stepswitch.api import audit_trail, needs
from stepswitch.api.list_requests import MARKER
from stepswitch.api.operation import OWN_ROOT, Audit, Operation, Parameter
from stepswitch.api.wire import audit_models
from stepswitch.engine.audit import Judgement
from stepswitch.engine.selection import LARGEST_PAGE

_TAG: Final = "Audit"
_PLACE: Final = f"{OWN_ROOT}/audit"
_TIME: Final = {"format": "date-time", "examples": ["2027-01-31T08:15:00Z"]}
_NARROWED: Final = (
    Parameter("since", "Only what happened then or later.", "query", is_required=False, limits=_TIME),
    Parameter("until", "Only what happened before.", "query", is_required=False, limits=_TIME),
    Parameter("user", "Only what this user did.", "query", is_required=False),
    Parameter("operation", "Only this operation, by its name in this description.", "query", is_required=False),
    Parameter(
        "object",
        "Only what was done to this: the id of a workflow or an execution, the name of a user or a role.",
        "query",
        is_required=False,
    ),
    Parameter("outcome", "Only what was allowed, or refused.", "query", is_required=False, limits={"enum": list(Judgement)}),
)
_PAGES: Final = (
    Parameter(MARKER, "What the header `Link` of the page before gave.", "query", is_required=False),
    Parameter(
        "page_size", "Records in a page; 100 unless said.", "query", is_required=False, kind="integer",
        limits={"minimum": 1, "maximum": LARGEST_PAGE},
    ),
)  # fmt: skip
_WHOSE: Final = "Of the caller's tenant; for administrators of the tenant `default`, of every tenant. That it was read is recorded too."

AUDIT_OPERATIONS: Final = (
    Operation(
        "listAuditRecords", "GET", _PLACE, audit_trail.list_records, _TAG, "See who did what",
        f"A page of the audit trail, the newest record first. {_WHOSE} A page can be empty and still have a next one: the header `Link` says so.",
        list[audit_models.AuditRecord], parameters=(*_NARROWED, *_PAGES), refusals=(400, 401, 403, 500, 503),
        answer_headers={"Link": "The next page, where there is one: `<…>; rel=\"next\"`."},
        needs=needs.ADMINISTER, audit=Audit.SENSITIVE,
    ),
    Operation(
        "exportAuditRecords", "GET", f"{_PLACE}/export", audit_trail.export_records, _TAG, "Export the audit trail",
        f"Every record up to now as one line of JSON, the oldest first. {_WHOSE} Where nothing is left out, anybody can check the chain: the hash "
        "of a record is SHA-256 over its line without `hash`, as JSON with sorted keys, without blanks, and in ASCII.",
        str, parameters=_NARROWED, refusals=(400, 401, 403, 500, 503), media_type=audit_trail.LINES,
        needs=needs.ADMINISTER, audit=Audit.SENSITIVE,
    ),
)  # fmt: skip
"""Ours; each has one path."""
