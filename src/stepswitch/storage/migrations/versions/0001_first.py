"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_WORKFLOW_LISTS = {
    "name": "name",
    "version": "workflow_version",
    "user": "creation_user",
    "owner": "owner_id",
    "owner_part": "owner_sub_id",
    "owner_type": "owner_type",
    "read_only": "read_only",
}
_EXECUTION_LISTS = {
    "status": "status",
    "workflow": "workflow_id",
    "name": "workflow_name",
    "user": "creation_user",
    "context_type": "context_type",
    "end": "end_time",
    "retention": "retained_til",
}
_SEALED = (
    "workflows", "workflow_revisions", "snapshots", "executions", "step_executions", "logs", "commits", "large_values", "credentials",
)  # fmt: skip
_EXECUTIONS_WHOLE = ("status", "end_time", "retained_til", "workflow_id", "workflow_name", "creation_user", "context_type")


def upgrade() -> None:
    """Make every table."""
    _catalogue()
    _files()
    _executions()
    _claims()
    _rows()
    _requests()
    _people()
    _credentials()
    _inventories()
    _epochs()
    _data_keys()
    _audit()


def _catalogue() -> None:
    """Make the catalogue."""
    op.create_table(
        "workflows",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("creation_user", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("workflow_version", sa.String(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=True),
        sa.Column("owner_sub_id", sa.String(), nullable=True),
        sa.Column("owner_type", sa.String(), nullable=True),
        sa.Column("read_only", sa.Integer(), nullable=False),
        sa.Column("hierarchy", sa.String(), nullable=True),
        sa.Column("tags", sa.String(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_with", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "id"),
    )
    op.create_index("workflows_by_tenant", "workflows", ["tenant", "created_at", "id"])
    op.create_index("workflows_by_id", "workflows", ["tenant", "id"])
    for name, column in _WORKFLOW_LISTS.items():
        op.create_index(f"workflows_by_{name}", "workflows", ["tenant", column, "created_at", "id"])
    op.create_table(
        "workflow_revisions",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("workflow_id", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_by", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_with", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "workflow_id", "revision"),
    )


def _files() -> None:
    """Make the files, and the snapshots of workflows."""
    op.create_table(
        "files",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("files_by_content", "files", ["sha256"])
    op.create_index("files_by_tenant", "files", ["tenant", "size"])
    op.create_table(
        "file_uses",
        sa.Column("file_id", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("file_id", "owner"),
        sqlite_with_rowid=False,
    )
    op.create_index("file_uses_by_owner", "file_uses", ["owner"])
    op.create_table(
        "snapshots",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_with", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )


def _executions() -> None:
    """Make the executions."""
    op.create_table(
        "executions",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("workflow_id", sa.String(), nullable=False),
        sa.Column("snapshot_id", sa.String(), nullable=False),
        sa.Column("creation_user", sa.String(), nullable=False),
        sa.Column("creation_time", sa.BigInteger(), nullable=False),
        sa.Column("end_time", sa.BigInteger(), nullable=True),
        sa.Column("retained_til", sa.BigInteger(), nullable=False),
        sa.Column("runnable_since", sa.BigInteger(), nullable=True),
        sa.Column("lane", sa.String(), nullable=True),
        sa.Column("not_before", sa.BigInteger(), nullable=True),
        sa.Column("cleanup_number", sa.Integer(), nullable=True),
        sa.Column("awaits", sa.String(), nullable=True),
        sa.Column("awaits_until", sa.BigInteger(), nullable=True),
        sa.Column("workflow_name", sa.String(), nullable=False),
        sa.Column("context_type", sa.String(), nullable=False),
        sa.Column("context", sa.String(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_with", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("executions_by_snapshot", "executions", ["snapshot_id"])
    op.create_index("executions_by_tenant", "executions", ["tenant", "creation_time", "id", *_EXECUTIONS_WHOLE])
    op.create_index("executions_by_id", "executions", ["tenant", "id"])
    for name, column in _EXECUTION_LISTS.items():
        op.create_index(f"executions_by_{name}", "executions", ["tenant", column, "creation_time", "id"])
    op.create_index("executions_cleanup", "executions", ["id"], sqlite_where=sa.text("cleanup_number IS NOT NULL"))
    op.create_index("executions_awaiting", "executions", ["id", "awaits"], sqlite_where=sa.text("awaits IS NOT NULL"))
    op.create_index("executions_awaiting_until", "executions", ["awaits_until"], sqlite_where=sa.text("awaits_until IS NOT NULL"))
    op.create_index("executions_retained", "executions", ["retained_til"], sqlite_where=sa.text("end_time IS NOT NULL"))
    in_line = ["runnable_since", "id", "lane", "not_before", "tenant"]
    op.create_index("executions_runnable", "executions", in_line, sqlite_where=sa.text("runnable_since IS NOT NULL"))


def _claims() -> None:
    """Make the claims, and what follows the executions."""
    op.create_table(
        "claims",
        sa.Column("execution_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("nonce", sa.String(), nullable=False),
        sa.Column("instance", sa.String(), nullable=False),
        sa.Column("last_sign", sa.BigInteger(), nullable=False),
        sa.Column("deadline", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("execution_id"),
        sa.UniqueConstraint("nonce"),
    )
    op.create_table(
        "snapshot_uses",
        sa.Column("snapshot_id", sa.String(), nullable=False),
        sa.Column("execution_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("snapshot_id", "execution_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("snapshot_uses_by_execution", "snapshot_uses", ["execution_id"])


def _rows() -> None:
    """Make what executions append."""
    op.create_table(
        "step_executions",
        sa.Column("execution_id", sa.String(), nullable=False),
        sa.Column("first", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_with", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("execution_id", "first"),
    )
    op.create_table(
        "logs",
        sa.Column("place", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("execution_id", sa.String(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_with", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("place"),
        sqlite_autoincrement=True,
    )
    op.create_index("logs_by_execution", "logs", ["execution_id", "place"])
    op.create_index("logs_by_step", "logs", ["execution_id", "step", "place"], sqlite_where=sa.text("step IS NOT NULL"))
    op.create_table(
        "commits",
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("execution_id", sa.String(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("first_step", sa.Integer(), nullable=True),
        sa.Column("log_rows", sa.Integer(), nullable=False),
        sa.Column("log_end", sa.Integer(), nullable=False),
        sa.Column("outline", sa.LargeBinary(), nullable=True),
        sa.Column("sealed_with", sa.Integer(), nullable=True),
        sa.Column("creation_user", sa.String(), nullable=True),
        sa.Column("workflow_name", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("place"),
    )
    op.create_index("commits_by_execution", "commits", ["execution_id", "place"])
    op.create_table(
        "large_values",
        sa.Column("execution_id", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_with", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("execution_id", "digest"),
    )


def _requests() -> None:
    """Make what is known of requests that may be sent again."""
    op.create_table(
        "requests",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("execution_id", sa.String(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "user", "kind", "name"),
        sqlite_with_rowid=False,
    )
    op.create_index("requests_by_age", "requests", ["made_at"])


def _people() -> None:
    """Make who may ask, and which servers are trusted."""
    op.create_table(
        "accounts",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_index("accounts_by_subject", "accounts", ["subject"], unique=True, sqlite_where=sa.text("subject IS NOT NULL"))
    op.create_table(
        "roles",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "name"),
    )
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("is_token", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("token_hash"),
    )
    op.create_index("sessions_by_expiry", "sessions", ["expires_at"])
    op.create_index("sessions_by_user", "sessions", ["user"])
    op.create_table(
        "known_places",
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("noted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user", "place"),
    )
    op.create_table(
        "host_keys",
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("public_key", sa.String(), nullable=False),
        sa.Column("added_by", sa.String(), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("host", "port", "public_key"),
    )


def _credentials() -> None:
    """Make the credentials."""
    op.create_table(
        "credentials",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_with", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "name"),
    )


def _inventories() -> None:
    """Make the inventories."""
    op.create_table(
        "inventories",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("findings", sa.Integer(), nullable=False),
        sa.Column("sources", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant"),
    )
    op.create_table(
        "readings",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.Column("findings", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "source"),
    )


def _epochs() -> None:
    """Make the memory of restores."""
    op.create_table(
        "epochs",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("begun_at", sa.BigInteger(), nullable=False),
        sa.Column("backed_up_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _data_keys() -> None:
    """Make the keys, and what finds all that is encrypted with one."""
    op.create_table(
        "data_keys",
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("wrapped_by", sa.String(), nullable=False),
        sa.Column("wrapped", sa.String(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("generation"),
    )
    for table in _SEALED:
        op.create_index(f"{table}_sealed", table, ["sealed_with"], sqlite_where=sa.text("sealed_with IS NOT NULL"))


_REFUSALS = {
    "audit_is_never_changed": ("UPDATE", "1", "a record of the audit trail is never changed"),
    "audit_is_never_removed": (
        "DELETE",
        "OLD.number > (SELECT coalesce(max(number), 0) FROM audit_start)",
        "a record of the audit trail that was not pruned is never removed",
    ),
    "audit_grows_at_its_end": (
        "INSERT",
        "NEW.number <> (SELECT coalesce(max(number), 0) + 1 FROM audit)",
        "a record of the audit trail stands behind the last one",
    ),
}


def _audit() -> None:
    """Make the audit trail, and what keeps it as it is."""
    op.create_table(
        "audit",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("previous", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("time", sa.String(), nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("operation", sa.String(), nullable=False),
        sa.Column("object", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("record", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    for column in ("time", "user", "object"):
        op.create_index(f"audit_by_{column}", "audit", [column])
    op.create_table(
        "audit_start",
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("place"),
    )
    for name, (event, condition, reason) in _REFUSALS.items():
        op.execute(f"CREATE TRIGGER {name} BEFORE {event} ON audit WHEN {condition} BEGIN SELECT RAISE(ABORT, '{reason}'); END")
    op.create_table(
        "audit_readers",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
