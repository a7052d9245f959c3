"""`dataclasses.replace` for the values that every event makes anew: the same, at a third of its cost. Called by `flow` and `progress`.

A step execution has two dozen fields. `replace` hands each of them to `__init__`, which sets it past the guard that keeps a frozen value
from being written to; here they are copied slot by slot.
"""

from typing import TYPE_CHECKING, Any, Final, TypeVar

__all__ = ["changed"]
_T = TypeVar("_T")
_SLOTS: Final[dict[type, list[tuple[str, Any, Any]]]] = {}

if TYPE_CHECKING:
    from dataclasses import replace as changed  # a checker of types knows which fields it takes
else:

    def changed(value: _T, /, **fields: Any) -> _T:
        """Return a copy of a slotted dataclass with other `fields`; raises TypeError where it has no such field.

        `__init__` and `__post_init__` do not run.
        """
        kind = type(value)
        slots = _SLOTS.get(kind)
        if slots is None:
            slots = _SLOTS[kind] = [(name, getattr(kind, name).__get__, getattr(kind, name).__set__) for name in kind.__slots__]
        copy = object.__new__(kind)
        taken = 0
        for name, read, write in slots:
            if name in fields:
                write(copy, fields[name])
                taken += 1
            else:
                write(copy, read(value))
        if taken != len(fields):
            raise TypeError(f"{kind.__name__} has no field {', '.join(sorted(set(fields) - {name for name, *_ in slots}))}")
        return copy
