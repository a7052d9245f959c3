"""NOOP: the step whose only promise is that nothing happens."""

from stepswitch.plugin import Outcome, Result
from stepswitch.steps.noop import NoopStep
from tests.steps.contexts import RecordingContext


async def test_succeeds_without_outputs_and_without_a_trace() -> None:
    context = RecordingContext()
    assert await NoopStep().run({"anything": "x", "else": 1}, context) == Outcome(Result.SUCCEEDED)
    assert context.lines == []
    assert not context.sent


async def test_is_carried_out_inline_and_takes_any_input() -> None:
    signature = NoopStep().signature
    assert (signature.name, signature.inline, signature.always_safe, signature.other_inputs) == ("NOOP", True, True, True)
    assert signature.outputs == ()
    assert not signature.other_outputs


async def test_release_and_close_are_harmless_before_any_run() -> None:
    step = NoopStep()
    await step.release("execution-1")
    await step.close()
