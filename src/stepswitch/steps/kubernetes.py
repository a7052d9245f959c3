"""The step type K8S: a script in a pod or a job of a Kubernetes cluster. Registered in `pyproject.toml`, called by the step runner.

The parts: `kubernetes_inputs` reads what is asked, `kubernetes_cluster` finds the cluster and who we are there, `kubernetes_api` asks it,
`kubernetes_objects` says what is made, `kubernetes_run` carries an attempt out with `kubernetes_watch` and `kubernetes_log`, `kubernetes_pod` and
`kubernetes_verdict` judge, `kubernetes_removal` removes.
"""

import asyncio
import secrets
from typing import Final

from stepswitch.plugin import AttachmentError, CredentialError, Outcome, StepContext, StepSignature, TargetError, Values, failed
from stepswitch.steps.input_faults import Faults, InputFaultError
from stepswitch.steps.kubernetes_inputs import SIGNATURE, read_kind, read_request
from stepswitch.steps.kubernetes_times import Times

_MARK_BYTES: Final = 12


class KubernetesStep:
    """Runs scripts in clusters. `image` is that of steps which name none."""

    def __init__(self, *, image: str | None = None, times: Times | None = None) -> None:
        self._image = image
        self._times = times or Times()

    @property
    def signature(self) -> StepSignature:
        """What it declares of itself."""
        return SIGNATURE

    async def run(self, inputs: Values, context: StepContext) -> Outcome:
        """Run the script, and remove what was made for it."""
        from stepswitch.steps.kubernetes_cluster import find_target, open_api  # noqa: PLC0415 - nobody waits for drivers that no step needs
        from stepswitch.steps.kubernetes_objects import made_by  # noqa: PLC0415 - see above
        from stepswitch.steps.kubernetes_run import Run  # noqa: PLC0415 - see above

        try:
            faults = Faults()
            asked = await faults.attempted(read_request(inputs, context, self._image))
            found = await faults.attempted(find_target(inputs, context))
            request, target = faults.settled(asked), faults.settled(found)
            api = await open_api(target, context, self._times)
        except (InputFaultError, CredentialError, AttachmentError) as error:
            return failed(error.code, str(error))
        made = made_by(context.execution_id, context.attempt_name, f"::stepswitch-{secrets.token_hex(_MARK_BYTES)}")
        async with api:
            return await Run(api, target, made, request=request, context=context, times=self._times).carry_out()

    async def clean_up(self, inputs: Values, context: StepContext) -> None:
        """Remove what an attempt has left in its cluster; raises TargetError where that cannot be done now."""
        from stepswitch.steps.kubernetes_api import ApiError, LinkError, Patience  # noqa: PLC0415 - see above
        from stepswitch.steps.kubernetes_cluster import find_target, open_api  # noqa: PLC0415 - see above
        from stepswitch.steps.kubernetes_objects import made_by  # noqa: PLC0415 - see above
        from stepswitch.steps.kubernetes_removal import remove  # noqa: PLC0415 - see above

        made = made_by(context.execution_id, context.attempt_name, "")
        patience = Patience(0.0, self._times.pauses)  # whoever calls asks again by himself
        try:
            target = await find_target(inputs, context)
            async with await open_api(target, context, self._times) as api, asyncio.timeout(self._times.removal):
                await remove(api, target, made.selector, read_kind(inputs), secret=made.name, patience=patience)
        except TimeoutError:
            message = f"{made.name} does not end within {self._times.removal:g} seconds; its node may be lost"
            raise TargetError(message) from None
        except (ApiError, LinkError, InputFaultError, ValueError) as error:
            raise TargetError(f"{made.name} cannot be removed: {error}") from None

    async def release(self, execution_id: str) -> None:
        """Do nothing: no connection outlives its attempt."""

    async def close(self) -> None:
        """Do nothing, for the same reason."""
