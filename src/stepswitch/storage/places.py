"""Where a confidential body stands, in bytes that are bound to it: encrypted in one place, it cannot be read in another. Called by the stores.

An execution's rows carry no tenant: the execution itself says whose it is, and its id is nobody else's.
"""

from stepswitch.storage.encoding import dump


def workflow_place(tenant: str, workflow_id: str) -> bytes:
    """Return the place of a workflow."""
    return dump(["workflow", tenant, workflow_id])


def revision_place(tenant: str, workflow_id: str, revision: int) -> bytes:
    """Return the place of a revision of a workflow."""
    return dump(["revision", tenant, workflow_id, revision])


def snapshot_place(tenant: str, snapshot_id: str) -> bytes:
    """Return the place of a snapshot."""
    return dump(["snapshot", tenant, snapshot_id])


def head_place(tenant: str, execution_id: str) -> bytes:
    """Return the place of the head of an execution."""
    return dump(["execution", tenant, execution_id])


def steps_place(execution_id: str) -> bytes:
    """Return the place of the step executions that are behind; each says its number."""
    return dump(["steps", execution_id])


def log_place(execution_id: str) -> bytes:
    """Return the place of the log of an execution."""
    return dump(["log", execution_id])


def outline_place(execution_id: str) -> bytes:
    """Return the place of what followers are told of an execution."""
    return dump(["outline", execution_id])


def credential_place(tenant: str, name: str) -> bytes:
    """Return the place of a credential."""
    return dump(["credential", tenant, name])


def large_place(execution_id: str, digest: str) -> bytes:
    """Return the place of a value that is kept apart."""
    return dump(["value", execution_id, digest])
