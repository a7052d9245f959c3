"""The bodies of workflows and of their snapshots: the document, who gave the passwords in it, and who stored it. Called by the stores that keep some."""

from collections.abc import Mapping
from typing import Any

from stepswitch.engine.records import Snapshot, StoredWorkflow
from stepswitch.storage.encoding import dump_row, load_row


def dump_document(holder: StoredWorkflow | Snapshot) -> bytes:
    """Return what is kept of a workflow or a snapshot beside its columns."""
    last = holder.changed_by if isinstance(holder, StoredWorkflow) else holder.designer
    more = {"givenBy": holder.given_by, "changedBy": last}
    return dump_row({"document": holder.document, **{name: value for name, value in more.items() if value}})


def workflow_in(body: bytes) -> dict[str, Any]:
    """Return what `dump_document` was given, as fields of a workflow; raises StoreError."""
    plain = load_row(body)
    return {**_body(plain), "changed_by": plain.get("changedBy", "")}


def snapshot_in(body: bytes) -> dict[str, Any]:
    """Return what `dump_document` was given, as fields of a snapshot; raises StoreError."""
    plain = load_row(body)
    return {**_body(plain), "designer": plain.get("changedBy", "")}


def _body(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {"document": plain["document"], "given_by": plain.get("givenBy", {})}
