"""The structures of the audit trail, for the description of the API. Read by `audit_operations`."""

from typing import Any

from pydantic import Field

from stepswitch.api.wire.models import Time
from stepswitch.api.wire.structures import Structure, must
from stepswitch.engine.audit import Actor, Judgement


class AuditActor(Structure):
    """Who acts."""

    kind: Actor = must("What kind of somebody.")
    user: str = must("The name of the user; empty where it is nobody's, or the service itself.", examples=["ann"])
    session: str = must("The id of the session or the API token; empty where there is none.")


class AuditObject(Structure):
    """What is acted on."""

    kind: str = must("What it is; empty where there is nothing.", examples=["workflow"])
    id: str = must("Its id, or its name where it has no other id.")
    name: str = must("What it is called, where that is something else.")


class AuditEvent(Structure):
    """What a record says."""

    actor: AuditActor = must("Who.")
    after: dict[str, Any] = must("What was changed, as it is then. Passwords are `********`.")
    before: dict[str, Any] = must("What was changed, as it was.")
    count: int = must("How many alike it stands for.", ge=1)
    format: int = must("The number of this format.")
    from_: str = Field(alias="from", description="The address that it came from.", examples=["192.0.2.7"])
    object: AuditObject = must("To what.")
    operation: str = must("The name of the operation.", examples=["changeUser"])
    outcome: Judgement = must("Whether it was allowed.")
    status: int = must("The status of its answer.")
    tenant: str = must("Whose; empty for what belongs to no tenant.")
    time: Time = must("When.")


class AuditRecord(Structure):
    """A record of the audit trail in its place."""

    hash: str = must("SHA-256 over the others of these, in hex.")
    number: int = must("Its number, without gaps.", ge=1)
    previous: str = must("The hash of the record before it.")
    record: AuditEvent = must("What it says.")
