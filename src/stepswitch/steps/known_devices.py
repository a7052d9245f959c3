"""What the inventory knows of the server that a step logs in to: taken where the step's own inputs leave it out. Called by the readers of inputs.

The secrets that an entry names go to the addresses of this entry alone, for a step's host is looked for as it is written; and to a server
that shows a key which this service knows, where it knows one: a step that names another key is given none of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from stepswitch.plugin import CredentialError, Device, ErrorCode, Inventory, KnownDevice, Reference, StepContext, Values
from stepswitch.plugin import Login as KnownLogin
from stepswitch.steps.input_faults import Faults, InputFaultError
from stepswitch.steps.login_inputs import (
    SSH_PORT,
    Login,
    allowed_keys,
    host_of,
    port_of,
    read_login,
    server_name,
    text_of,
    uses_password,
    whole_key,
)
from stepswitch.steps.output import harmless
from stepswitch.steps.ssh_algorithms import offer_of

MOST_JUMPS: Final = 8
_PROOFS: Final = ("password", "privateKey")
_NOBODY: Final = "nobody"
"""What stands for the user while faults are looked for, where the step names none."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where a step logs in, and what the inventory has of it: `entry` is None where it has nothing."""

    device: Device
    inventory: Inventory
    entry: KnownDevice | None


async def with_platform(inputs: Values, context: StepContext) -> Values:
    """Return the inputs of a step, with the platform that the inventory knows where they leave it out."""
    try:
        entry = (await _server_of(inputs, context)).entry
    except InputFaultError:
        return inputs  # told by who reads the login
    platform = None if entry is None or _is_given(inputs, "platform") else entry.platform
    return inputs if platform is None else {**inputs, "platform": str(platform)}


async def _server_of(inputs: Values, context: StepContext, port: int = SSH_PORT) -> Server:
    device = Device(host_of(inputs), port_of(inputs, port))
    inventory = await context.inventory()
    return Server(device, inventory, inventory.device_at(device.host, device.port))


async def known_login(
    inputs: Values, context: StepContext, port: int = SSH_PORT, *, enables: bool = False, faults: Faults | None = None
) -> Login:
    """Return the login that a step asks for, with what the inventory knows of its server and of the way there; raises InputFaultError with every fault.

    The secrets in it are open. `enables`: the privileged mode is wanted, too. `faults` are what is wrong with the step's other inputs: they are told with those of
    the login, and no secret is opened where there are any.
    """
    faults = faults or Faults()
    found = await faults.attempted(_server_of(inputs, context, port))
    if found is None:  # who logs in, the inventory may say of a server whose port alone is wrong
        may_be_known = {"username": _NOBODY} if _is_given(inputs, "hostNameOrIP") else {}
        await faults.attempted(read_login({**may_be_known, **inputs}, context, port))
    server = found if found is not None else faults.settled(found)
    filled = {**inputs, **_left_out(inputs, server)}
    if not _is_given(filled, "username"):
        faults.add(ErrorCode.MISSING_INPUT, _nobody(server))
        filled["username"] = _NOBODY
    read, wanted = await faults.attempted(read_login(filled, context, port)), _wanted(filled, server, enables=enables)
    hops = faults.attempt(lambda: _hops(server)) or ()
    if read and read.certificate and read.private_key is None and "privateKey" not in wanted:
        faults.add(ErrorCode.MISSING_INPUT, "'certificate' needs the private key that it belongs to: give 'privateKey'")
    login = faults.settled(read)
    if wanted:
        await _refuse_other_key(login, server, context)
    if server.entry is None:
        return login
    through = await _way_through(hops, context)
    login = replace(_with_entry(login, server.entry), known_keys=login.known_keys or server.entry.host_keys, through=through)
    return await _with_secrets(login, wanted, server.device, context)


def _with_entry(login: Login, entry: KnownDevice) -> Login:
    return replace(login, known_keys=entry.host_keys, offer=offer_of(entry.algorithms), limits=entry.time_limits, entry=entry.id)


async def _with_secrets(login: Login, wanted: Mapping[str, Reference], device: Device, context: StepContext) -> Login:
    """Return a login with the values of credentials that the inventory names; raises InputFaultError where one may not be used, or cannot be opened."""
    try:
        values = {name: await context.secret(reference, device) for name, reference in wanted.items()}
    except CredentialError as error:
        raise InputFaultError(error.code, str(error)) from None
    key = values.get("privateKey")
    return replace(
        login,
        password=values.get("password", login.password),
        private_key=login.private_key if key is None else whole_key(key),
        passphrase=values.get("passphrase", login.passphrase),
        enable_password=values.get("enablePassword"),
    )


def _left_out(inputs: Values, server: Server) -> dict[str, str]:
    """Return what an entry says in the clear and the step does not."""
    entry = server.entry
    if entry is None or entry.login.username is None or _is_given(inputs, "username"):
        return {}
    return {"username": entry.login.username}


def _wanted(inputs: Values, server: Server, *, enables: bool) -> dict[str, Reference]:
    """Return the credentials that an entry adds, by the inputs that they stand for: those of whoever logs in, where the step brings nothing that lets him in."""
    if server.entry is None:
        return {}
    login = server.entry.login
    wanted = {"enablePassword": login.enable_password} if enables else {}
    is_his = login.username in (None, (text_of(inputs, "username") or "").strip())
    if is_his and not any(_is_given(inputs, name) for name in _PROOFS):
        wanted |= _proofs(login, with_password=uses_password(inputs))
    return {name: reference for name, reference in wanted.items() if reference is not None and not _is_given(inputs, name)}


def _proofs(login: KnownLogin, *, with_password: bool = True) -> dict[str, Reference | None]:
    password = login.password if with_password else None
    return {"password": password, "privateKey": login.private_key, "passphrase": login.passphrase}


async def _refuse_other_key(login: Login, server: Server, context: StepContext) -> None:
    """Raise InputFaultError where a step names a host key that is none of those by which this service knows the server."""
    if not login.known_keys or server.entry is None:
        return
    known, _ = await allowed_keys(replace(login, known_keys=server.entry.host_keys), context.host_keys)
    named, _ = await allowed_keys(login, context.host_keys)
    if known and not named <= known:
        raise InputFaultError(
            ErrorCode.WRONG_HOST_KEY,
            f"the input 'hostKey' names {' or '.join(sorted(named))}, and {_name(server)} is known by {' or '.join(sorted(known))}: "
            f"the credentials of {_entry_name(server.entry)} go to that alone; nothing was sent",
        )


def _hops(server: Server) -> tuple[KnownDevice, ...]:
    """Return the jump hosts on the way to a server, the nearest to us first."""
    hops: list[KnownDevice] = []
    entry = server.entry
    while entry is not None and entry.jump_host is not None:
        entry = server.inventory.devices[entry.jump_host]
        hops.insert(0, entry)
        if entry.login.username is None:
            message = f"nobody can log in to the jump host {harmless(entry.id)!r}, on the way to {_name(server)}: its entry in the inventory names no user"
            raise InputFaultError(ErrorCode.MISSING_INPUT, message)
        if len(hops) > MOST_JUMPS:
            raise InputFaultError(ErrorCode.INVALID_VALUE, f"there are more than {MOST_JUMPS} jump hosts on the way to {_name(server)}")
    return tuple(hops)


async def _way_through(hops: tuple[KnownDevice, ...], context: StepContext) -> Login | None:
    """Return the login at the last of some jump hosts, their credentials open; None without any."""
    through: Login | None = None
    for hop in hops:
        through = await _jump(hop, through, context)
    return through


async def _jump(hop: KnownDevice, through: Login | None, context: StepContext) -> Login:
    address = hop.addresses[0]
    device = Device(address.host, address.port or SSH_PORT)
    wanted = {name: reference for name, reference in _proofs(hop.login).items() if reference is not None}
    login = Login(device.host, device.port or SSH_PORT, hop.login.username or "", through=through)
    return await _with_secrets(_with_entry(login, hop), wanted, device, context)


def _is_given(inputs: Values, name: str) -> bool:
    return bool((text_of(inputs, name) or "").strip())


def _nobody(server: Server) -> str:
    if server.entry is None:
        return f"the input 'username' is without value, and the inventory has no entry for {_name(server)} that would say who logs in"
    return f"the input 'username' is without value, and {_entry_name(server.entry)} names no user"


def _name(server: Server) -> str:
    return server_name(server.device.host, server.device.port or SSH_PORT)


def _entry_name(entry: KnownDevice) -> str:
    return f"the entry {harmless(entry.id)!r} of the inventory"
