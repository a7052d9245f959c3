"""The workflows of a simulation: a few steps that act on devices, look, or do nothing, with every policy that there is."""

from random import Random
from typing import Any, Final

from tests.simulation.devices import DEADLY, DEVICES, DONE, NOT_DONE, SLOW

Json = dict[str, Any]
FIRST_WORD: Final = "v0"
USUAL: Final = [name for name in DEVICES if name not in (SLOW, DEADLY)]
EDITED: Final = ("s0", "s1")
"""The steps that an edit replaces together: their words are the same at all times."""


def draw_document(random: Random) -> Json:
    """Return a workflow."""
    names = [f"s{place}" for place in range(random.randrange(2, 5))]
    steps = {name: _step(random, following, names) for name, following in zip(names, [*names[1:], None], strict=True)}
    return {
        "name": "simulated",
        "version": "1",
        "schemaVersion": "3.0",
        "startStepId": names[0],
        "inputs": {"pw": {"type": "password", "required": True}},
        "variables": {"last": {"type": "string"}, "note": {"type": "string"}},
        "steps": steps,
    }


def _step(random: Random, following: str | None, names: list[str]) -> Json:
    kind = random.choice(["ACT", "ACT", "ACT", "LOOK", "NOOP"])
    device = random.choice([SLOW, DEADLY]) if random.random() < 0.2 else random.choice(USUAL)
    step: Json = {
        "type": kind,
        "inBindings": {
            "host": {"type": "string", "defaultValue": device},
            "password": {"type": "password", "exportName": "pw"},
            "word": {"type": "string", "defaultValue": FIRST_WORD},
            "deed": {"type": "string", "defaultValue": "act"},
        },
        "policy": _policy(random, names),
    }
    if kind == "ACT" and random.random() < 0.4:
        step["policy"]["probe"] = _probe(random)
    if following is not None:
        step["nextStepId"] = following
    if kind != "NOOP":
        step["outBindings"] = {"last": {"name": "token", "type": "string"}}
    if random.random() < 0.1:
        step["conditions"] = [{"name": "last", "comparator": "isDefined", "nextStepId": random.choice(names)}]
    return step


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
