"""The workflows of a simulation: a few steps that act on devices, start something there, look, wait for other executions, or do nothing.

They have every policy that there is, and locks that are taken in any order.
"""

from random import Random
from typing import Any, Final

from stepswitch.domain.locks import OF_DEVICE
from tests.simulation.devices import DEADLY, DONE, HOSTS, NOT_DONE, SLOW
from tests.simulation.weather import Weather

Json = dict[str, Any]
FIRST_WORD: Final = "v0"
USUAL: Final = [name for name in HOSTS if name not in (SLOW, DEADLY)]
CALLS: Final = "WORKFLOW"
ACTING: Final = ("ACT", "REMOTE")
KINDS: Final = ("ACT", "ACT", "ACT", "REMOTE", "LOOK", "NOOP")
LOCKS: Final = ("ring", "core")
EDITED: Final = ("s0", "s1")
"""The steps that an edit replaces together: their words are the same at all times."""


def draw_document(random: Random, weather: Weather) -> Json:
    """Return a workflow. What its steps call has still to be said by `calls`."""
    names = [f"s{place}" for place in range(random.randrange(2, 5))]
    steps = {name: _step(random, weather, following, names) for name, following in zip(names, [*names[1:], None], strict=True)}
    _lock(random, weather, steps)
    return {
        "name": "simulated",
        "version": "1",
        "schemaVersion": "3.0",
        "startStepId": names[0],
        "inputs": {"pw": {"type": "password", "required": True}, "word": {"type": "string"}},
        "variables": {"note": {"type": "string"}},
        "outputs": {"last": {"type": "string"}},
        "steps": steps,
    }


def calling(document: Json) -> list[Json]:
    """Return the steps of a workflow that call another one."""
    return [step for step in document["steps"].values() if step["type"] == CALLS]


def calls(step: Json, workflow_id: str) -> None:
    """Let a step call a workflow."""
    step["inBindings"]["workflowId"] = _text(workflow_id)


def _step(random: Random, weather: Weather, following: str | None, names: list[str]) -> Json:
    kind = CALLS if random.random() < weather.calling else random.choice(KINDS)
    step: Json = {"type": kind, "inBindings": _inputs(random, kind), "policy": _policy(random, names)}
    if kind in ACTING and random.random() < 0.4:
        step["policy"]["probe"] = _probe(random)
    if following is not None:
        step["nextStepId"] = following
    if kind != "NOOP":
        step["outBindings"] = {"last": {"name": "last" if kind == CALLS else "token", "type": "string"}}
    if random.random() < 0.1:
        step["conditions"] = [{"name": "last", "comparator": "isDefined", "nextStepId": random.choice(names)}]
    return step


def _inputs(random: Random, kind: str) -> Json:
    device = random.choice([SLOW, DEADLY]) if random.random() < 0.2 else random.choice(USUAL)
    if kind == CALLS:
        return {"pw": {"type": "password", "exportName": "pw"}, "word": _text(FIRST_WORD)}
    return {
        "host": _text(device),
        "password": {"type": "password", "exportName": "pw"},
        "word": _text(FIRST_WORD),
        "deed": _text("act"),
    }


def _lock(random: Random, weather: Weather, steps: Json) -> None:
    """Let some steps want a lock, which they know, and some let go of one."""
    for step in steps.values():
        if random.random() < weather.locking:
            step["policy"]["lock"] = lock = random.choice([*LOCKS, OF_DEVICE] if step["type"] in ACTING else LOCKS)
            if step["type"] in ACTING:
                step["inBindings"]["lock"] = _text(lock)
    for step in steps.values():
        locked = [each["policy"]["lock"] for each in steps.values() if "lock" in each["policy"]]
        fit = [lock for lock in locked if lock != OF_DEVICE or step["type"] in ACTING]
        if fit and random.random() < 0.3:
            step["policy"]["unlock"] = random.choice(fit)


def _policy(random: Random, names: list[str]) -> Json:
    policy: Json = {}
    if random.random() < 0.3:
        policy["safeToRerun"] = True
    if random.random() < 0.3:
        policy["retry"] = {"maxAttempts": random.choice([2, 3]), "delaySeconds": random.choice([0, 3])}
    if random.random() < 0.15:
        policy["onFailureStepId"] = random.choice(names)
    if random.random() < 0.15:
        policy["onUnknownStepId"] = random.choice(names)
    if random.random() < 0.15:
        policy["delaySeconds"] = 5
    if random.random() < 0.2:
        policy["timeoutSeconds"] = random.choice([2, 20])
    return policy


def _probe(random: Random) -> Json:
    """Return a probe that can be believed: the device answers by what it was told."""
    found = [{"name": "state", "comparator": "equals", "value": value} for value in (DONE, NOT_DONE)]
    return {
        "inBindings": {"deed": {"type": "string", "defaultValue": "look"}},
        "done": found[:1],
        "notDone": random.choice([found[1:], []]),
        "delaySeconds": random.choice([0, 5]),
    }


def with_word(steps: Json, word: str) -> Json:
    """Return the edited steps with another word in all of them."""
    return {name: {**steps[name], "inBindings": {**steps[name]["inBindings"], "word": _text(word)}} for name in EDITED}


def _text(word: str) -> Json:
    return {"type": "string", "defaultValue": word}
