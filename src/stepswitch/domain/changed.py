"""`dataclasses.replace` for the values that every event makes anew: the same, at a tenth of its cost. Called where every event or request needs one.

A step execution has two dozen fields. `replace` hands each of them to `__init__`, which sets it past the guard that keeps a frozen value
from being written to; here they are copied slot by slot into an object without the guard, which becomes a frozen one when it is complete.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

__all__ = ["changed"]
_T = TypeVar("_T")
_OPEN: Final[dict[type, Callable[[Any], Any]]] = {}
"""Of each type what copies a value of it into one that has the same slots, and no guard."""

if TYPE_CHECKING:
    from dataclasses import replace as changed  # a checker of types knows which fields it takes
else:

    def changed(value: _T, /, **fields: Any) -> _T:
        """Return a copy of a slotted dataclass with other `fields`; raises TypeError where it has no such field.

        `__init__` and `__post_init__` do not run.
        """
        kind = type(value)
        copy = (_OPEN.get(kind) or _opener(kind))(value)
        for name, field in fields.items():
            try:
                setattr(copy, name, field)
            except AttributeError:
                raise TypeError(f"{kind.__name__} has no field {name}") from None
        copy.__class__ = kind
        return copy

    def _opener(kind: type) -> Callable[[Any], Any]:
        """Return what copies all slots, written out as one would by hand: then Python reads and writes each at its place in memory."""
        lines = [f"    copy.{name} = value.{name}" for name in kind.__slots__]
        unguarded = type(kind.__name__, (), {"__slots__": kind.__slots__})
        names: dict[str, Any] = {"new": object.__new__, "Unguarded": unguarded}
        exec("\n".join(["def opened(value):", "    copy = new(Unguarded)", *lines, "    return copy"]), names)  # noqa: S102 # of names of fields
        opened: Callable[[Any], Any] = names["opened"]
        _OPEN[kind] = opened
        return opened
