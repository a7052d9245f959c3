"""What only Python's collector of cycles would remove. Used where nothing may be left to it, for it comes seldom."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_kept_away() -> Iterator[list[object]]:
    """Give a list in which is, when the block has ended, all that only the collector would have removed."""
    found: list[object] = []
    gc.collect()
    gc.disable()
    try:
        yield found
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        found += gc.garbage
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def ours(garbage: list[object]) -> list[str]:
    """Return the names of the service's own types among it."""
    return [type(each).__name__ for each in garbage if type(each).__module__.startswith("stepswitch.")]
