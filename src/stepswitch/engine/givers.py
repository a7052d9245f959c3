"""Who gave each password that stands in a workflow: he is believed to know it, and nobody else. Called by `catalogue`, `edits`, `redirections`.

Whoever sends `********` gives nothing: what is kept stays as given by whoever gave it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from stepswitch.domain.canonical import canonical_json
from stepswitch.domain.conversion import schema_of, upgraded
from stepswitch.domain.references import reference_in
from stepswitch.engine.kept_passwords import Knows, held_passwords
from stepswitch.engine.password_ways import Key, Place, value_at
from stepswitch.engine.records import Snapshot, StoredWorkflow

JsonObject = Mapping[str, Any]
NOBODY: Final = ""
"""Gave what was given by one of several: nobody is called so."""


@dataclass(frozen=True, slots=True)
class Givers:
    """Those of one document: `maker` gave everything but what is at `others`, which has names of places as keys."""

    maker: str
    others: Mapping[str, str]

    def of(self, place: Place) -> str:
        """Return who gave the password at a place."""
        return self.others.get(_name(place), self.maker)

    def known_to(self, user: str) -> Knows:
        """Return what says of a place whether somebody gave the password there."""
        return lambda place: self.of(place) == user

    def after(self, user: str, document: JsonObject, before: JsonObject, kept: Collection[tuple[Key, ...]]) -> dict[str, str]:
        """Return who gave what, but for the maker, where somebody put `document` in the place of `before` and sent nothing at the places `kept`.

        The name of a credential is shown: whoever sends it as it was has not given it.
        """
        found = {}
        for place in held_passwords(document):
            value = value_at(document, place.keys)
            is_kept = place.keys in kept or (_is_reference(value) and value == value_at(before, place.keys))
            giver = self.of(place) if is_kept else user
            if giver != self.maker:
                found[_name(place)] = giver
        return found


def givers_of_workflow(workflow: StoredWorkflow) -> Givers:
    """Return who gave the passwords of a workflow as it is stored."""
    return Givers(workflow.creation_user, workflow.given_by)


def givers_of_snapshot(snapshot: Snapshot) -> Givers:
    """Return who gave the passwords of a snapshot."""
    return Givers(str(snapshot.document.get("creationUser")), snapshot.given_by)


def given_in_snapshot(workflow: StoredWorkflow) -> Mapping[str, str]:
    """Return the same for its snapshot, in schema 3.0. An older one has other places: what several gave is then known to none of them."""
    if not workflow.given_by or schema_of(workflow.document) is None:
        return workflow.given_by
    return {_name(place): NOBODY for place in held_passwords(upgraded(workflow.document))}


def _name(place: Place) -> str:
    """Return what nothing else than a place is called: a name in a document may have dots and brackets in it."""
    return canonical_json(place.keys).decode()


def _is_reference(value: object) -> bool:
    return isinstance(value, Mapping) and reference_in(value) is not None
