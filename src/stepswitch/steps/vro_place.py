"""Which vRO a step speaks to: the one of its VIM location, as the inventory has it. Called by the step types of vRO."""

from dataclasses import dataclass
from typing import Final

from stepswitch.plugin import Endpoint, ErrorCode, InputSpec, StepContext, Url, Values, ValueType, read_url
from stepswitch.steps.input_faults import InputFaultError
from stepswitch.steps.login_inputs import text_of
from stepswitch.steps.vim_places import VRO, way_to

_API: Final = "/vco/api"
VIM_LOCATION: Final = InputSpec(
    "vimLocation",
    (ValueType.VIM_LOCATION, ValueType.STRING),
    "The VIM location of the inventory whose `vro` is asked. Without it, that of the execution's context.",
)


@dataclass(frozen=True, slots=True)
class Place:
    """A vRO. `api` is where its REST API begins, without a slash at its end."""

    vim_location: str
    api: Url
    endpoint: Endpoint


async def vro_of(inputs: Values, context: StepContext) -> Place:
    """Return the vRO of a step's VIM location; raises InputFaultError, where nothing was sent."""
    location = (text_of(inputs, "vimLocation") or "").strip()
    endpoint = way_to(await context.inventory(), location, VRO)
    try:
        return Place(location, _api_of(endpoint.url), endpoint)
    except ValueError as error:
        raise InputFaultError(ErrorCode.INVALID_VALUE, f"the vRO of the VIM location {location!r}: its url {error}") from None


def _api_of(url: str) -> Url:
    base = url.rstrip("/")
    if not base.endswith(_API):
        base = base.removesuffix("/vco") + _API
    return read_url(base)
