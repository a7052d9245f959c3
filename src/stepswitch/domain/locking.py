"""When an execution asks for a lock, has it, and lets it go. Called by `flow`, `steering` and `decide`.

A step with `policy.lock` asks when it becomes executable, and is taken by nobody until it has it. What an execution has it keeps, also while it is
paused, until a step with `policy.unlock` is left or it ends; a step that asks for what its execution has already goes on. Why it is so:
docs/decisions/0036-a-lock-is-a-place-in-line.md.
"""

from stepswitch.domain.document import Step
from stepswitch.domain.execution import LogLevel, Values
from stepswitch.domain.lanes import found_lane
from stepswitch.domain.locks import OF_DEVICE, Lock, named, on_device
from stepswitch.domain.progress import Progress


def ask(p: Progress, step: Step, inputs: Values) -> None:
    """Let the current step wait for the lock of its policy, unless its execution has it."""
    lock = _wanted(p, step.policy.lock, step, inputs)
    if lock is None or lock in p.head.locks:
        return
    p.change(awaited_lock=lock)
    p.log(f"step {step.id} ({p.step.number}) asks for the lock {_told(lock)}")


def has(p: Progress, lock: Lock) -> None:
    """Note that the current step has the lock that it waited for."""
    p.change(locks=(*p.head.locks, lock), awaited_lock=None)
    p.log(f"step {p.step.step_id} ({p.step.number}) has the lock {_told(lock)}")


def leave_step(p: Progress) -> None:
    """Let go of the lock that the policy of the current step says, which is about to be left."""
    step = p.workflow.steps.get(p.step.step_id)
    lock = None if step is None else _wanted(p, step.policy.unlock, step, p.step.inputs)
    if lock is not None and lock in p.head.locks:
        let_go(p, lock)
        p.log(f"lets go of the lock {_told(lock)} after step {p.step.step_id} ({p.step.number})")


def break_(p: Progress, lock: Lock, user: str, reason: str) -> None:
    """Take a lock away because somebody wants it so."""
    let_go(p, lock)
    told = f"the lock {_told(lock)} was broken by {user}" + (f": {reason}" if reason else "")
    p.log(f"{told}; the next step that wants it asks again", LogLevel.WARN)


def let_go(p: Progress, lock: Lock) -> None:
    """Have a lock no more."""
    p.change(locks=tuple(each for each in p.head.locks if each != lock))


def _wanted(p: Progress, name: str | None, step: Step, inputs: Values) -> Lock | None:
    """Return the lock that a policy names. Where it is that on the device and nobody can say which, the step fails for that, and needs none."""
    if name is None:
        return None
    if name != OF_DEVICE:
        return named(name)
    lane = p.step.device or found_lane(p.signature(step), inputs, p.inventory)
    return None if lane is None else on_device(lane)


def _told(lock: Lock) -> str:
    return f"on {lock.name}" if lock.is_of_device else repr(lock.name)
