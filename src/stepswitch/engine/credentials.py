"""The use cases of credentials: made, shown without their values, changed, checked, removed. Called by `api.credentials` and the command line.

Administrators look after those of their tenant. What comes from the service's own machine, from its Vault or its cluster is everybody's, so that
only administrators of the tenant `default` may make a credential of it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from stepswitch.domain.devices import unfit_pattern
from stepswitch.domain.errors import (
    CredentialError,
    ErrorCode,
    Fault,
    InvalidRequestError,
    NotFoundError,
    PreconditionFailedError,
    VersionConflictError,
)
from stepswitch.domain.secrecy import MASK
from stepswitch.engine.account_ports import AccountStore
from stepswitch.engine.audit import Thing
from stepswitch.engine.audit import changed as differing
from stepswitch.engine.callers import DEFAULT_TENANT, Caller
from stepswitch.engine.credential_ports import CredentialStore, SecretReader
from stepswitch.engine.credential_records import ANY, Credential, Source, StoredValue, kind_of
from stepswitch.engine.credential_use import read_value
from stepswitch.engine.names_of_people import LONGEST_NAME, name_faults
from stepswitch.engine.ports import Clock
from stepswitch.engine.privileges import ROLES, Privilege, role_name

PAGE: Final = 1_000
MOST_LISTED: Final = 1_000
"""So many roles, workflows or devices one credential names."""
LONGEST_DESCRIPTION: Final = 4_096
Tags = frozenset[str] | None
"""The tags of which one must be the stored credential's; None where nobody asks."""


@dataclass(frozen=True, slots=True)
class CredentialOrder:
    """What a credential is to be; None leaves it as it is, or, of a new one, without."""

    source: Source | None = None
    roles: tuple[str, ...] | None = None
    workflows: tuple[str, ...] | None = None
    devices: tuple[str, ...] | None = None
    without_device: bool | None = None
    description: str | None = None
    faults: tuple[Fault, ...] = ()
    """What was wrong with its shape already, so that everything is said in one answer."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check came to: `problem` says why a credential cannot be opened now, None where it can."""

    at: int
    problem: str | None = None


class Credentials:
    """Looks after the credentials of the caller's tenant."""

    def __init__(self, store: CredentialStore, accounts: AccountStore, reader: SecretReader, clock: Clock) -> None:
        self._store = store
        self._accounts = accounts
        self._reader = reader
        self._clock = clock

    async def page(self, caller: Caller, after: str = "") -> Sequence[Credential]:
        """Return up to `PAGE` credentials whose names follow `after`, by name."""
        caller.require(Privilege.ADMINISTRATION)
        return await self._store.all(caller.tenant, after, PAGE)

    async def get(self, caller: Caller, name: str) -> Credential:
        """Return a credential; raises NotFoundError."""
        caller.require(Privilege.ADMINISTRATION)
        found = await self._store.find(caller.tenant, name) if 0 < len(name) <= LONGEST_NAME and name.isprintable() else None
        if found is None:
            raise NotFoundError(f"no credential {name}")
        return found

    async def add(self, caller: Caller, name: str, order: CredentialOrder) -> Credential:
        """Make a credential and return it; raises InvalidRequestError with every fault."""
        caller.require(Privilege.ADMINISTRATION)
        faults = [*order.faults, *name_faults("name", name), *await self._faults(caller, order)]
        if faults or order.source is None:
            raise InvalidRequestError(faults or [Fault(ErrorCode.MISSING_FIELD, "source", "is required")])
        now = self._clock.now()
        made = Credential(
            tenant=caller.tenant,
            name=name,
            source=order.source,
            roles=tuple(map(role_name, order.roles or ())),
            workflows=order.workflows or (),
            devices=order.devices or (),
            without_device=order.without_device or False,
            description=order.description or "",
            created_at=now,
            created_by=caller.user,
            changed_at=now,
            changed_by=caller.user,
        )
        try:
            await self._store.add(made, caller.entry(_thing(made), after=shown(made)))
        except VersionConflictError:
            message = "there is a credential of this name already; change it, or choose another name"
            raise InvalidRequestError([Fault(ErrorCode.ALREADY_EXISTS, "name", message)]) from None
        return made

    async def change(self, caller: Caller, name: str, order: CredentialOrder, only_if: Tags = None) -> Credential:
        """Change a credential, all of it or nothing, and return it; the next use finds what is new.

        Raises NotFoundError, PreconditionFailedError, InvalidRequestError with every fault.
        """
        stored = await self._wanted(caller, name, only_if)
        faults = [*order.faults, *await self._faults(caller, order)]
        if order.source is None and not isinstance(stored.source, StoredValue):
            faults += _source_faults(caller, stored.source)  # whoever may not make it may not say either who uses it
        if faults:
            raise InvalidRequestError(faults)
        changed = replace(
            stored,
            source=order.source or stored.source,
            roles=stored.roles if order.roles is None else tuple(map(role_name, order.roles)),
            workflows=stored.workflows if order.workflows is None else order.workflows,
            devices=stored.devices if order.devices is None else order.devices,
            without_device=stored.without_device if order.without_device is None else order.without_device,
            description=stored.description if order.description is None else order.description,
            changed_at=max(self._clock.now(), stored.changed_at),
            changed_by=caller.user,
            revision=stored.revision + 1,
        )
        try:
            was, became = differing(shown(stored), shown(changed))
            if order.source is not None and isinstance(order.source, StoredValue):
                became["source"] = {"kind": kind_of(order.source), "value": MASK}
            await self._store.replace(changed, caller.entry(_thing(changed), was, became))
        except VersionConflictError:
            raise _moved_on() from None
        return changed

    async def remove(self, caller: Caller, name: str, only_if: Tags = None) -> None:
        """Remove a credential, whoever refers to it: steps that still want it fail, and nothing is sent. Raises as `change` does."""
        stored = await self._wanted(caller, name, only_if)
        try:
            await self._store.remove(stored, caller.entry(_thing(stored), before=shown(stored)))
        except VersionConflictError:
            raise _moved_on() from None

    async def check(self, caller: Caller, name: str) -> Finding:
        """Open a credential as a step would, tell nobody the value, and say whether that went well; raises NotFoundError."""
        credential = await self.get(caller, name)
        try:
            await read_value(self._reader, credential)
        except CredentialError as error:
            return Finding(self._clock.now(), str(error))
        return Finding(self._clock.now())

    async def _wanted(self, caller: Caller, name: str, only_if: Tags) -> Credential:
        stored = await self.get(caller, name)
        if only_if is not None and stored.tag not in only_if:
            raise _moved_on()
        return stored

    async def _faults(self, caller: Caller, order: CredentialOrder) -> list[Fault]:
        faults = [] if order.source is None else [*_source_faults(caller, order.source), *self._unreadable(order.source)]
        for field in ("roles", "workflows", "devices"):
            faults += _list_faults(field, getattr(order, field))
        faults += await self._role_faults(caller.tenant, order.roles or ())
        faults += _workflow_faults(order.workflows or ())
        faults += [
            Fault(ErrorCode.INVALID_VALUE, f"devices[{place}]", why)
            for place, each in enumerate(order.devices or ())
            if (why := unfit_pattern(each)) is not None
        ]
        if len(order.description or "") > LONGEST_DESCRIPTION:
            faults.append(Fault(ErrorCode.INVALID_VALUE, "description", f"has at most {LONGEST_DESCRIPTION} characters"))
        return faults

    def _unreadable(self, source: Source) -> list[Fault]:
        found = [Fault(ErrorCode.INVALID_VALUE, f"source.{field}", why) for field, why in self._reader.faults(source)]
        if isinstance(source, StoredValue) and source.value == MASK:
            found.append(Fault(ErrorCode.INVALID_VALUE, "source.value", f"{MASK} is how a password is shown; give the value itself"))
        return found

    async def _role_faults(self, tenant: str, roles: Sequence[str]) -> list[Fault]:
        known = [*ROLES, *(role.name for role in await self._accounts.roles(tenant))] if roles else []
        return [
            Fault(ErrorCode.INVALID_VALUE, f"roles[{place}]", f"is no role; there are {', '.join(known)}, and {ANY!r} for every one")
            for place, role in enumerate(roles)
            if role != ANY and role_name(role) not in known
        ]


def shown(credential: Credential) -> dict[str, Any]:
    """Return what anybody may be told of a credential, and the audit trail has: never a value that is stored."""
    source = {} if isinstance(credential.source, StoredValue) else asdict(credential.source)
    return {
        "description": credential.description,
        "source": {"kind": kind_of(credential.source), **source},
        "roles": credential.roles,
        "workflows": credential.workflows,
        "devices": credential.devices,
        "withoutDevice": credential.without_device,
    }


def _thing(credential: Credential) -> Thing:
    return Thing("credential", credential.name)


def _source_faults(caller: Caller, source: Source) -> list[Fault]:
    if isinstance(source, StoredValue) or caller.runs_installation:
        return []
    message = f"only administrators of the tenant {DEFAULT_TENANT} name what is the whole service's: {kind_of(source)}; store the value"
    return [Fault(ErrorCode.NOT_PERMITTED, "source.kind", message)]


def _list_faults(field: str, given: Sequence[str] | None) -> list[Fault]:
    if given is None:
        return []
    if not given:
        return [Fault(ErrorCode.MISSING_FIELD, field, f"name at least one, or say {ANY!r} for all of them")]
    if len(given) > MOST_LISTED:
        return [Fault(ErrorCode.INVALID_VALUE, field, f"has {len(given)} entries; a credential has at most {MOST_LISTED}")]
    if ANY in given and len(given) > 1:
        return [Fault(ErrorCode.INVALID_VALUE, field, f"says {ANY!r}, which is all of them, and names some beside: say one or the other")]
    return []


def _workflow_faults(names: Sequence[str]) -> list[Fault]:
    message = f"is to be the id or the name of a workflow, or its beginning with a {ANY!r} behind it, in at most {LONGEST_NAME} printable characters"
    return [
        Fault(ErrorCode.INVALID_VALUE, f"workflows[{place}]", message)
        for place, each in enumerate(names)
        if not 0 < len(each) <= LONGEST_NAME or not each.isprintable() or ANY in each[:-1]
    ]


def _moved_on() -> PreconditionFailedError:
    return PreconditionFailedError("the credential has changed since it was read; read it again")
