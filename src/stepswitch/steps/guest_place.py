"""Where an attempt acts: the vCenter and the machine as the inventory knows them, and the logins for both. Called by `guest`.

What the step's own inputs say comes first; what they leave out is taken from the inventory's entry.
"""

import asyncio
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from stepswitch.plugin import Device, Endpoint, ErrorCode, Inventory, Login, StepContext, VirtualMachine, read_url
from stepswitch.steps.guest_inputs import Whereabouts
from stepswitch.steps.guest_machine import GuestLogin, Named, named
from stepswitch.steps.guest_vcenter import Where
from stepswitch.steps.input_faults import Faults, InputFaultError
from stepswitch.steps.output import harmless
from stepswitch.steps.vim_places import VCENTER, way_to

_SOAP_PATH: Final = "/sdk"
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Place:
    """A machine, the vCenter that knows it, and who we are at both."""

    vcenter: Where
    machine: Named
    login: GuestLogin = field(repr=False)


async def find_place(whereabouts: Whereabouts, context: StepContext, faults: Faults | None = None) -> Place:
    """Return where an attempt acts; raises InputFaultError with what the inventory lacks and the step needs, and CredentialError.

    `faults` are what is wrong with the step's other inputs: they are told with these, and no secret is opened where there are any.
    """
    faults = faults or Faults()
    inventory = await context.inventory()
    known = inventory.virtual_machines.get(whereabouts.machine)
    at_vim = faults.attempt(lambda: _vim_location(inventory, known, whereabouts)) or ""
    endpoint = faults.attempt(lambda: way_to(inventory, at_vim, VCENTER)) if at_vim else None
    login = Login() if known is None else known.login
    username = whereabouts.username or login.username
    is_his = login.username in (None, username)
    kept = login.password if whereabouts.password is None and is_his else None
    faults.add(ErrorCode.MISSING_INPUT, *_missing(whereabouts, username, whereabouts.password or kept, is_his=is_his))
    vcenter = await _vcenter(faults.settled(endpoint), at_vim, context)
    password = whereabouts.password if kept is None else await context.secret(kept, Device(whereabouts.machine))
    faults.add(ErrorCode.MISSING_INPUT, *_missing(whereabouts, username, password, is_his=is_his))
    return Place(vcenter, _named(known, whereabouts.machine), GuestLogin(faults.settled(username), faults.settled(password)))


def _missing(whereabouts: Whereabouts, username: str | None, password: object, *, is_his: bool) -> Iterator[str]:
    """Yield a sentence where nobody, or no password, is named for the machine."""
    missing = [name for name, value in (("username", username), ("password", password)) if not value]
    if missing:
        names = " and ".join(repr(name) for name in missing)
        message = f"there is no {names} for the machine {harmless(whereabouts.machine)}: give it as an input, or as the login of its entry in the inventory"
        yield message if is_his else f"{message}, which is that of another user"


def _vim_location(inventory: Inventory, known: VirtualMachine | None, whereabouts: Whereabouts) -> str:
    wanted = whereabouts.vim_location or (known.vim_location if known else None)
    if known is not None and wanted != known.vim_location:
        message = (
            f"the machine {harmless(known.id)} is at the VIM location {harmless(known.vim_location)!r}, says the inventory, and this step is to act at "
            f"{harmless(wanted or '')!r}: another vCenter may call another machine the same"
        )
        raise InputFaultError(ErrorCode.INVALID_VALUE, message)
    if wanted is None:
        message = (
            f"there is no VIM location for the machine {harmless(whereabouts.machine)}: give 'vimLocation', the context's, or an entry of the machine in the "
            f"inventory, which has {_shown(inventory.virtual_machines)}"
        )
        raise InputFaultError(ErrorCode.MISSING_INPUT, message)
    return wanted


def _shown(entries: Mapping[str, object]) -> str:
    names = sorted(map(harmless, entries))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more if names else "none"


async def _vcenter(endpoint: Endpoint, vim_location: str, context: StepContext) -> Where:
    called = f"the vCenter of the VIM location {harmless(vim_location)}"
    url = read_url(endpoint.url)
    if url.scheme != "https":
        raise InputFaultError(
            ErrorCode.INVALID_VALUE, f"{called} is not asked without TLS: its url in the inventory is to begin with https://"
        )
    login = endpoint.login
    if login.username is None or login.password is None:
        message = f"{called} has no login in the inventory: give its username, and its password as a credential"
        raise InputFaultError(ErrorCode.MISSING_INPUT, message)
    password = await context.secret(login.password, Device(url.host, url.port))
    trusted = await asyncio.to_thread(_trusted, endpoint.ca_certificates, called)  # reads every certificate of the machine
    path = url.target if url.target != "/" else _SOAP_PATH
    return Where(f"the vCenter {url.authority}", url.host, url.port, path, login.username, password, trusted)


def _trusted(certificates: str | None, called: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=certificates)
    except (ssl.SSLError, ValueError, TypeError):
        raise InputFaultError(ErrorCode.INVALID_VALUE, f"{called} has caCertificates in the inventory that cannot be read") from None


def _named(known: VirtualMachine | None, text: str) -> Named:
    if known is None:
        return named(text)
    if known.path is not None:
        return Named(known.id, path=known.path.strip("/"))
    if known.instance_uuid is not None:
        return Named(known.id, instance_uuid=known.instance_uuid)
    return Named(known.id, object_id=known.managed_object_id or known.id)
