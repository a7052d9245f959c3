"""The use cases of the workflow catalogue. Called by `api.workflows`, `api.revisions` and the command line."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, TypeVar

from stepswitch.domain.conversion import convert, schema_of, upgraded
from stepswitch.domain.document import OwnerType
from stepswitch.domain.errors import (
    ErrorCode,
    Fault,
    InvalidRequestError,
    NotFoundError,
    NotPermittedError,
    PreconditionFailedError,
    VersionConflictError,
)
from stepswitch.domain.names import MAX_NAME, shown, unfit_name
from stepswitch.domain.step_types import StepTypes
from stepswitch.domain.validation import check
from stepswitch.engine.audited_workflows import change, thing_of, told
from stepswitch.engine.budget import aside, is_large
from stepswitch.engine.callers import Caller
from stepswitch.engine.credential_checks import NO_CHECKS, CredentialChecks, in_document
from stepswitch.engine.givers import Givers, given_in_snapshot, givers_of_workflow
from stepswitch.engine.kept_passwords import Knows, knows_nothing, masked_places, moved_passwords, stored_passwords, with_kept_passwords
from stepswitch.engine.ports import CatalogueStore, Clock, FileStore, Ids
from stepswitch.engine.privileges import Privilege
from stepswitch.engine.records import Revision, StoredFile, StoredWorkflow

JsonObject = Mapping[str, Any]
Tags = frozenset[str] | None
"""The tags of which one must be the stored workflow's; None where nobody asks."""
_FILLED_IN: Final = frozenset({"id", "createdAt", "creationUser", "creationTenantId", "links"})
_TRIES: Final = 5
_WITH_FILE: Final = "replace the workflow instead, with the file and the password itself"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Checked:
    """A stored workflow, and what its author should know of it."""

    workflow: StoredWorkflow
    warnings: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class Review:
    """What can be said about a document: every fault, and every warning."""

    faults: tuple[Fault, ...]
    warnings: tuple[Fault, ...]


def review(document: JsonObject, types: StepTypes, *, strict: bool = False) -> Review:
    """Return every fault and every warning of a document of any schema."""
    if schema_of(document) is None:
        parsed = check(document, types, strict=strict)
        return Review(parsed.faults, parsed.warnings)
    converted = convert(document, types, strict=strict)
    if document.get("schemaVersion") is not None:
        return Review(converted.faults, converted.warnings)
    return Review((Fault(ErrorCode.MISSING_FIELD, "schemaVersion", "is required"), *converted.faults), converted.warnings)


def tag_of(workflow: StoredWorkflow) -> str:
    """Return what changes whenever a workflow does, also where it was deleted and another one has its id."""
    return f"{workflow.created_at:x}-{workflow.revision}"


class Catalogue:
    """Workflows as their designers see them."""

    def __init__(
        self,
        store: CatalogueStore,
        types: StepTypes,
        clock: Clock,
        ids: Ids,
        *,
        strict: bool = False,
        files: FileStore | None = None,
        credentials: CredentialChecks = NO_CHECKS,
    ) -> None:
        self._credentials = credentials
        self._store = store
        self._types = types
        self._clock = clock
        self._ids = ids
        self._strict = strict
        self._files = files

    async def create(self, caller: Caller, document: JsonObject, workflow_id: str | None = None, around: Sequence[Fault] = ()) -> Checked:
        """Store a new workflow, under `workflow_id` where one is given; raises InvalidRequestError with every fault of the document.

        `around` are faults that were found around it, so that all of them are said in one answer.
        """
        caller.require(Privilege.WORKFLOW_DESIGN)
        workflow_id = workflow_id or self._ids.new()
        kept, warnings = await self._checked(document, {}, caller, workflow_id, around)
        _check_name(caller, kept)
        kept.setdefault("owner", {"id": caller.user, "type": OwnerType.USER.value})
        kept.setdefault("readOnly", False)
        workflow = StoredWorkflow(workflow_id, caller.tenant, self._clock.now(), caller.user, 1, kept)
        try:
            await self._store.create(workflow, caller.entry(thing_of(workflow), after=told(workflow)))
        except VersionConflictError:
            message = "there is a workflow of this id already; replace it, or choose another id"
            raise InvalidRequestError([Fault(ErrorCode.ALREADY_EXISTS, "id", message)]) from None
        return Checked(workflow, (*warnings, *await self.missing_files(caller, kept)))

    async def get(self, caller: Caller, workflow_id: str) -> StoredWorkflow:
        """Return a workflow that the caller may see; raises NotFoundError."""
        workflow = await self._store.get(caller.tenant, workflow_id)
        if workflow is None:
            raise NotFoundError(f"no workflow {workflow_id}")
        caller.check_sees(workflow)
        return workflow

    async def replace(
        self,
        caller: Caller,
        workflow_id: str,
        document: JsonObject,
        only_if: Tags = None,
        around: Sequence[Fault] = (),
        *,
        given_by: Mapping[str, str] | None = None,
    ) -> Checked:
        """Store `document` as the next revision; passwords that are sent as `********` stay as they are. `around` is as in `create`.

        `given_by` says who gave the passwords in it, where that is not the caller: see `givers`.

        Raises NotFoundError, PreconditionFailedError, NotPermittedError where it is readOnly, InvalidRequestError with every fault.
        """

        async def store(stored: StoredWorkflow) -> Checked:
            return await self._replace(caller, stored, document, around, given_by)

        return await self._on_stored(caller, workflow_id, only_if, store)

    async def _replace(
        self, caller: Caller, stored: StoredWorkflow, document: JsonObject, around: Sequence[Fault], given_by: Mapping[str, str] | None
    ) -> Checked:
        if _is_read_only(stored) and document.get("readOnly") is not False:
            _refuse_change(stored)
        givers = givers_of_workflow(stored)
        kept, warnings = await self._checked(document, stored.document, caller, stored.id, around, knows=givers.known_to(caller.user))
        kept.setdefault("owner", stored.document["owner"])
        kept.setdefault("readOnly", False)
        if _is_read_only(stored):
            _check_unlock(caller, stored, kept)
        if given_by is None:
            given_by = givers.after(caller.user, kept, stored.document, {place.keys for place in masked_places(document)})
        return await self._next(caller, replace(stored, given_by=given_by), kept, warnings)

    async def _next(self, caller: Caller, stored: StoredWorkflow, document: JsonObject, warnings: tuple[Fault, ...]) -> Checked:
        if document.get("name") != stored.document.get("name"):
            _check_name(caller, document)
        last = "" if caller.user == stored.creation_user else caller.user
        workflow = replace(stored, revision=stored.revision + 1, document=document, changed_by=last)
        await self._store.replace(workflow, self._clock.now(), caller.user, change(caller, stored, workflow))
        return Checked(workflow, (*warnings, *await self.missing_files(caller, document)))

    async def delete(self, caller: Caller, workflow_id: str, only_if: Tags = None) -> None:
        """Remove a workflow with its revisions; executions keep their snapshot. Raises as `replace` does."""

        async def remove(stored: StoredWorkflow) -> None:
            if _is_read_only(stored):
                _refuse_change(stored)
            await self._store.delete(stored, caller.entry(thing_of(stored), before=told(stored)))

        await self._on_stored(caller, workflow_id, only_if, remove)
        if self._files is not None:
            await self._files.sweep()

    async def revisions(self, caller: Caller, workflow_id: str) -> Sequence[Revision]:
        """Return every revision of a workflow, oldest first; raises NotFoundError."""
        return await self._store.revisions(await self.get(caller, workflow_id))

    async def revision(self, caller: Caller, workflow_id: str, number: int) -> StoredWorkflow:
        """Return a workflow as it was in one of its revisions; raises NotFoundError."""
        found = await self._store.revision(await self.get(caller, workflow_id), number)
        if found is None:
            raise NotFoundError(f"the workflow {workflow_id} has no revision {number}")
        return found

    async def restore(self, caller: Caller, workflow_id: str, number: int, only_if: Tags = None) -> Checked:
        """Make an earlier revision the current one again, as a revision of its own; raises as `replace` does."""
        wanted = await self.revision(caller, workflow_id, number)

        async def store(stored: StoredWorkflow) -> Checked:
            if _is_read_only(stored):
                _refuse_change(stored)
            kept, warnings = await self._checked(wanted.document, wanted.document, caller, stored.id)
            return await self._next(caller, replace(stored, given_by=wanted.given_by), kept, warnings)

        return await self._on_stored(caller, workflow_id, only_if, store)

    async def attach(self, caller: Caller, workflow_id: str, file: StoredFile, only_if: Tags = None) -> tuple[str, Checked]:
        """Add a file that was stored a moment ago, in place of one that goes by the same key; return the key. Raises as `replace` does."""
        key = attachment_key(file.name)

        async def add(stored: StoredWorkflow) -> Checked:
            if _is_read_only(stored):
                _refuse_change(stored)
            attachments = {**attachments_of(stored), key: {"id": file.id, "reference": file.name}}
            return await self._next(caller, stored, await self._with_files(caller, stored, attachments), ())

        return key, await self._on_stored(caller, workflow_id, only_if, add)

    async def detach(self, caller: Caller, workflow_id: str, attachment: str, only_if: Tags = None) -> None:
        """Take a file, by its id or its key, away; earlier revisions and executions keep it. Raises as `replace` does."""

        async def remove(stored: StoredWorkflow) -> None:
            key = find_attachment(attachments_of(stored), attachment)
            if _is_read_only(stored):
                _refuse_change(stored)
            left = {name: entry for name, entry in attachments_of(stored).items() if name != key}
            await self._next(caller, stored, await self._with_files(caller, stored, left), ())

        await self._on_stored(caller, workflow_id, only_if, remove)

    async def _with_files(self, caller: Caller, stored: StoredWorkflow, attachments: JsonObject) -> dict[str, Any]:
        """Return the document with other files, which its steps may run; raises InvalidRequestError where that is for who knows its secrets."""
        document = {**stored.document, "attachments": attachments}
        before = upgraded(stored.document)
        knows = Givers(stored.creation_user, given_in_snapshot(stored)).known_to(caller.user)
        kept = [place for place in stored_passwords(before) if not knows(place)]
        faults = moved_passwords(kept, {**before, "attachments": attachments}, before, self._types, _WITH_FILE)
        faults += await self._credentials.faults(caller, in_document(document), stored.id, str(document.get("name")))
        if faults:
            raise InvalidRequestError(faults)
        return document

    async def attachment(self, caller: Caller, workflow_id: str, attachment: str) -> StoredFile:
        """Return a file of a workflow by its id or its key; raises NotFoundError."""
        attachments = attachments_of(await self.get(caller, workflow_id))
        entry = attachments[find_attachment(attachments, attachment)]
        file = await self._files.find(caller.tenant, str(entry.get("id"))) if self._files is not None else None
        if file is None:
            raise NotFoundError("the file was never uploaded here")
        return file

    async def missing_files(self, caller: Caller, document: JsonObject) -> list[Fault]:
        """Return a warning for each attachment whose file is not here: without it the workflow is a draft."""
        files = self._files
        attachments = document.get("attachments")
        if files is None or not isinstance(attachments, Mapping):
            return []
        message = "names no file that was uploaded here: the workflow is a draft until it is"
        return [
            Fault(ErrorCode.UNKNOWN_ATTACHMENT, f"attachments.{shown(key)}.id", message)
            for key, entry in attachments.items()
            if isinstance(entry, Mapping) and await files.find(caller.tenant, str(entry.get("id"))) is None
        ]

    async def validate(self, document: JsonObject) -> Review:
        """Return every fault and every warning of a document of any schema; nothing is stored."""
        found = await aside(partial(review, document, self._types, strict=self._strict), is_slow=is_large(document))
        return Review((*found.faults, *with_kept_passwords(document, {}, self._types)[1]), found.warnings)

    async def convert(self, original: JsonObject, owner: JsonObject, faults: Sequence[Fault] = ()) -> dict[str, Any]:
        """Return a document of schema 1.0 or 2.0 in schema 3.0; raises InvalidRequestError with every fault, by its place in `original`.

        `faults` are those that were found around it, so that all of them are said in one answer.
        """
        converted = await aside(partial(convert, original, self._types, strict=self._strict), is_slow=is_large(original))
        if converted.document is None or faults:
            raise InvalidRequestError([*faults, *(replace(fault, path=_inside("original", fault.path)) for fault in converted.faults)])
        kept = {name: value for name, value in converted.document.items() if name not in _FILLED_IN}
        return {**kept, "owner": dict(owner), "readOnly": converted.document.get("readOnly") or False}

    async def _checked(
        self,
        document: JsonObject,
        stored: JsonObject,
        caller: Caller,
        workflow_id: str,
        around: Sequence[Fault] = (),
        *,
        knows: Knows = knows_nothing,
    ) -> tuple[dict[str, Any], tuple[Fault, ...]]:
        """Return what is kept of `document`, and its warnings; raises InvalidRequestError with every fault.

        Whoever stores a credential's name has to be one who may use it: what the workflow does with it is his work.
        """
        keep = partial(with_kept_passwords, document, stored, self._types, knows)
        whole, masked = await aside(keep, is_slow=is_large(document))
        look = partial(review, whole, self._types, strict=self._strict)
        found = await aside(look, is_slow=is_large(whole))
        refused = await self._credentials.faults(caller, in_document(whole), workflow_id, str(whole.get("name")))
        if faults := [*around, *found.faults, *masked, *refused]:
            raise InvalidRequestError(faults)
        kept = {name: value for name, value in whole.items() if name not in _FILLED_IN}
        for name in ("owner", "readOnly"):
            if kept.get(name, ...) is None:
                del kept[name]
        if "readOnly" in kept:
            kept["readOnly"] = str(kept["readOnly"]).lower() == "true"
        return kept, found.warnings

    async def _on_stored(self, caller: Caller, workflow_id: str, only_if: Tags, act: Callable[[StoredWorkflow], Awaitable[_T]]) -> _T:
        """Return what `act` makes of the stored workflow; again where somebody else changed it meanwhile."""
        for left in reversed(range(_TRIES)):
            stored = await self.get(caller, workflow_id)
            caller.check_may(Privilege.WORKFLOW_DESIGN, stored)
            if only_if is not None and tag_of(stored) not in only_if:
                raise PreconditionFailedError("the workflow has changed since it was read; read it again")
            try:
                return await act(stored)
            except VersionConflictError:
                if not left:
                    raise
        raise AssertionError("the last try returns or raises")


def attachments_of(workflow: StoredWorkflow) -> dict[str, JsonObject]:
    """Return the files that a workflow names, by key."""
    attachments = upgraded(workflow.document).get("attachments")
    return dict(attachments) if isinstance(attachments, Mapping) else {}


def find_attachment(attachments: Mapping[str, JsonObject], wanted: str) -> str:
    """Return the key of the file that `wanted` is the id or the key of; raises NotFoundError."""
    by_id = (key for key, entry in attachments.items() if isinstance(entry, Mapping) and entry.get("id") == wanted)
    key = next(by_id, wanted)
    if key not in attachments:
        raise NotFoundError("there is no such attachment")
    return key


def attachment_key(name: str) -> str:
    """Return the key that a file goes by: its name, as far as that can be a key. `reference` has the name as it is."""
    fit = "".join(character if unfit_name(f"x{character}") is None else "\ufffd" for character in name)[:MAX_NAME]
    return fit if unfit_name(fit) is None else "file"


def _inside(field: str, path: str) -> str:
    return f"{field}.{path}" if path else field


def _check_name(caller: Caller, document: JsonObject) -> None:
    """Raise NotPermittedError where somebody would put a workflow before people who are not his to work for: under a name beyond his roles."""
    caller.require(Privilege.WORKFLOW_DESIGN, str(document.get("name")))


def _is_read_only(workflow: StoredWorkflow) -> bool:
    return workflow.document.get("readOnly") is True


def _refuse_change(workflow: StoredWorkflow) -> None:
    raise NotPermittedError(f"the workflow {workflow.id} is readOnly", ErrorCode.READ_ONLY)


def _check_unlock(caller: Caller, stored: StoredWorkflow, wanted: JsonObject) -> None:
    """Let the user who owns a workflow, and administrators, make it writable; a change beyond that comes afterwards."""
    owner = stored.document.get("owner")
    is_users = isinstance(owner, Mapping) and owner.get("type") == OwnerType.USER
    is_own = isinstance(owner, Mapping) and owner.get("id") == caller.user
    if not is_users or not (is_own or caller.is_administrator) or {**stored.document, "readOnly": False} != dict(wanted):
        _refuse_change(stored)
