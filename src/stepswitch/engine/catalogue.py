"""The use cases of the workflow catalogue. Called by `api.workflows` and the command line."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stepswitch.domain.document import OwnerType
from stepswitch.domain.errors import Fault, InvalidRequestError, NotFoundError
from stepswitch.domain.step_types import StepTypes
from stepswitch.domain.validation import check
from stepswitch.engine.budget import is_large
from stepswitch.engine.callers import Caller
from stepswitch.engine.confidential import masked_defaults
from stepswitch.engine.ports import CatalogueStore, Clock, Ids
from stepswitch.engine.records import StoredWorkflow

_FILLED_IN = frozenset({"id", "createdAt", "creationUser", "creationTenantId", "links"})


@dataclass(frozen=True, slots=True)
class Checked:
    """A stored workflow, and what its author should know of it."""

    workflow: StoredWorkflow
    warnings: tuple[Fault, ...]


class Catalogue:
    """Workflows as their designers see them."""

    def __init__(self, store: CatalogueStore, types: StepTypes, clock: Clock, ids: Ids, *, strict: bool = False) -> None:
        self._store = store
        self._types = types
        self._clock = clock
        self._ids = ids
        self._strict = strict

    async def create(self, caller: Caller, document: Mapping[str, Any]) -> Checked:
        """Store a new workflow; raises InvalidRequestError with every fault of the document."""
        faults, warnings = await asyncio.to_thread(self._examine, document) if is_large(document) else self._examine(document)
        if faults:
            raise InvalidRequestError(faults)
        kept = {name: value for name, value in document.items() if name not in _FILLED_IN}
        kept.setdefault("owner", {"id": caller.user, "type": OwnerType.USER.value})
        kept.setdefault("readOnly", False)
        workflow = StoredWorkflow(self._ids.new(), caller.tenant, self._clock.now(), caller.user, 1, kept)
        await self._store.create(workflow)
        return Checked(workflow, warnings)

    def _examine(self, document: Mapping[str, Any]) -> tuple[list[Fault], tuple[Fault, ...]]:
        """Return the faults of a document and its warnings."""
        parsed = check(document, self._types, strict=self._strict)
        return [*parsed.faults, *(masked_defaults(parsed.workflow) if parsed.workflow else ())], parsed.warnings

    async def get(self, caller: Caller, workflow_id: str) -> StoredWorkflow:
        """Return a workflow of the caller's tenant; raises NotFoundError."""
        workflow = await self._store.get(caller.tenant, workflow_id)
        if workflow is None:
            raise NotFoundError(f"no workflow {workflow_id}")
        return workflow
