"""Workflows as executions see them: parsed once, kept by the hash of their content. Called by the conductor and the use cases."""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from stepswitch.domain.canonical import canonical_json
from stepswitch.domain.document import Workflow
from stepswitch.domain.errors import StoreError
from stepswitch.domain.parsing import parse
from stepswitch.domain.values import ValueType
from stepswitch.engine.ports import ExecutionStore
from stepswitch.engine.records import Snapshot

KEPT: Final = 1_000


@dataclass(frozen=True, slots=True)
class Compiled:
    """A snapshot ready for use.

    `secret_names` are the inputs, variables and outputs of type password; `secret_defaults` the passwords that stand in the document itself.
    """

    snapshot: Snapshot
    workflow: Workflow
    secret_names: frozenset[str]
    secret_defaults: tuple[str, ...]


def compile_snapshot(tenant: str, document: Mapping[str, Any]) -> Compiled:
    """Return `document`, which was validated before, as a snapshot of `tenant`."""
    digest = hashlib.sha256(tenant.encode() + b"\0" + canonical_json(document)).hexdigest()
    return _compile(Snapshot(digest, tenant, document))


def _compile(snapshot: Snapshot) -> Compiled:
    workflow = parse(snapshot.document).workflow
    if workflow is None:
        raise StoreError(f"the stored snapshot {snapshot.id} cannot be read")
    names = frozenset(name for name, declared in workflow.declarations.items() if declared.type is ValueType.PASSWORD)
    declared = [(each.type, each.default) for each in workflow.declarations.values()]
    bound = [(binding.type, binding.default) for step in workflow.steps.values() for binding in step.in_bindings]
    compared = [
        (ValueType.PASSWORD, condition.value)
        for step in workflow.steps.values()
        for condition in step.conditions
        if condition.name in names
    ]
    defaults = {
        default for kind, default in declared + bound + compared if kind is ValueType.PASSWORD and isinstance(default, str) and default
    }
    return Compiled(snapshot, workflow, names, tuple(defaults))


class Snapshots:
    """The snapshots in use, read from the store when they are not at hand."""

    def __init__(self, store: ExecutionStore) -> None:
        self._store = store
        self._kept: OrderedDict[str, Compiled] = OrderedDict()

    async def get(self, snapshot_id: str) -> Compiled:
        """Return a snapshot; raises StoreError where the store does not have it."""
        compiled = self._kept.get(snapshot_id)
        if compiled is None:
            snapshot = await self._store.snapshot(snapshot_id)
            if snapshot is None:
                raise StoreError(f"the snapshot {snapshot_id} is missing")
            compiled = _compile(snapshot)
        self.keep(compiled)
        return compiled

    def keep(self, compiled: Compiled) -> None:
        """Keep a snapshot at hand."""
        self._kept[compiled.snapshot.id] = compiled
        self._kept.move_to_end(compiled.snapshot.id)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
