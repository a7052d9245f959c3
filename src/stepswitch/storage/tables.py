"""The tables, one definition for every database. Read by the stores; a test proves that the migrations make exactly this.

What is searched for has a column; everything else of a value is its `body`: JSON in bytes, which carries its format number.
Times are milliseconds since 1970; flags are 0 and 1.
"""

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, String, Table, text

from stepswitch.storage.table_parts import metadata as metadata  # noqa: PLC0414 # whoever imports it from here has the tables in it
from stepswitch.storage.table_parts import sealed_index, sealed_with

workflows: Final = Table(
    "workflows",
    metadata,
    Column("id", String, nullable=False),
    Column("tenant", String, nullable=False),
    Column("name", String, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("creation_user", String, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("workflow_version", String, nullable=False),
    Column("owner_id", String),
    Column("owner_sub_id", String),
    Column("owner_type", String),
    Column("read_only", Integer, nullable=False),
    Column("hierarchy", String),
    Column("tags", String),
    Column("body", LargeBinary, nullable=False),
    sealed_with(),
    PrimaryKeyConstraint("tenant", "id"),
    Index("workflows_by_tenant", "tenant", "created_at", "id"),
    Index("workflows_by_id", "tenant", "id"),
    Index("workflows_by_name", "tenant", "name", "created_at", "id"),
    Index("workflows_by_version", "tenant", "workflow_version", "created_at", "id"),
    Index("workflows_by_user", "tenant", "creation_user", "created_at", "id"),
    Index("workflows_by_owner", "tenant", "owner_id", "created_at", "id"),
    Index("workflows_by_owner_part", "tenant", "owner_sub_id", "created_at", "id"),
    Index("workflows_by_owner_type", "tenant", "owner_type", "created_at", "id"),
    Index("workflows_by_read_only", "tenant", "read_only", "created_at", "id"),
    sealed_index("workflows"),
)

workflow_revisions: Final = Table(
    "workflow_revisions",
    metadata,
    Column("tenant", String, nullable=False),
    Column("workflow_id", String, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("changed_by", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
    sealed_with(),
    PrimaryKeyConstraint("tenant", "workflow_id", "revision"),
    sealed_index("workflow_revisions"),
)
"""Every revision of a workflow, the current one too; written once, gone with the workflow. The id of a workflow is given once in each tenant."""

snapshots: Final = Table(
    "snapshots",
    metadata,
    Column("id", String, primary_key=True),
    Column("tenant", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
    sealed_with(),
    sealed_index("snapshots"),
)

executions: Final = Table(
    "executions",
    metadata,
    Column("id", String, primary_key=True),
    Column("tenant", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("status", String, nullable=False),
    Column("workflow_id", String, nullable=False),
    Column("snapshot_id", String, nullable=False),
    Column("creation_user", String, nullable=False),
    Column("creation_time", BigInteger, nullable=False),
    Column("end_time", BigInteger),
    Column("retained_til", BigInteger, nullable=False),
    Column("runnable_since", BigInteger),
    Column("lane", String),
    Column("not_before", BigInteger),
    Column("cleanup_number", Integer),
    Column("awaits", String),
    Column("awaits_until", BigInteger),
    Column("workflow_name", String, nullable=False),
    Column("context_type", String, nullable=False),
    Column("context", String),
    Column("body", LargeBinary, nullable=False),
    sealed_with(),
    Index(
        "executions_by_tenant",
        *("tenant", "creation_time", "id"),
        *("status", "end_time", "retained_til", "workflow_id", "workflow_name", "creation_user", "context_type"),
    ),
    Index("executions_by_id", "tenant", "id"),
    Index("executions_by_status", "tenant", "status", "creation_time", "id"),
    Index("executions_by_workflow", "tenant", "workflow_id", "creation_time", "id"),
    Index("executions_by_name", "tenant", "workflow_name", "creation_time", "id"),
    Index("executions_by_user", "tenant", "creation_user", "creation_time", "id"),
    Index("executions_by_context_type", "tenant", "context_type", "creation_time", "id"),
    Index("executions_by_end", "tenant", "end_time", "creation_time", "id"),
    Index("executions_by_retention", "tenant", "retained_til", "creation_time", "id"),
    Index("executions_by_snapshot", "snapshot_id"),
    Index("executions_runnable", "runnable_since", "id", "lane", "not_before", "tenant", sqlite_where=text("runnable_since IS NOT NULL")),
    Index("executions_retained", "retained_til", sqlite_where=text("end_time IS NOT NULL")),
    Index("executions_cleanup", "id", sqlite_where=text("cleanup_number IS NOT NULL")),
    Index("executions_awaiting", "id", "awaits", sqlite_where=text("awaits IS NOT NULL")),
    Index("executions_awaiting_until", "awaits_until", sqlite_where=text("awaits_until IS NOT NULL")),
    sealed_index("executions"),
)

snapshot_uses: Final = Table(
    "snapshot_uses",
    metadata,
    Column("snapshot_id", String, nullable=False),
    Column("execution_id", String, nullable=False),
    PrimaryKeyConstraint("snapshot_id", "execution_id"),
    Index("snapshot_uses_by_execution", "execution_id"),
    sqlite_with_rowid=False,
)
"""Snapshots, beside the one in the head, that an edited execution's earlier steps refer to."""

step_executions: Final = Table(
    "step_executions",
    metadata,
    Column("execution_id", String, nullable=False),
    Column("first", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    sealed_with(),
    PrimaryKeyConstraint("execution_id", "first"),
    sealed_index("step_executions"),
)
"""What one save finished: a JSON array of step executions, written once; `first` is the number of the first."""

logs: Final = Table(
    "logs",
    metadata,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("execution_id", String, nullable=False),
    Column("step", Integer),
    Column("body", LargeBinary, nullable=False),
    sealed_with(),
    Index("logs_by_execution", "execution_id", "place"),
    Index("logs_by_step", "execution_id", "step", "place", sqlite_where=text("step IS NOT NULL")),
    sealed_index("logs"),
    sqlite_autoincrement=True,
)
"""What one save or one flush logged of one step execution, or of the execution itself: a JSON array of entries.

`place` follows the order of commits; `step` is the number of the step execution, NULL for the execution itself.
"""

commits: Final = Table(
    "commits",
    metadata,
    Column("place", Integer, primary_key=True),
    Column("tenant", String, nullable=False),
    Column("execution_id", String, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("first_step", Integer),
    Column("log_rows", Integer, nullable=False),
    Column("log_end", Integer, nullable=False),
    Column("outline", LargeBinary),
    sealed_with(),
    Column("creation_user", String),
    Column("workflow_name", String),
    Index("commits_by_execution", "execution_id", "place"),
    sealed_index("commits"),
)
"""Every save, flush of log lines and removal, in the order of commits, for 24 hours; the last one stays.

Its finished steps are the chunk that begins with `first_step`, its lines the last `log_rows` rows of log up to the place `log_end`.
A flush has no outline; a removal has no lines either, and says whose the execution was. The other commits of an execution that was removed stay,
without content.
"""

claims: Final = Table(
    "claims",
    metadata,
    Column("execution_id", String, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("nonce", String, nullable=False, unique=True),
    Column("instance", String, nullable=False),
    Column("last_sign", BigInteger, nullable=False),
    Column("deadline", BigInteger, nullable=False),
)

locks: Final = Table(
    "locks",
    metadata,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("tenant", String, nullable=False),
    Column("key", String, nullable=False),
    Column("execution_id", String, nullable=False),
    Column("asked_at", BigInteger, nullable=False),
    Column("held_since", BigInteger),
    Index("locks_by_line", "tenant", "key", "place"),
    Index("locks_held", "tenant", "key", unique=True, sqlite_where=text("held_since IS NOT NULL")),
    Index("locks_by_execution", "execution_id", "tenant", "key", unique=True),
    sqlite_autoincrement=True,
)
"""Who stands in line for which lock, from asking for it to letting it go; the first in line has it. `place` is never given again."""

large_values: Final = Table(
    "large_values",
    metadata,
    Column("execution_id", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
    sealed_with(),
    PrimaryKeyConstraint("execution_id", "digest"),
    sealed_index("large_values"),
)
"""Values over 64 KiB, once per execution by content."""

accounts: Final = Table(
    "accounts",
    metadata,
    Column("name", String, primary_key=True),
    Column("tenant", String, nullable=False),
    Column("subject", String),
    Column("body", LargeBinary, nullable=False),
    Index("accounts_by_subject", "subject", unique=True, sqlite_where=text("subject IS NOT NULL")),
)

roles: Final = Table(
    "roles",
    metadata,
    Column("tenant", String, nullable=False),
    Column("name", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant", "name"),
)
"""Roles that a tenant made for itself."""

sessions: Final = Table(
    "sessions",
    metadata,
    Column("token_hash", String, primary_key=True),
    Column("user", String, nullable=False),
    Column("is_token", Integer, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("sessions_by_expiry", "expires_at"),
    Index("sessions_by_user", "user"),
)

known_places: Final = Table(
    "known_places",
    metadata,
    Column("user", String, primary_key=True),
    Column("place", String, primary_key=True),
    Column("noted_at", BigInteger, nullable=False),
)
"""From where users have logged in: what fails elsewhere does not keep them waiting there."""

requests: Final = Table(
    "requests",
    metadata,
    Column("tenant", String, nullable=False),
    Column("user", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("name", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("execution_id", String, nullable=False),
    Column("made_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant", "user", "kind", "name"),
    Index("requests_by_age", "made_at"),
    sqlite_with_rowid=False,
)
"""Which request has made which execution, for as long as it may be sent again; it outlives an execution that is deleted."""

host_keys: Final = Table(
    "host_keys",
    metadata,
    Column("host", String, nullable=False),
    Column("port", Integer, nullable=False),
    Column("public_key", String, nullable=False),
    Column("added_by", String, nullable=False),
    Column("added_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("host", "port", "public_key"),
)

files: Final = Table(
    "files",
    metadata,
    Column("id", String, primary_key=True),
    Column("tenant", String, nullable=False),
    Column("sha256", String, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("files_by_content", "sha256"),
    Index("files_by_tenant", "tenant", "size"),
)

credentials: Final = Table(
    "credentials",
    metadata,
    Column("tenant", String, nullable=False),
    Column("name", String, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    sealed_with(),
    PrimaryKeyConstraint("tenant", "name"),
    sealed_index("credentials"),
)
"""Credentials by their names; every body is encrypted, for it may hold the value itself."""

inventories: Final = Table(
    "inventories",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("findings", Integer, nullable=False),
    Column("sources", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
"""What each tenant knows of its network, as one document; there is no secret in it. `findings` grows with whatever its `sources`, so many, bring."""

readings: Final = Table(
    "readings",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("source", String, primary_key=True),
    Column("state", LargeBinary, nullable=False),
    Column("findings", LargeBinary, nullable=False),
)
"""What the sources of inventories said last, and how each stands."""

data_keys: Final = Table(
    "data_keys",
    metadata,
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("wrapped_by", String, nullable=False),
    Column("wrapped", String, nullable=False),
    Column("made_at", BigInteger, nullable=False),
)
"""The keys that bodies are encrypted with, each encrypted with one that is not in the database."""

audit: Final = Table(
    "audit",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("previous", String, nullable=False),
    Column("hash", String, nullable=False),
    Column("tenant", String, nullable=False),
    Column("time", String, nullable=False),
    Column("user", String, nullable=False),
    Column("operation", String, nullable=False),
    Column("object", String, nullable=False),
    Column("outcome", String, nullable=False),
    Column("record", String, nullable=False),
    Index("audit_by_time", "time"),
    Index("audit_by_user", "user"),
    Index("audit_by_object", "object"),
)
"""Who did what: a chain without gaps, in the order of commits. Triggers refuse every UPDATE, a DELETE of what was not pruned, and an INSERT anywhere but at the end."""

audit_start: Final = Table(
    "audit_start",
    metadata,
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),
)
"""Up to which record the trail was pruned: one row, where it was. The triggers let records up to there be removed, and a record says that they were."""

audit_readers: Final = Table(
    "audit_readers",
    metadata,
    Column("name", String, primary_key=True),
    Column("number", Integer, nullable=False),
)
"""Up to which record the audit trail was sent on, by where to."""

epochs: Final = Table(
    "epochs",
    metadata,
    Column("id", String, primary_key=True),
    Column("begun_at", BigInteger, nullable=False),
    Column("backed_up_at", BigInteger, nullable=False),
)
"""Each restore that the store went through: the last one is its epoch. Ids sort by time."""

file_uses: Final = Table(
    "file_uses",
    metadata,
    Column("file_id", String, nullable=False),
    Column("owner", String, nullable=False),
    PrimaryKeyConstraint("file_id", "owner"),
    Index("file_uses_by_owner", "owner"),
    sqlite_with_rowid=False,
)
"""Whom a file belongs to: a workflow (`w:`, its tenant and its id; any revision of it) or an execution (`e:`). A file without a use goes."""
