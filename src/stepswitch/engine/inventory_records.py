"""Documents of inventories: how they are kept, what of them differs, which credentials they name. Called by `inventories`."""

import hashlib
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stepswitch.domain.canonical import canonical_json
from stepswitch.domain.errors import Fault
from stepswitch.domain.inventory import Section
from stepswitch.domain.inventory_document import read_inventory
from stepswitch.domain.names import shown
from stepswitch.domain.references import FIELD, reference_in
from stepswitch.engine.budget import LARGE_BYTES, size_of_document

Document = Mapping[str, Any]


def is_large(document: object) -> bool:
    """Return whether a document takes so long to read that others should have their answers meanwhile."""
    return size_of_document(document, LARGE_BYTES) > LARGE_BYTES


def kept(document: Document) -> dict[str, dict[str, Any]]:
    """Return a document that was found right as it is stored and shown: with every section, and without what is null."""
    return {section.value: _present(document.get(section) or {}) for section in Section}


def _present(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _present(each) for name, each in value.items() if each is not None}
    return [_present(each) for each in value] if isinstance(value, list | tuple) else value


def section_of(document: Document, section: Section) -> Mapping[str, Any]:
    """Return the entries of a section."""
    found: Mapping[str, Any] = document.get(section) or {}
    return found


def with_entry(document: Document, section: Section, entry_id: str, entry: object) -> dict[str, Any]:
    """Return a document with one entry more, or another one."""
    return {**document, section.value: {**section_of(document, section), entry_id: entry}}


def without_entry(document: Document, section: Section, entry_id: str) -> dict[str, Any]:
    """Return a document with one entry less."""
    return {**document, section.value: {name: each for name, each in section_of(document, section).items() if name != entry_id}}


def entry_tag(entry: Document) -> str:
    """Return what changes whenever an entry does, and with nothing else."""
    return hashlib.sha256(canonical_json(entry)).hexdigest()


@dataclass(frozen=True, slots=True)
class Change:
    """What a document would change: the whole as it would be stored, and the entries that differ, by their sections, as they were and as they are."""

    document: Mapping[str, Mapping[str, Any]]
    before: Document
    after: Document
    faults: tuple[Fault, ...] = ()


def change_to(document: object, before: Document) -> Change:
    """Return what `document` would change; one with faults changes nothing."""
    faults = read_inventory(document).faults
    if faults or not isinstance(document, Mapping):
        return Change({}, {}, {}, faults)
    after = kept(document)
    return Change(after, *differing(before, after))


def differing(before: Document, after: Document) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return of two documents the entries that differ, by their sections, as they were and as they are."""
    were, are = {}, {}
    for section in Section:
        old, new = section_of(before, section), section_of(after, section)
        ids = [each for each in {**old, **new} if old.get(each) != new.get(each)]
        if gone := {each: old[each] for each in ids if each in old}:
            were[section.value] = gone
        if come := {each: new[each] for each in ids if each in new}:
            are[section.value] = come
    return were, are


def named_credentials(entries: Document) -> Iterator[tuple[str, str]]:
    """Yield the credentials that entries, by their sections, name, each with its path."""
    waiting: deque[tuple[str, Any]] = deque(entries.items())
    while waiting:
        path, value = waiting.popleft()
        found = reference_in(value) if FIELD in value else None
        if found is not None:
            yield path, found.credential
        else:
            waiting.extend((f"{path}.{shown(name)}", each) for name, each in value.items() if isinstance(each, Mapping))
