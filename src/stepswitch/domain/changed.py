"""`dataclasses.replace` for the values that every event makes anew: the same, at a third of its cost. Called where every event or request needs one.

A step execution has two dozen fields. `replace` hands each of them to `__init__`, which sets it past the guard that keeps a frozen value
from being written to; here they are copied slot by slot.
"""

from typing import TYPE_CHECKING, Any, Final, TypeVar

__all__ = ["changed"]
_T = TypeVar("_T")
_SLOTS: Final[dict[type, tuple[list[tuple[Any, Any]], dict[str, Any]]]] = {}
"""Of each type how its slots are copied, and how each is written."""

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
        copied, written = _SLOTS[kind]
        copy = object.__new__(kind)
        for read, write in copied:
            write(copy, read(value))
        try:
            for name, field in fields.items():
                written[name](copy, field)
        except KeyError as error:
            raise TypeError(f"{kind.__name__} has no field {error.args[0]}") from None
        return copy

    def _slots(kind: type) -> tuple[list[tuple[Any, Any]], dict[str, Any]]:
        members = {name: getattr(kind, name) for name in kind.__slots__}
        return [(each.__get__, each.__set__) for each in members.values()], {name: each.__set__ for name, each in members.items()}
