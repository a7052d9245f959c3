"""The step type NOOP: nothing happens; a place for conditions. `decide` carries it out itself by its signature."""

from typing import Final

from stepswitch.plugin import Outcome, Result, StepContext, StepSignature, Values

SIGNATURE: Final = StepSignature(
    name="NOOP",
    description="Does nothing. A place for conditions; inputs are dropped, and there are no outputs.",
    other_inputs=True,
    always_safe=True,
    inline=True,
    only_computes=True,
)


class NoopStep:
    """Does nothing, and does it well."""

    @property
    def signature(self) -> StepSignature:
        """What it declares of itself."""
        return SIGNATURE

    async def run(self, inputs: Values, context: StepContext) -> Outcome:  # noqa: ARG002 - the port's
        """Return a success without outputs."""
        return Outcome(Result.SUCCEEDED)

    async def release(self, execution_id: str) -> None:
        """Do nothing: nothing was kept."""

    async def close(self) -> None:
        """Do nothing: nothing is open."""
