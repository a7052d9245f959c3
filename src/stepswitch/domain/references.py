"""A credential by its name, in place of a password: `{"credential": "core routers"}`. Read by `values`; opened at the moment of use by the worker.

It is an object and never a part of a string: whoever writes a text with a name in it has written that text and nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from stepswitch.domain.names import unfit_name

FIELD: Final = "credential"


@dataclass(frozen=True, slots=True)
class Reference:
    """A credential as a document or a request names it, and as it is shown: the name is no secret."""

    credential: str


@dataclass(frozen=True, slots=True)
class SignedReference(Reference):
    """One that a person has put where it is now: what he may not use, nobody uses in his name."""

    by: str


def reference_in(value: "Reference | Mapping[str, object]") -> Reference | None:
    """Return the reference that a JSON object is; None where it is none."""
    if isinstance(value, Reference):
        return value
    name = value.get(FIELD)
    if not isinstance(name, str) or unfit_name(name) is not None or len(value) > 1:
        return None
    return Reference(name)


def signed(values: Mapping[str, Any], by: str) -> dict[str, Any]:
    """Return `values`, each reference that nobody has put there yet as one of `by`."""
    return {name: SignedReference(value.credential, by) if type(value) is Reference else value for name, value in values.items()}
