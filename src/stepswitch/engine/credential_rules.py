"""Whether a credential may be used: by whom, in which workflow, at which device. Called by `credential_checks` before, and by `credential_use` at the moment of use.

Somebody who may not use a credential is told the same as if there were none.
"""

from collections.abc import Collection
from dataclasses import dataclass

from stepswitch.domain.devices import Device, covers
from stepswitch.engine.account_ports import People
from stepswitch.engine.credential_records import Credential
from stepswitch.engine.privileges import ADMINISTRATOR, role_name


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in whose name a credential is used. `roles` is None where there is nobody called so, or he is disabled."""

    name: str
    roles: frozenset[str] | None

    def may_use(self, credential: Credential) -> bool:
        """Return whether his roles let him; administrators may use what they may change."""
        return self.roles is not None and (ADMINISTRATOR in self.roles or credential.covers_roles(self.roles))


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a credential may not be used: `told` to whoever wanted to, and what is the matter, which only an administrator may read."""

    told: str
    why: str


def refusal(credential: Credential | None, name: str, people: Collection[Person], workflow_id: str, workflow_name: str) -> Refusal | None:
    """Return why people may not use a credential in a workflow, None where they may; what is told is the same, whatever it is."""
    told = f"no credential called {name!r} may be used here"
    if credential is None:
        return Refusal(told, "there is none of this name")
    if not credential.covers_workflow(workflow_id, workflow_name):
        return Refusal(told, "it is not for this workflow")
    for person in people:
        if not person.may_use(credential):
            return Refusal(told, f"{person.name} has none of its roles")
    return None


def device_refusal(credential: Credential, device: Device | None) -> Refusal | None:
    """Return why a credential that people may use is not for a device, None where it is; `device` is None where a step acts on none."""
    if device is None:
        if credential.without_device:
            return None
        told = f"the credential {credential.name!r} is not for steps that act on no device"
    elif any(covers(pattern, device) for pattern in credential.devices):
        return None
    else:
        told = f"the credential {credential.name!r} is not for {device}"
    return Refusal(told, told)


class AccountRoles:
    """Implements `RolesOfPeople` with the accounts as they are now: a role that was taken away is gone with the next use."""

    def __init__(self, people: People) -> None:
        self._people = people

    async def roles_of(self, tenant: str, user: str) -> frozenset[str] | None:
        """See `RolesOfPeople`."""
        account = await self._people.account(user)
        if account is None or account.is_disabled or account.tenant != tenant:
            return None
        return frozenset(map(role_name, account.roles))
