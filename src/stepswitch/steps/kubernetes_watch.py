"""What becomes of the pod of one attempt, watched over connections that break. Called by `kubernetes_run`.

A watch that ended goes on where it was; where the server remembers no longer (410), or the connection broke, everything is looked at anew.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from stepswitch.steps.kubernetes_api import Api, ApiError, LinkError, Patience, passes
from stepswitch.steps.kubernetes_pod import Pod, read_pod

_GONE = 410


class PodWatch:
    """Knows the newest state of the pod that `selector` finds, once `keep` runs."""

    def __init__(self, api: Api, pods: str, selector: str, patience: Patience) -> None:
        self._api = api
        self._pods = pods
        self._selector = selector
        self._patience = patience
        self._changed = asyncio.Event()
        self._version: str | None = None
        self._failing_since: float | None = None
        self.pod: Pod | None = None
        self.is_over = asyncio.Event()
        """Set as soon as nothing of the pod runs any more."""

    async def until(self, reached: Callable[[Pod | None], bool], timeout_seconds: float | None = None) -> Pod | None:
        """Return the pod as soon as it is as wanted, or when the time has passed; None where there was none yet."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                while not reached(self.pod):
                    self._changed.clear()
                    await self._changed.wait()
        return self.pod

    async def keep(self) -> None:
        """Watch until it is cancelled; raises ApiError where that may not be, and LinkError where the cluster cannot be asked for long."""
        pauses, failures = self._patience.pauses, 0
        while True:
            try:
                await self._look()
                failures = 0
                await self._follow()
            except (ApiError, LinkError) as error:
                self._version = None
                is_forgotten = isinstance(error, ApiError) and error.status == _GONE
                if not is_forgotten and (not passes(error) or self._is_too_long()):
                    raise
                failures += 1
            await asyncio.sleep(pauses[min(failures, len(pauses) - 1)])

    async def _look(self) -> None:
        """Take the pod as it is, unless the watch can go on where it ended."""
        if self._version is not None:
            return
        found = await self._api.get(self._pods, labelSelector=self._selector)
        self._version = str((found.get("metadata") or {}).get("resourceVersion") or "0")
        items = found.get("items") or []
        if items:
            self._take(items[0], is_removed=False)
        elif self.pod is not None:
            self._note(replace(self.pod, is_removed=True))
        self._failing_since = None

    async def _follow(self) -> None:
        query = {"labelSelector": self._selector, "resourceVersion": self._version or "0"}
        async for kind, changed in self._api.watch(self._pods, query):
            self._failing_since = None
            self._version = str((changed.get("metadata") or {}).get("resourceVersion") or self._version)
            if kind in ("ADDED", "MODIFIED", "DELETED"):
                self._take(changed, is_removed=kind == "DELETED")

    def _take(self, said: dict[str, Any], *, is_removed: bool) -> None:
        pod = read_pod(said, is_removed=is_removed)
        if self.pod is None or self.pod.name == pod.name:
            self._note(pod)

    def _note(self, pod: Pod) -> None:
        self.pod = pod
        if pod.is_over:
            self.is_over.set()
        self._changed.set()

    def _is_too_long(self) -> bool:
        now = asyncio.get_running_loop().time()
        self._failing_since = now if self._failing_since is None else self._failing_since
        return now - self._failing_since >= self._patience.seconds
