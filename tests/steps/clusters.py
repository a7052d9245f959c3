"""A cluster of `tests.kubernetes` behind a proxy, and what a step needs to act there. Used by the tests of K8S."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Self

from stepswitch.plugin import Cluster, Inventory, Reference, Value, VimLocation
from stepswitch.steps.kubernetes import KubernetesStep
from stepswitch.steps.kubernetes_times import Times
from tests.kubernetes.api_server import TOKEN, FakeCluster
from tests.proxies import Proxy
from tests.steps.contexts import RecordingContext

CREDENTIAL: Final = Reference("cluster")
QUICK: Final = Times(
    connect=5.0, answer=5.0, patience=5.0, pauses=(0.01, 0.02), schedule=0.2, refusal=0.1, drain=5.0, removal=5.0, last=4.0, look=0.05
)
"""Limits that tests wait for."""


class Lab:
    """A cluster that the inventory calls `paris`, and a step type with limits that pass soon."""

    def __init__(self, **times: Any) -> None:
        self.cluster = FakeCluster()
        self.step = KubernetesStep(times=replace(QUICK, **times))
        self.token = TOKEN
        self.stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self.stack.enter_async_context(self.cluster)
        self.proxy = await self.stack.enter_async_context(Proxy(self.cluster.host, self.cluster.port))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stack.aclose()

    @property
    def url(self) -> str:
        """Where the API is, by way of the proxy."""
        return f"http://{self.proxy.host}:{self.proxy.port}"

    def context(self, **more: Any) -> RecordingContext:
        """Return a context whose inventory has the cluster."""
        location = VimLocation("paris", kubernetes=Cluster(self.url, token=CREDENTIAL))
        known = Inventory(vim_locations={"paris": location, "bare": VimLocation("bare")})
        return RecordingContext(**{"inventory": known, "credentials": {CREDENTIAL.credential: self.token}, **more})

    @staticmethod
    def inputs(script: str, **more: Value) -> Mapping[str, Value]:
        """Return the inputs of a step that runs a script there."""
        return {"vimLocation": "paris", "image": "tools:1", "script": script, **more}
