"""`dataclasses.replace` for the values that every event makes anew: the same, at a third of its cost. Called where every event or request needs one.

A step execution has two dozen fields. `replace` hands each of them to `__init__`, which sets it past the guard that keeps a frozen value
from being written to; here they are copied slot by slot.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, TypeVar

__all__ = ["changed"]
_T = TypeVar("_T")
_SLOTS: Final[dict[type, tuple[Callable[[Any], tuple[Any, ...]], dict[str, Any]]]] = {}
"""Of each type how all its slots are read at once, and how each is written, in the same order."""

if TYPE_CHECKING:
    from dataclasses import replace as changed  # a checker of types knows which fields it takes
else:

    def changed(value: _T, /, **fields: Any) -> _T:
        """Return a copy of a slotted dataclass with other `fields`; raises TypeError where it has no such field.

        `__init__` and `__post_init__` do not run.
        """
        kind = type(value)
        if kind not in _SLOTS:
            _SLOTS[kind] = _slots(kind)
        read, written = _SLOTS[kind]
        copy = object.__new__(kind)
        for write, each in zip(written.values(), read(value), strict=True):
            write(copy, each)
        try:
            for name, field in fields.items():
                written[name](copy, field)
        except KeyError as error:
            raise TypeError(f"{kind.__name__} has no field {error.args[0]}") from None
        return copy

    def _slots(kind: type) -> tuple[Callable[[Any], tuple[Any, ...]], dict[str, Any]]:
        names = kind.__slots__
        read = attrgetter(*names) if len(names) > 1 else lambda value: (getattr(value, names[0]),)
        return read, {name: getattr(kind, name).__set__ for name in names}
