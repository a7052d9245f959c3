"""The structures of what tenants use, for the description of the API. Read by `usage`."""

from stepswitch.api.wire.structures import Structure, maybe, must


class Amount(Structure):
    """So much of something, and how much there may be."""

    used: int = must("How much there is.", examples=[3])
    limit: int = maybe("How much there may be; missing where there is no limit.", examples=[20])


class TenantUsage(Structure):
    """How much a tenant uses of what it may have."""

    tenant_id: str = must("The tenant.", examples=["default"])
    executions_at_once: Amount = must("Executions whose step is being carried out.")
    queued_executions: Amount = must("Executions that wait or run; those that are paused do not count.")
    stored_executions: Amount = must("All executions, ended ones too.")
    file_bytes: Amount = must("Bytes of the files of workflows, of their earlier revisions, and of executions.")
