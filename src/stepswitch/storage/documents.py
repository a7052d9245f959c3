"""The bodies of workflows and of their snapshots: the document, and who gave the passwords in it. Called by the stores that keep some."""

from typing import Any

from stepswitch.engine.records import Snapshot, StoredWorkflow
from stepswitch.storage.encoding import dump_row, load_row


def dump_document(holder: StoredWorkflow | Snapshot) -> bytes:
    """Return what is kept of a workflow or a snapshot beside its columns."""
    return dump_row({"document": holder.document, **({"givenBy": holder.given_by} if holder.given_by else {})})


def body_of(body: bytes) -> dict[str, Any]:
    """Return what `dump_document` was given, as fields of a workflow or a snapshot; raises StoreError."""
    plain = load_row(body)
    return {"document": plain["document"], "given_by": plain.get("givenBy", {})}
