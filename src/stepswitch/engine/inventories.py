"""The use cases of the inventory: shown, changed as a whole or entry by entry. Called by `api.inventory`, the command line, and at the start.

A change is looked at as a whole, with all that was there before: what it leaves without the entry that it names is a fault, too. Nothing is
changed where there is one.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from stepswitch.domain.errors import (
    ErrorCode,
    Fault,
    InvalidRequestError,
    NotFoundError,
    PreconditionFailedError,
    VersionConflictError,
)
from stepswitch.domain.findings import brought, brought_entry
from stepswitch.domain.inventory import Section
from stepswitch.domain.inventory_document import noun_of
from stepswitch.domain.inventory_parts import unfit_id
from stepswitch.domain.names import shown, unfit_name
from stepswitch.engine.audit import NOTHING, Actor, Entry, Thing
from stepswitch.engine.audit import changed as differing_fields
from stepswitch.engine.budget import aside
from stepswitch.engine.callers import DEFAULT_TENANT, Caller
from stepswitch.engine.credential_ports import CredentialFinder
from stepswitch.engine.inventory_ports import NO_INVENTORY, THE_MACHINE, InventoryFinder, InventoryStore, StoredInventory
from stepswitch.engine.inventory_records import (
    Change,
    change_to,
    entry_tag,
    is_large,
    kept,
    named_credentials,
    section_of,
    with_entry,
    without_entry,
)
from stepswitch.engine.ports import Clock
from stepswitch.engine.privileges import Privilege

Answer = TypeVar("Answer")
Tags = frozenset[str] | None
"""The tags of which one must be that of what is stored; None where nobody asks."""
WHOLE: Final = Thing("inventory")
_KINDS: Final = {
    Section.SITES: "site",
    Section.VIM_LOCATIONS: "vimLocation",
    Section.VIRTUAL_MACHINES: "virtualMachine",
    Section.NETWORK_FUNCTIONS: "networkFunction",
    Section.NETWORK_SERVICES: "networkService",
    Section.DEVICES: "device",
    Section.SOURCES: "source",
}
_TRIES: Final = 5
THE_FILE: Final = "the inventory file"
"""Who has changed an inventory last, where that was a start of the service."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry stands."""

    section: Section
    entry_id: str

    @property
    def thing(self) -> Thing:
        """The entry as something that is acted on."""
        return Thing(_KINDS[self.section], self.entry_id)

    @property
    def path(self) -> str:
        """The entry's path in the document."""
        return f"{self.section}.{shown(self.entry_id)}"


class Inventories:
    """Looks after the inventory of the caller's tenant."""

    def __init__(self, store: InventoryStore, credentials: CredentialFinder, clock: Clock, known: InventoryFinder = NO_INVENTORY) -> None:
        self._store = store
        self._known = known
        self._credentials = credentials
        self._clock = clock
        self._changing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def get(self, caller: Caller) -> StoredInventory:
        """Return the inventory as it was written down, every section of it."""
        caller.require(Privilege.INVENTORY_READ)
        stored = await self._store.load(caller.tenant)
        return stored if stored.document else replace(stored, document=kept({}))

    async def get_all(self, caller: Caller) -> StoredInventory:
        """Return the inventory with what its sources brought, each such entry with the mark of its source."""
        stored = await self.get(caller)
        found = brought(await self._known.of(caller.tenant))
        together = {name: {**found.get(name, {}), **entries} for name, entries in stored.document.items()}
        return replace(stored, document=together)

    async def entry(self, caller: Caller, place: Place) -> Mapping[str, Any]:
        """Return one entry, with the mark of its source where one brought it; raises NotFoundError."""
        stored = await self.get(caller)
        found = None if place.entry_id in section_of(stored.document, place.section) else await self._brought(caller.tenant, place)
        return _entry_at(stored, place) if found is None else found

    async def replace(self, caller: Caller, document: object, only_if: Tags = None, faults: Sequence[Fault] = ()) -> StoredInventory:
        """Put another inventory in the place of the stored one, and return it; raises InvalidRequestError with every fault, PreconditionFailedError.

        `faults` are those of the request around it.
        """
        caller.require(Privilege.ADMINISTRATION)

        async def act(stored: StoredInventory) -> StoredInventory:
            _check_tag(only_if, stored.tag)
            change = await self._checked(stored, document, faults)
            return await self._put(caller, stored, change, WHOLE, (change.before, change.after))

        return await self._on_stored(caller.tenant, act)

    async def put_entry(
        self, caller: Caller, place: Place, entry: object, only_if: Tags = None, faults: Sequence[Fault] = ()
    ) -> Mapping[str, Any]:
        """Store one entry, a new one or in place of the one called so, and return it; raises as `replace` does."""
        caller.require(Privilege.ADMINISTRATION)
        why = unfit_name(place.entry_id) or unfit_id(place.entry_id)
        if why is not None:  # what else is wrong with it is told under another name
            faults, place = [*faults, Fault(ErrorCode.INVALID_VALUE, "id", why)], replace(place, entry_id="?")

        async def act(stored: StoredInventory) -> Mapping[str, Any]:
            before = section_of(stored.document, place.section).get(place.entry_id)
            await self._refuse_brought(stored, place)
            _check_entry(only_if, before)
            wanted = with_entry(stored.document, place.section, place.entry_id, entry)
            change = await self._checked(stored, wanted, faults, place)
            made = change.document[place.section][place.entry_id]
            told = (NOTHING, made) if before is None else differing_fields(before, made)
            await self._put(caller, stored, change, place.thing, told)
            return dict(made)

        return await self._on_stored(caller.tenant, act)

    async def remove_entry(self, caller: Caller, place: Place, only_if: Tags = None) -> None:
        """Remove one entry; raises NotFoundError, and InvalidRequestError with every place where another one names it."""
        caller.require(Privilege.ADMINISTRATION)

        async def act(stored: StoredInventory) -> None:
            await self._refuse_brought(stored, place)
            before = _entry_at(stored, place)
            _check_entry(only_if, before)
            change = await self._checked(stored, without_entry(stored.document, place.section, place.entry_id))
            await self._put(caller, stored, change, place.thing, (before, NOTHING))

        await self._on_stored(caller.tenant, act)

    async def load_file(self, document: Mapping[str, Any], digest: str, entry: Entry) -> bool:
        """Store what a file says for the tenant `default`, unless that very file was loaded last; return whether it is stored now.

        The document was found right. Who starts the service may name credentials that are still to be made.
        """

        async def act(stored: StoredInventory) -> bool:
            if stored.file_digest == digest:
                return False
            change = change_to(document, stored.document)
            told = replace(entry, tenant=DEFAULT_TENANT, thing=WHOLE, before=change.before, after=change.after)
            made = replace(self._next(stored, change, THE_FILE, THE_MACHINE), file_digest=digest)
            await self._store.put(made, told, _sources_gone(stored, made))
            return True

        return await self._on_stored(DEFAULT_TENANT, act)

    async def missing_credentials(self, tenant: str, entries: Mapping[str, Any]) -> list[str]:
        """Return the names of credentials that entries name and nobody has made."""
        names = dict.fromkeys(name for _, name in named_credentials(entries))
        return [name for name in names if await self._credentials.find(tenant, name) is None]

    async def _checked(self, stored: StoredInventory, document: object, around: Sequence[Fault] = (), place: Place | None = None) -> Change:
        """Return what a document changes; raises InvalidRequestError with every fault, the paths of those in `place` as its sender wrote them."""
        change = await aside(lambda: change_to(document, stored.document), is_slow=is_large(document))
        missing = await self.missing_credentials(stored.tenant, change.after)
        faults = [
            *change.faults,
            *(
                Fault(ErrorCode.CREDENTIAL_REFUSED, path, f"there is no credential called {name!r}; make it first")
                for path, name in named_credentials(change.after)
                if name in missing
            ),
        ]
        if around or faults:
            raise InvalidRequestError([*around, *(_inside(fault, place) for fault in faults)])
        return change

    async def _brought(self, tenant: str, place: Place) -> Mapping[str, Any] | None:
        return brought_entry(await self._known.of(tenant), place.section, place.entry_id)

    async def _refuse_brought(self, stored: StoredInventory, place: Place) -> None:
        """Raise InvalidRequestError where an entry is what a source brings, and was not written down."""
        if not stored.document.get(Section.SOURCES) or place.entry_id in section_of(stored.document, place.section):
            return
        found = await self._brought(stored.tenant, place)
        if found is not None:
            message = (
                f"the {noun_of(place.section)} comes from the source {shown(str(found['source']))!r} and is not changed here: change it there. "
                "Where another one of this id stands in a whole inventory that is stored, that one counts"
            )
            raise InvalidRequestError([Fault(ErrorCode.READ_ONLY, "", message)])

    def _next(self, stored: StoredInventory, change: Change, user: str, editor: str, thing: Thing = WHOLE) -> StoredInventory:
        now = max(self._clock.now(), stored.changed_at)
        sources = section_of(change.document, Section.SOURCES)
        theirs = {*section_of(change.after, Section.SOURCES)}
        if thing.kind == _KINDS[Section.SOURCES]:
            theirs.add(thing.id)  # as it was, perhaps: then whoever stores it is the one in whose name it is asked
        editors = {name: editor if name in theirs else stored.editors.get(name, editor) for name in sources}
        return replace(stored, document=change.document, revision=stored.revision + 1, changed_at=now, changed_by=user, editors=editors)

    async def _put(self, caller: Caller, stored: StoredInventory, change: Change, thing: Thing, told: "Differing") -> StoredInventory:
        is_on_machine = caller.act is not None and caller.act.kind is Actor.COMMAND_LINE
        made = self._next(stored, change, caller.user, THE_MACHINE if is_on_machine else caller.user, thing)
        await self._store.put(made, caller.entry(thing, *told), _sources_gone(stored, made))
        return made

    async def _on_stored(self, tenant: str, act: Callable[[StoredInventory], Awaitable[Answer]]) -> Answer:
        """Return what `act` makes of the stored inventory, one after the other in a tenant; again where another process changed it meanwhile."""
        async with self._changing[tenant]:
            for left in reversed(range(_TRIES)):
                try:
                    return await act(await self._store.load(tenant))
                except VersionConflictError:
                    if not left:
                        raise
        raise AssertionError("the last try returns or raises")


Differing = tuple[Mapping[str, Any], Mapping[str, Any]]


def _entry_at(stored: StoredInventory, place: Place) -> Mapping[str, Any]:
    found: Mapping[str, Any] | None = section_of(stored.document, place.section).get(place.entry_id)
    if found is None:
        raise NotFoundError(f"no {noun_of(place.section)} {place.entry_id}")
    return found


def _sources_gone(before: StoredInventory, after: StoredInventory) -> list[str]:
    return [name for name in section_of(before.document, Section.SOURCES) if name not in section_of(after.document, Section.SOURCES)]


def _inside(fault: Fault, place: Place | None) -> Fault:
    if place is None or not fault.path.startswith(place.path):
        return fault
    rest = fault.path[len(place.path) :]
    return replace(fault, path=rest.removeprefix(".")) if not rest or rest.startswith(".") else fault


def _check_tag(only_if: Tags, tag: str) -> None:
    if only_if is not None and tag not in only_if:
        raise PreconditionFailedError("the inventory has changed since it was read; read it again")


def _check_entry(only_if: Tags, entry: Mapping[str, Any] | None) -> None:
    if only_if is not None and (entry is None or entry_tag(entry) not in only_if):
        raise PreconditionFailedError("the entry has changed since it was read; read it again")
