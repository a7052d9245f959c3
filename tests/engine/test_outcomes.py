"""Risk: what a step gave is in memory as often as it is named, or half a secret stands where it was cut."""

import pytest

from stepswitch.domain.execution import Outcome, Result
from stepswitch.domain.secrecy import MASK
from stepswitch.engine.confidential import Mask
from stepswitch.engine.outcomes import bounded
from stepswitch.secrets.masking import Masking
from tests.storage.values import head

MIB = 1024 * 1024
SECRET = "tulip-Cardinal"
KNOWS_A_SECRET = Mask(Masking(), head(), [], more=[SECRET])


@pytest.mark.parametrize("mask", [Mask(Masking(), head(), []), KNOWS_A_SECRET], ids=["nothing is secret", "a password is known"])
@pytest.mark.parametrize("letter", ["x", "\0", "ü"], ids=ascii)
@pytest.mark.parametrize("letters", [MIB // 4, 3 * MIB], ids=["all is kept", "it is cut"])
def test_a_text_that_stands_in_two_outputs_is_kept_once(mask: Mask, letter: str, letters: int) -> None:
    text = letter * letters
    outputs = bounded(Outcome(Result.SUCCEEDED, outputs={"outputText": text, "result": text}), MIB, mask).outputs
    assert outputs["outputText"] is outputs["result"]


def test_numbers_that_are_equal_stay_what_they_are() -> None:
    outputs = bounded(Outcome(Result.SUCCEEDED, outputs={"a": 1, "b": True, "c": 1.0}), MIB, KNOWS_A_SECRET).outputs
    assert [(value, type(value)) for value in outputs.values()] == [(1, int), (True, bool), (1.0, float)]


def test_half_a_secret_beside_a_cut_is_masked_in_every_output() -> None:
    limit = 100
    text = "x" * (limit - 5) + SECRET
    outcome = bounded(Outcome(Result.SUCCEEDED, outputs={"a": text, "b": text}), limit, KNOWS_A_SECRET)
    assert outcome.truncated == ("a", "b")
    assert list(outcome.outputs.values()) == ["x" * (limit - 5) + MASK] * 2
