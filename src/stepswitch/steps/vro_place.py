"""Which vRO a step speaks to: the one of its VIM location, as the inventory has it. Called by the step types of vRO."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from stepswitch.plugin import Endpoint, ErrorCode, InputSpec, StepContext, Url, Values, ValueType, VimLocation, read_url
from stepswitch.steps.login_inputs import InputFaultError, text_of

_API: Final = "/vco/api"
_SHOWN: Final = 10
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
    known = (await context.inventory()).vim_locations
    if not location:
        message = f"nothing says at which VIM: give the input 'vimLocation', or context.vimLocation{_those(known)}"
        raise InputFaultError(ErrorCode.MISSING_INPUT, message)
    entry = known.get(location)
    if entry is None:
        raise InputFaultError(ErrorCode.INVALID_VALUE, f"the inventory has no VIM location {location!r}{_those(known)}")
    if entry.vro is None:
        raise InputFaultError(ErrorCode.INVALID_VALUE, f"the VIM location {location!r} has no 'vro' in the inventory{_those(known)}")
    try:
        return Place(location, _api_of(entry.vro.url), entry.vro)
    except ValueError as error:
        raise InputFaultError(ErrorCode.INVALID_VALUE, f"the vRO of the VIM location {location!r}: its url {error}") from None


def _those(known: Mapping[str, VimLocation]) -> str:
    """Return which VIM locations could be meant."""
    names = sorted(name for name, each in known.items() if each.vro is not None)
    if not names:
        return "; the inventory has none with a vRO"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"; those with a vRO are {', '.join(map(repr, names[:_SHOWN]))}{more}"


def _api_of(url: str) -> Url:
    base = url.rstrip("/")
    if not base.endswith(_API):
        base = base.removesuffix("/vco") + _API
    return read_url(base)
