"""The devices of a simulation, which remember what they were told, and the step types that act on them. Every answer is drawn."""

import asyncio
import base64
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, cast

from stepswitch.domain.step_types import StepSignature
from stepswitch.engine.callers import DEFAULT_TENANT
from stepswitch.engine.records import Committed
from stepswitch.plugin import ErrorCode, Outcome, Result, StepContext, Values, failed, unknown
from stepswitch.worker.attempt import Attempt
from tests.domain.lives import ACT, LOOK, NOOP
from tests.simulation.loop import Node, here, sleep
from tests.simulation.weather import CALM, Weather

NORTH: Final = "north"
"""The tenant of its own."""

SLOW: Final = "slow"
DEADLY: Final = "deadly"
"""Whoever sends something to it dies of that, more often than not."""
DONE: Final = "done"
NOT_DONE: Final = "not done"
OTHER_NAMES: Final = {"north.example": "north", "south.example": "south"}
"""By which a device is called as well, as the inventories say."""
HOSTS: Final = ("north", "south", SLOW, DEADLY, *OTHER_NAMES)
_SOUTH: Final = {"addresses": ["south", "south.example"]}
INVENTORIES: Final[Mapping[str, Mapping[str, Any]]] = {
    DEFAULT_TENANT: {"devices": {"north": {"addresses": ["north", "north.example"], "sessionsAtOnce": 2}, "south": _SOUTH}},
    NORTH: {"devices": {"the north": {"addresses": ["north", "north.example"], "sessionsAtOnce": 1}, "the south": _SOUTH}},
}
"""What each tenant knows of its network: both of them of the same device, and not that it bears the same."""
SESSIONS: Final = {(DEFAULT_TENANT, "north"): 2}
"""How many sessions a device bears, as a tenant sees it; every other one bears one."""


@dataclass(frozen=True, slots=True)
class Told:
    """One command that a device was sent: by which attempt at which step."""

    device: str
    execution_id: str
    number: int
    attempt: int
    nonce: str
    word: str
    at: float


@dataclass
class Session:
    """One that is open at a device, which bears `most`. `name` is that of its attempt; one that is stuck is not let go of in the time that is given."""

    node: Node = field(repr=False)
    device: str
    name: str
    most: int
    is_stuck: bool = False


@dataclass(frozen=True, slots=True)
class Thing:
    """What an attempt has started at a target, where it stays when the connection is gone. `process` is who started it."""

    name: str
    nonce: str
    process: Node


@dataclass
class City:
    """All devices. `told` is everything that was sent to them; `ended` what each attempt came to, as its step type said it."""

    random: Random
    weather: Weather = CALM
    told: list[Told] = field(default_factory=list)
    ended: dict[str, Outcome] = field(default_factory=dict)
    forgotten: list[Told] = field(default_factory=list)
    """What was sent after a backup that was restored since: the devices know of it, the store does not."""
    restored: set[str] = field(default_factory=set)
    """Executions that were not over in such a backup."""
    told_before: int = 0
    """How much of what was sent is older than the last restore."""
    haunted: dict[str, str] = field(default_factory=dict)
    """Executions that a worker of before a restore reported to, and the epoch that it had."""
    lost: set[str] = field(default_factory=set)
    """Claims that were declared lost, on disk: nothing may be sent for them any more."""
    is_claimed: Callable[[Told], bool] = lambda _: True
    """Whether the claim of an attempt is, or was, on disk."""
    hear: Callable[[Committed], None] = lambda _: None
    """Is told of whatever the service tells its observers."""
    die: Callable[[], None] = lambda: None
    """Lets the process die, here and now."""
    met: Counter[str] = field(default_factory=Counter)
    """How often what has happened; `encounters` says what has to."""
    sessions: dict[str, Session] = field(default_factory=dict)
    """Those that are open, by the claim that they were opened under: those of a dead process are gone with it."""
    things: dict[str, Thing] = field(default_factory=dict)
    """What stands at targets, by the claim under which it was started."""
    unknown_things: set[str] = field(default_factory=set)
    """Claims of things that were started after a backup that was restored since: nobody can know of them."""
    lacks_lock: Callable[[Told, str, str | None], bool] = lambda *_: False
    """Whether something is sent by somebody who has not the lock that its step wants, which is named here, with the line of its device."""
    passwords: list[str] = field(default_factory=list)
    """Each that somebody was told for the first account."""
    heard: dict[str, tuple[float, float]] = field(default_factory=dict)
    """By the nonce of a claim when its worker was heard of the last two times, in seconds: with the claim, and with each sign of life."""
    breaches: list[str] = field(default_factory=list)
    """What may never happen, and has. Not raised, for the service outlives whatever a step type raises."""

    def open(self, nonce: str, session: Session) -> None:
        """Log in. Where two tenants see a device differently, it bears what the one says that sees more."""
        at = [each for each in self.sessions.values() if each.device == session.device and not (each.node.is_dead or each.is_stuck)]
        self.sessions[nonce] = session
        if len(at) >= max(each.most for each in (*at, session)):
            self.breaches.append(f"{session.device} bears no more, and {session} logs in beside {[each.name for each in at]}")
        self.met["a device had several sessions"] += bool(at)

    def in_use(self, name: str) -> bool:
        """Return whether the attempt that is called so is still at it."""
        return any(each.name == name and not each.node.is_dead for each in self.sessions.values())

    def tell(self, told: Told) -> None:
        """Send a command; only who may is not stopped here."""
        if here().is_dead or here().is_still:
            self.breaches.append(f"the simulation itself is wrong: {told} comes from nowhere")
        if told.nonce in self.lost:
            self.breaches.append(f"somebody whose claim was declared lost sent something: {told}")
        if not self.is_claimed(told):
            self.breaches.append(f"something was sent before its claim was on disk: {told}")
        twice = [other for other in self.told if (other.execution_id, other.number) == (told.execution_id, told.number)]
        if any(other.nonce != told.nonce for other in twice):
            self.breaches.append(f"a step was sent to its target twice: {twice[0]}, and again {told}")
        self.told.append(told)

    def chance(self, probability: float) -> bool:
        """Return whether something happens."""
        return self.random.random() < probability

    def happens(self, what: str, probability: float) -> bool:
        """Return whether something happens, and remember that it did."""
        happens = self.random.random() < probability
        if happens:
            self.met[what] += 1
        return happens


class ActingStep:
    """Implements `StepType`: logs in, sends a command or two, and says how it went, as far as it is let."""

    signature: StepSignature = ACT

    def __init__(self, city: City) -> None:
        self._city = city

    async def run(self, inputs: Values, context: StepContext) -> Outcome:
        grant = cast("Attempt", context).grant
        nonce, host = grant.nonce or "", str(inputs.get("host"))
        device = OTHER_NAMES.get(host, host)
        session = Session(here(), device, context.attempt_name, SESSIONS.get((grant.tenant, device), 1))
        self._city.open(nonce, session)
        try:
            outcome = await self._act(inputs, context)
        except asyncio.CancelledError:
            await self._let_go(session)
            raise
        finally:
            del self._city.sessions[nonce]
        if grant.nonce is not None:
            self._city.ended[grant.nonce] = outcome
        return outcome

    async def _act(self, inputs: Values, context: StepContext) -> Outcome:
        city, grant = self._city, cast("Attempt", context).grant
        device, secret = str(inputs.get("host")), str(inputs.get("password"))
        name = f"{grant.task.execution_id}.{grant.task.number}.{grant.nonce}"
        trouble = city.weather.device_trouble
        await context.log(f"{name} logs in with {secret}")
        await sleep(city.random.random() * 5.0)
        if city.happens("a device was not reached", trouble / 4):
            return failed(ErrorCode.UNREACHABLE, f"nobody answers to {secret}")
        if inputs.get("deed") == "look":
            return self._look(context)
        for place in range(city.random.choice([1, 1, 1, 2])):
            self._send(inputs, context)
            if device == DEADLY and city.happens("a process died of its step", city.weather.deadly):
                city.die()
            await context.log(f"{name} was told {place}, {encoded(secret)}")
            await sleep(self._seconds(device))
        if city.chance(trouble / 2):
            return self._trouble(secret)
        return Outcome(Result.SUCCEEDED, {"token": name, "echo": f"you said {secret}"})

    def _send(self, inputs: Values, context: StepContext) -> None:
        context.mark_sent()
        told = _told(str(inputs.get("host")), inputs, context)
        self._city.tell(told)
        lock, lane = inputs.get("lock"), cast("Attempt", context).grant.task.device
        if lock is not None and self._city.lacks_lock(told, str(lock), None if lane is None else lane.lane):
            self._city.breaches.append(f"something was sent without the lock {lock}, which its step wants: {told}")

    def _look(self, context: StepContext) -> Outcome:
        """Say what is so at the device: whether it was told."""
        task = cast("Attempt", context).grant.task
        context.mark_sent()
        was_told = any(
            (each.execution_id, each.number) == (task.execution_id, task.number) for each in [*self._city.told, *self._city.forgotten]
        )
        return Outcome(Result.SUCCEEDED, {"state": DONE if was_told else NOT_DONE})

    def _seconds(self, device: str) -> float:
        if device == SLOW and self._city.weather is not CALM:
            return 10_000.0
        usual = self._city.random.random() * 5.0
        return 10_000.0 if self._city.happens("a device hung", self._city.weather.device_trouble / 10) else usual

    def _trouble(self, secret: str) -> Outcome:
        match self._city.random.randrange(4):
            case 0:
                self._city.met["a device said no"] += 1
                return failed(ErrorCode.NON_ZERO_EXIT, f"it said no to {secret}", {"token": "none"})
            case 1:
                self._city.met["a connection was cut"] += 1
                return unknown(ErrorCode.CONNECTION_CUT, f"the connection with {secret} was cut")
            case 2:
                self._city.met["a step type raised"] += 1
                raise RuntimeError(f"a bug that knows {secret}")
            case _:
                self._city.met["a step type said nothing"] += 1
                return cast("Outcome", None)

    async def _let_go(self, session: Session) -> None:
        """Close the session; a stuck one takes longer than it is given."""
        session.is_stuck = self._city.happens("a session was stuck", self._city.weather.device_stuck)
        await sleep(60.0 if session.is_stuck else self._city.random.random())

    async def release(self, execution_id: str) -> None:
        await sleep(0.01)

    async def close(self) -> None:
        pass


def encoded(secret: str) -> str:
    """Return a secret as devices show it now and then."""
    return base64.b64encode(secret.encode()).decode()


def _told(device: str, inputs: Values, context: StepContext) -> Told:
    grant = cast("Attempt", context).grant
    task = grant.task
    at = asyncio.get_running_loop().time()
    return Told(device, task.execution_id, task.number, task.attempt, grant.nonce or "", str(inputs.get("word")), at)


class LookingStep:
    """Implements `StepType`: only computes, so that running it twice harms nobody."""

    signature: StepSignature = LOOK

    def __init__(self, city: City) -> None:
        self._city = city

    async def run(self, inputs: Values, context: StepContext) -> Outcome:
        task = cast("Attempt", context).grant.task
        await sleep(20.0 if self._city.chance(self._city.weather.device_trouble / 10) else self._city.random.random() * 2.0)
        if self._city.chance(self._city.weather.device_trouble / 4):
            return failed(ErrorCode.SCRIPT_FAILED, f"it threw {inputs.get('password')}")
        return Outcome(Result.SUCCEEDED, {"token": f"{task.execution_id}.{task.number}.looked"})

    async def release(self, execution_id: str) -> None:
        pass

    async def close(self) -> None:
        pass


class IdleStep(LookingStep):
    """NOOP: decisions take it, nobody runs it."""

    signature: StepSignature = NOOP
