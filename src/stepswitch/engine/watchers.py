"""Who waits for one execution to change: woken by its next commit, with no polling and no thread. An observer; asked by `api.execution_reads`."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from stepswitch.engine.records import Committed


class Watchers:
    """Wakes those who watch an execution. What nobody watches costs a look into a dict."""

    def __init__(self) -> None:
        self._of_execution: dict[str, set[asyncio.Event]] = {}
        self.is_closed = False
        """Whether the service stops: then nobody is to wait any more."""

    def committed(self, change: Committed) -> None:
        """See `Observer`."""
        for changed in self._of_execution.get(change.execution_id, ()):
            changed.set()

    @contextmanager
    def watch(self, execution_id: str) -> Iterator[asyncio.Event]:
        """Give an event that is set with every commit of an execution, and when the service stops; whoever has looked clears it."""
        changed = asyncio.Event()
        if self.is_closed:
            changed.set()
        self._of_execution.setdefault(execution_id, set()).add(changed)
        try:
            yield changed
        finally:
            others = self._of_execution[execution_id]
            others.discard(changed)
            if not others:
                del self._of_execution[execution_id]

    def close(self) -> None:
        """Wake everybody: the service stops."""
        self.is_closed = True
        for watching in self._of_execution.values():
            for changed in watching:
                changed.set()
