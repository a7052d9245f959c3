"""What the reference says of the operation of usage. Taken in by `operations`."""

from typing import Final

from stepswitch.api import needs, usage
from stepswitch.api.operation import ID, OWN_ROOT, Audit, Operation, Parameter
from stepswitch.api.wire import usage_models

USAGE_OPERATIONS: Final = (
    Operation(
        "listUsage", "GET", f"{OWN_ROOT}/usage", usage.list_usage, "Tenants", "See how much of its limits a tenant uses",
        "Of the caller's tenant; for administrators of the tenant `default`, of every tenant. It is counted as the limits count it, at most once in two "
        "seconds. Where there is no limit, none is shown. 404: the caller looks after no tenant called so.",
        list[usage_models.TenantUsage],
        parameters=(Parameter(usage.TENANT_PARAMETER, "Only of this tenant.", "query", is_required=False, limits=ID),),
        refusals=(400, 401, 403, 404, 500, 503), needs=needs.ADMINISTER, audit=Audit.READ,
    ),
)  # fmt: skip
"""Ours; it has one path."""
