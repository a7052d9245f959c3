"""Frozen values that every event or request makes anew, at a fraction of the cost. Used where that is felt.

A step execution has two dozen fields, a head twice as many. A frozen dataclass sets each past the guard that keeps it from being written
to. Here they are set in an object that has the same slots and no guard, which becomes a frozen one when it is complete; and they are set
by code written out as one would by hand, so that Python finds each at its place in memory.
"""

from collections.abc import Callable
from dataclasses import MISSING, fields
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Final, TypeVar

__all__ = ["changed", "quickly_made"]
_T = TypeVar("_T")
_OPENERS: Final[dict[type, Callable[[Any], Any]]] = {}
"""Of each type what copies a value of it into one without a guard."""

if TYPE_CHECKING:
    from dataclasses import replace as changed  # a checker of types knows which fields it takes
else:

    def changed(value: _T, /, **fields: Any) -> _T:
        """Return a copy of a slotted dataclass with other `fields`, as `dataclasses.replace` does; raises TypeError where it has no such field.

        `__init__` and `__post_init__` do not run.
        """
        kind = type(value)
        copy = (_OPENERS.get(kind) or _opener(kind))(value)
        for name, field in fields.items():
            try:
                setattr(copy, name, field)
            except AttributeError:
                raise TypeError(f"{kind.__name__} has no field {name}") from None
        copy.__class__ = kind
        return copy


def quickly_made(kind: type[_T]) -> type[_T]:
    """Let a frozen, slotted dataclass be made in half the time; put above `@dataclass`. Raises TypeError for one that does more than set its fields in their order."""
    if hasattr(kind, "__post_init__") or any(field.kw_only or not field.init for field in fields(kind)):  # type: ignore[arg-type] # it is a dataclass
        raise TypeError(f"{kind.__name__} is more than its fields in their order")
    names: dict[str, Any] = {"become": object.__setattr__, "Unguarded": _unguarded(kind), "Frozen": kind, "MISSING": MISSING}
    taken, lines = ["self"], []
    for field in fields(kind):  # type: ignore[arg-type] # as above
        name, value = field.name, field.name
        if field.default_factory is not MISSING:
            names[f"new_{name}"] = field.default_factory
            taken.append(f"{name}=MISSING")
            value = f"new_{name}() if {name} is MISSING else {name}"
        elif field.default is not MISSING:
            names[f"default_{name}"] = field.default
            taken.append(f"{name}=default_{name}")
        else:
            taken.append(name)
        lines.append(f"self.{name} = {value}")
    first, last = "become(self, '__class__', Unguarded)", "self.__class__ = Frozen"
    made = _function("__init__", taken, [first, *lines, last], names)
    kind.__init__ = update_wrapper(made, kind.__init__)  # type: ignore[method-assign] # that is what this is for
    return kind


def _opener(kind: type) -> Callable[[Any], Any]:
    lines = [f"copy.{name} = value.{name}" for name in kind.__slots__]  # type: ignore[attr-defined] # it is slotted
    names = {"new": object.__new__, "Unguarded": _unguarded(kind)}
    _OPENERS[kind] = opener = _function("opened", ["value"], ["copy = new(Unguarded)", *lines, "return copy"], names)
    return opener


def _unguarded(kind: type) -> type:
    """Return a type whose objects have their slots where those of `kind` have them."""
    return type(kind.__name__, (), {"__slots__": kind.__slots__})  # type: ignore[attr-defined] # it is slotted


def _function(name: str, taken: list[str], lines: list[str], names: dict[str, Any]) -> Callable[..., Any]:
    exec("\n    ".join([f"def {name}({', '.join(taken)}):", *lines]), names)  # noqa: S102 # the names of fields are all that is put in
    made: Callable[..., Any] = names[name]
    return made
