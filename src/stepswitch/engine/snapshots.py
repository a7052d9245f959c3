"""Workflows as executions see them: parsed once, kept by the hash of their content. Called by the conductor and the use cases."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from stepswitch.domain.canonical import canonical_json
from stepswitch.domain.document import Workflow
from stepswitch.domain.errors import StoreError
from stepswitch.domain.parsing import parse
from stepswitch.domain.secrecy import holds_passwords, secret_names
from stepswitch.domain.values import ValueType
from stepswitch.engine.audit import NOTHING
from stepswitch.engine.budget import Kept, aside, is_large, size_in_memory
from stepswitch.engine.kept_passwords import mentions_passwords
from stepswitch.engine.ports import ExecutionStore
from stepswitch.engine.records import Snapshot

KEPT_BYTES: Final = 16 * 1024 * 1024
"""Of documents as JSON; parsed, they take several times that."""
REVISIONS_KEPT: Final = 2_000
Digest = Callable[[bytes], str]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A snapshot ready for use.

    `secret_names` are the inputs, variables and outputs that hold passwords; `secret_defaults` the passwords that stand in the document itself.
    """

    snapshot: Snapshot
    workflow: Workflow
    secret_names: frozenset[str]
    secret_defaults: tuple[str, ...]
    is_confidential: bool
    """Whether its executions may know anything that must not be shown."""
    step_types: frozenset[str]
    """The types of its steps, as they are written."""
    size: int
    """About how many bytes the document has as JSON."""


def plain_digest(content: bytes) -> str:
    """Return a hash of `content`, in which no secret stands."""
    return hashlib.sha256(content).hexdigest()


def compile_snapshot(
    tenant: str,
    document: Mapping[str, Any],
    secret_digest: Digest = plain_digest,
    given_by: Mapping[str, str] = NOTHING,
    designer: str = "",
) -> Compiled:
    """Return `document`, which was validated before, as a snapshot of `tenant`; `given_by` and `designer` are as in `Snapshot`.

    `secret_digest` names one in which passwords may stand: from a plain hash of it a short password could be guessed.
    """
    digest = secret_digest if mentions_passwords(document) else plain_digest
    more = b"".join(b"\0" + canonical_json(each) for each in (given_by, designer) if each)
    return _compile(
        Snapshot(digest(tenant.encode() + b"\0" + canonical_json(document) + more), tenant, document, given_by=given_by, designer=designer)
    )


def _compile(snapshot: Snapshot) -> Compiled:
    workflow = parse(snapshot.document).workflow
    if workflow is None:
        raise StoreError(f"the stored snapshot {snapshot.id} cannot be read")
    names = secret_names(workflow)
    declared = [(each.type, each.default) for each in workflow.declarations.values()]
    bound = [(binding.type, binding.default) for step in workflow.steps.values() for binding in step.all_in_bindings]
    compared = [
        (ValueType.PASSWORD, condition.value)
        for step in workflow.steps.values()
        for condition in step.conditions
        if condition.name in names
    ]
    defaults = {
        default for kind, default in declared + bound + compared if kind is ValueType.PASSWORD and isinstance(default, str) and default
    }
    snapshot = replace(snapshot, is_confidential=mentions_passwords(snapshot.document))
    types = frozenset(step.type for step in workflow.steps.values())
    return Compiled(snapshot, workflow, names, tuple(defaults), holds_passwords(workflow), types, size_in_memory(snapshot.document))


class Snapshots:
    """The snapshots in use, read from the store when they are not at hand."""

    def __init__(self, store: ExecutionStore, kept_bytes: int = KEPT_BYTES, secret_digest: Digest = plain_digest) -> None:
        self._store = store
        self.secret_digest = secret_digest
        self._kept: Kept[str, Compiled] = Kept(kept_bytes)
        self._of_revision: OrderedDict[Hashable, str] = OrderedDict()
        self._under_way: dict[Hashable, asyncio.Task[Compiled]] = {}

    async def get(self, snapshot_id: str) -> Compiled:
        """Return a snapshot; raises StoreError where the store does not have it."""
        return self._kept.get(snapshot_id) or await self._once(snapshot_id, lambda: self._read(snapshot_id))

    async def of_revision(
        self,
        revision: Hashable,
        tenant: str,
        document: Callable[[], Mapping[str, Any]],
        given_by: Callable[[], Mapping[str, str]] = dict,
        designer: str = "",
    ) -> Compiled:
        """Return the snapshot of `document`, which never changes for one `revision` of a workflow."""
        snapshot_id = self._of_revision.get(revision)
        compiled = None if snapshot_id is None else self._kept.get(snapshot_id)
        return compiled or await self._once(revision, lambda: self._compile_revision(revision, tenant, document(), given_by(), designer))

    def missing(self, snapshot_ids: Iterable[str]) -> list[str]:
        """Return which of the snapshots are not at hand."""
        return [each for each in dict.fromkeys(snapshot_ids) if each not in self._kept]

    def compile(self, snapshot: Snapshot) -> Compiled:
        """Keep a stored snapshot at hand, and return it ready for use."""
        compiled = _compile(snapshot)
        self.keep(compiled)
        return compiled

    def keep(self, compiled: Compiled) -> None:
        """Keep a snapshot at hand."""
        self._kept.put(compiled.snapshot.id, compiled, compiled.size)

    async def _once(self, key: Hashable, work: Callable[[], Coroutine[None, None, Compiled]]) -> Compiled:
        """Return what `work` returns, which everybody who asks meanwhile waits for too."""
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.get_running_loop().create_task(work())
            task.add_done_callback(lambda done: self._end(key, done))
        return await asyncio.shield(task)

    def _end(self, key: Hashable, done: "asyncio.Task[Compiled]") -> None:
        del self._under_way[key]
        if not done.cancelled():
            done.exception()  # whoever asked may have gone; then nobody else would look at it

    async def _read(self, snapshot_id: str) -> Compiled:
        snapshot = await self._store.snapshot(snapshot_id)
        if snapshot is None:
            raise StoreError(f"the snapshot {snapshot_id} is missing")
        compiled = await aside(partial(_compile, snapshot), is_slow=is_large(snapshot.document))
        self.keep(compiled)
        return compiled

    async def _compile_revision(
        self, revision: Hashable, tenant: str, document: Mapping[str, Any], given_by: Mapping[str, str], designer: str
    ) -> Compiled:
        made = partial(compile_snapshot, tenant, document, self.secret_digest, given_by, designer)
        compiled = await aside(made, is_slow=is_large(document))
        self.keep(compiled)
        self._of_revision[revision] = compiled.snapshot.id
        if len(self._of_revision) > REVISIONS_KEPT:
            self._of_revision.popitem(last=False)
        return compiled
