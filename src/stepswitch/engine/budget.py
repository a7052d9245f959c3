"""What is kept at hand, bounded by bytes and not by number: one workflow may be a thousand times the size of another. Used by the caches.

And what is done aside, or in portions, for the same reason: by whoever checks or compiles workflows, or reads many rows.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

from stepswitch.domain.execution import Head

ENTRY_BYTES: Final = 3 * 1024
"""What an entry takes besides its texts; it bounds the number of small ones too."""
TEXT_BYTES: Final = 50
MEMBER_BYTES: Final = 60
"""A member of a mapping: its name, its place, and its part of what is made of it."""
MAPPING_BYTES: Final = 200
LARGE_BYTES: Final = 64 * 1024
LARGE_STEPS: Final = 200
_K = TypeVar("_K")
_V = TypeVar("_V")
_T = TypeVar("_T")


class Kept(Generic[_K, _V]):
    """The entries that were asked for last, up to a number of bytes. The newest stays even where it alone is over that."""

    def __init__(self, kept_bytes: int) -> None:
        self._room = kept_bytes
        self._kept: OrderedDict[_K, tuple[_V, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: object) -> bool:
        return key in self._kept

    def get(self, key: _K) -> _V | None:
        """Return what is kept under `key`, which becomes the newest."""
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def put(self, key: _K, value: _V, size: int) -> None:
        """Keep `value`, which takes about `size` bytes, and drop the oldest that there is no room for any more."""
        self.pop(key)
        size += ENTRY_BYTES
        self._kept[key] = (value, size)
        self._room -= size
        while self._room < 0 and len(self._kept) > 1:
            _, (_, freed) = self._kept.popitem(last=False)
            self._room += freed

    def pop(self, key: _K) -> None:
        """Drop what is kept under `key`, where there is such."""
        found = self._kept.pop(key, None)
        if found is not None:
            self._room += found[1]


def size_of_document(document: object, at_most: int | None = None) -> int:
    """Return about how many bytes `document` has as JSON; once that is more than `at_most`, it is not counted any further."""
    total = 0
    waiting: list[Any] = [document]
    while waiting and (at_most is None or total <= at_most):
        each = waiting.pop()
        if isinstance(each, str):
            total += len(each) + 3
        elif isinstance(each, Mapping):
            total += sum(map(len, each)) + 4 * len(each)
            waiting += each.values()
        elif isinstance(each, list | tuple):
            waiting += each
        else:
            total += 4
    return total


def size_in_memory(document: object) -> int:
    """Return about how many bytes `document` takes as it stands in memory: many times of its JSON where it has many small parts."""
    total = 0
    waiting: list[Any] = [document]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            total += TEXT_BYTES + len(each)
        elif isinstance(each, Mapping):
            total += MAPPING_BYTES + MEMBER_BYTES * len(each)
            waiting += each.values()
        elif isinstance(each, list | tuple):
            total += MAPPING_BYTES
            waiting += each
        else:
            total += MEMBER_BYTES
    return total


def size_of_head(head: Head) -> int:
    """Return about how many bytes the values of an execution take; one that stands in several places is counted in each."""
    step = head.current
    values = [head.context, head.assignments, head.values]
    if step is not None:
        values += [step.inputs, step.outputs, step.variables, *((step.probe.inputs, step.probe.outputs) if step.probe is not None else ())]
    return sum(len(value) for each in values for value in each.values() if isinstance(value, str))


def is_large(document: Mapping[str, Any]) -> bool:
    """Return whether a workflow takes so long to check or compile that others should have their answers meanwhile."""
    steps = document.get("steps")
    return (isinstance(steps, Mapping) and len(steps) > LARGE_STEPS) or size_of_document(document, LARGE_BYTES) > LARGE_BYTES


async def aside(work: Callable[[], _T], *, is_slow: bool) -> _T:
    """Return what `work` returns; what may take long is done in a thread, so that others have their answers meanwhile."""
    return await asyncio.to_thread(work) if is_slow else work()


def portions(items: Iterable[_T], weight: Callable[[_T], int], limit: int) -> Iterator[Sequence[_T]]:
    """Give the items in their order, as many together as weigh no more than the limit; what is over it by itself stands alone."""
    portion: list[_T] = []
    weighs = 0
    for item in items:
        if portion and weighs + weight(item) > limit:
            yield portion
            portion, weighs = [], 0
        portion.append(item)
        weighs += weight(item)
    if portion:
        yield portion
