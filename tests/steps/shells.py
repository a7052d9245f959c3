"""Conversations with the routers of `tests/routers`, for the tests of interactive shells."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from stepswitch.plugin import ErrorCode, Outcome, Value
from stepswitch.steps.ssh import SshStep
from tests.routers.ios import PrivilegedIosShell
from tests.routers.iosxr import IosXrShell
from tests.routers.junos import JunosShell
from tests.routers.nxos import NxosShell
from tests.routers.scripted import Device, Quirks, RouterServer, Shell
from tests.routers.sros import ClassicShell, MdShell
from tests.routers.vrp import TwoStageVrpShell, VrpShell
from tests.steps.contexts import RecordingContext


@dataclass(frozen=True)
class Kind:
    """One kind of router: how it is configured in five lines, and what is left when the third is refused."""

    id: str
    platform: str
    shell: Callable[..., Shell]
    good: tuple[str, str, str, str, str]
    stays: bool
    """Whether the line before the refused one is in effect afterwards."""
    version: str = "show version"
    log: str = "show log"
    rename: tuple[str, ...] = ()

    @property
    def bad(self) -> str:
        """Five lines of which the third is none."""
        return "\n".join((*self.good[:2], "colour the sky blue", *self.good[3:]))


KINDS: Final = (
    Kind("ios", "ios", PrivilegedIosShell, ("configure terminal", "interface Gi0/1", "description to the core", "ip address 192.0.2.1 255.255.255.0", "end"), stays=True, rename=("configure terminal", "hostname edge-2", "end")),
    Kind("iosxr", "iosxr", IosXrShell, ("configure", "interface Gi0/0/0/1", "description to the core", "ipv4 address 192.0.2.1/24", "commit"), stays=False, rename=("configure", "hostname edge-2", "commit")),
    Kind("nxos", "nxos", NxosShell, ("configure terminal", "interface Eth1/1", "description to the core", "ip address 192.0.2.1/24", "end"), stays=True, rename=("configure terminal", "hostname edge-2", "end")),
    Kind("nxos session", "nxos", NxosShell, ("configure session change-1", "ip access-list core", "permit ip any any", "permit tcp any any", "commit"), stays=False),
    Kind("junos private", "junos", JunosShell, ("configure private", "set system host-name edge-2", "set interfaces ge-0/0/1 unit 0", "set protocols lldp interface all", "commit and-quit"), stays=False),
    Kind("junos shared", "junos", JunosShell, ("configure", "set system host-name edge-2", "set interfaces ge-0/0/1 unit 0", "set protocols lldp interface all", "commit"), stays=False),
    Kind("sros md-cli", "sros", MdShell, ("configure private", 'router "Base"', "interface core", "address 192.0.2.1", "commit"), stays=False),
    Kind("sros md-cli explicit", "sros", MdShell, ("edit-config exclusive", 'router "Base"', "interface core", "address 192.0.2.1", "commit"), stays=False),
    Kind("sros md-cli global", "sros", MdShell, ("configure global", 'router "Base"', "interface core", "address 192.0.2.1", "commit"), stays=False),
    Kind("sros classic", "sros", ClassicShell, ("configure router", "interface core", "address 192.0.2.1/24", "description to-the-core", "exit all"), stays=True),
    Kind("sros classic candidate", "sros", ClassicShell, ("candidate edit exclusive", "configure router", "interface core", "address 192.0.2.1/24", "candidate commit"), stays=False),
    Kind("vrp", "vrp", VrpShell, ("system-view", "interface GE0/0/1", "description to the core", "ip address 192.0.2.1 24", "return"), stays=True, version="display version", log="display log", rename=("system-view", "sysname edge-2", "return")),
    Kind("vrp two stages", "vrp", TwoStageVrpShell, ("system-view", "interface GE0/0/1", "description to the core", "ip address 192.0.2.1 24", "commit"), stays=False, version="display version", log="display log", rename=("system-view", "sysname edge-2", "commit")),
)  # fmt: skip
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.id))


@dataclass
class Talk:
    """A router, and a step to talk to it with."""

    router: RouterServer
    platform: str
    step: SshStep
    context: RecordingContext = field(default_factory=lambda: RecordingContext(accept_new=True, time_limit_seconds=60.0))

    @property
    def device(self) -> Device:
        """What the router was told, and has kept."""
        return self.router.device

    def inputs(self, *lines: str, **more: Value | None) -> dict[str, Value]:
        """Return the inputs of a step that types these lines; an input given as None is left out."""
        router = self.router
        inputs: dict[str, Any] = {
            "hostNameOrIP": router.host, "port": router.port, "username": router.user, "password": router.password,
            "shell": True, "platform": self.platform, "cmd": "\n".join(lines), **more,
        }  # fmt: skip
        return {name: value for name, value in inputs.items() if value is not None}

    async def say(self, *lines: str, **more: Value | None) -> Outcome:
        """Type lines, and return what came of it."""
        async with asyncio.timeout(30):
            return await self.step.run(self.inputs(*lines, **more), self.context)


@asynccontextmanager
async def talking(kind: Kind | Callable[..., Shell], platform: str = "ios", *, silence: float = 10.0, **quirks: Any) -> AsyncIterator[Talk]:
    """Give a conversation with a router of a kind, or of a shell and a platform."""
    shell, named = (kind.shell, kind.platform) if isinstance(kind, Kind) else (kind, platform)
    step = SshStep(silence_seconds=silence)
    async with RouterServer(shell, Device(quirks=Quirks(**quirks))) as router:
        try:
            yield Talk(router, named, step)
        finally:
            await step.close()


def said(outcome: Outcome) -> tuple[str, ErrorCode | None, str]:
    """Return result, code and sentence of an outcome."""
    return str(outcome.result), outcome.error.code if outcome.error else None, outcome.error.message if outcome.error else ""
