"""The inputs of an attempt with the credentials in them opened: behind the claim, before the step type is called. Called by `step_runner`."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from stepswitch.domain.errors import CredentialError, ErrorCode
from stepswitch.domain.events import Reply
from stepswitch.domain.execution import LogEntry, LogLevel, PlainValues
from stepswitch.domain.references import Reference
from stepswitch.engine.confidential import Mask
from stepswitch.engine.credential_use import Need
from stepswitch.worker.attempt import Attempt, Surroundings
from stepswitch.worker.patience import until_stored


@dataclass(frozen=True, slots=True)
class OpenedInputs:
    """What a step type is given; `opened` are the values that came from credentials, which nothing that it gives may show."""

    values: PlainValues
    opened: Mapping[str, str]
    mask: Mask

    def hidden_in(self, outputs: PlainValues) -> PlainValues:
        """Return what a step gave without what was opened for it: outputs are stored, and read by whoever reads the execution."""
        shown = self.mask.of_only(self.opened.values()).values(outputs, frozenset())
        return {name: value for name, value in shown.items() if not isinstance(value, Reference)}


async def opened_inputs(attempt: Attempt, around: Surroundings) -> OpenedInputs:
    """Return the inputs of an attempt; raises CredentialError where a credential may not be used or cannot be opened: then nothing was sent.

    That it was used is on the disk before anybody has it.
    """
    grant = attempt.grant
    plain = {name: value for name, value in grant.inputs.items() if not isinstance(value, Reference)}
    if grant.need is None:
        return OpenedInputs(plain, {}, attempt.mask)
    opened = await until_stored(around.clock, partial(around.credentials.open, grant.need))
    if isinstance(opened, Reply):
        raise CredentialError(ErrorCode.CREDENTIAL_UNAVAILABLE, "nothing was sent: what is stored of a credential is damaged")
    attempt.hide(opened.values())
    await until_stored(around.clock, partial(_tell, grant.need, attempt, around))
    return OpenedInputs({**plain, **opened}, opened, attempt.mask)


async def _tell(need: Need, attempt: Attempt, around: Surroundings) -> None:
    now = around.clock.now()
    lines = [LogEntry(now, LogLevel.INFO, attempt.mask.text(need.told(each)), need.number) for each in need.referrals]
    await around.claims.log(need.execution_id, lines, is_confidential=attempt.grant.is_confidential)
