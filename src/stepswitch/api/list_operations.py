"""The lists, as rows of the table of operations. Taken in by `operations`."""

from typing import Final

from stepswitch.api import lists, needs
from stepswitch.api.operation import Audit, Operation, Parameter
from stepswitch.api.wire import models

_REFUSALS: Final = (400, 401, 500, 503)
FIELDS: Final = (
    Parameter(
        "fields", "Paths of the attributes to show, with commas between them, such as `status,workflow/name`; required ones are always shown.",
        "query", is_required=False, limits={"minLength": 1, "examples": ["workflow/name"]},
    ),
    Parameter(
        "exclude_fields", "Paths of the attributes to leave out.", "query", is_required=False, limits={"minLength": 1, "examples": ["owner"]}
    ),
)  # fmt: skip
"""What makes an answer smaller."""
_LISTS: Final = (
    Parameter(
        "filter", "ETSI GS NFV-SOL 013, 5.2: `(eq,name,Register gNB);(gt,createdAt,2026-01-01T00:00:00Z)`, with eq, neq, gt, lt, gte, lte, "
        "in, nin, cont and ncont. A value with `,`, `;`, parentheses or quotes stands in single quotes.",
        "query", is_required=False, limits={"pattern": "^[(].+[)]$", "examples": ["(neq,id,x)"]},
    ),
    Parameter(
        "nextpage_opaque_marker", "What the `Link` of the page before gave; or a first one, such as "
        "`page_number=1,page_size=20,sort=id,asc`: pages of 100 unless said and 1,000 at most, up to row 10,000.",
        "query", is_required=False, limits={"minLength": 1, "examples": ["page_number=1,page_size=20,sort=id,asc"]},
    ),
    *FIELDS,
    Parameter("x-tca-anymatch", "`true`: rows that fit any of the comparisons, instead of all.", "header", is_required=False, kind="boolean"),
    Parameter("x-stepswitch-count", "`true`: say in `x-total-count` how many rows fit in all.", "header", is_required=False, kind="boolean"),
)  # fmt: skip
_HEADERS: Final = {
    "Link": 'Where the next page is, as `rel="next"`; absent on the last page.',
    "x-total-count": "How many rows fit in all, where that was asked.",
}
LIST_OPERATIONS: Final = (
    Operation(
        "listWorkflows", "GET", "/workflow", lists.list_workflows, "Workflows", "List workflows",
        "A page of the catalogue, newest first unless told. Filtered and sorted by id, name, version, createdAt, creationUser, owner/id, "
        "owner/subId, owner/type, readOnly, hierarchy and tags/name.",
        list[models.WorkflowResponse], parameters=_LISTS, refusals=_REFUSALS, answer_headers=_HEADERS,
        needs=needs.LIST_WORKFLOWS, audit=Audit.READ,
    ),
    Operation(
        "listWorkflowExecutions", "GET", "/workflowExecution", lists.list_executions, "Executions", "List executions",
        "A page of executions, newest first unless told, without logs unless `fields` names them. Filtered and sorted by id, status, "
        "workflow/id, workflow/name, creationUser, creationTime, endTime, contextType, context/*, aborted and retainedTil.",
        list[models.WorkflowExecution], parameters=_LISTS, refusals=_REFUSALS, answer_headers=_HEADERS,
        needs=needs.LIST_EXECUTIONS, audit=Audit.READ,
    ),
)  # fmt: skip
