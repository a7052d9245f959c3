"""Credentials of the sources of an inventory, at the moment of use. Called by `inventory_sources`.

No execution uses them and no workflow: they are used in the name of who has changed the source last, so that whoever may no longer use a credential
has no service use it for him. A credential for certain workflows is not for sources, and one for certain devices is for those.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from stepswitch.domain.devices import Device
from stepswitch.domain.errors import CredentialError, ErrorCode, ProviderUnavailableError
from stepswitch.domain.inventory import Source
from stepswitch.engine.audit import Actor, Entry, Judgement, Thing
from stepswitch.engine.credential_ports import CredentialFinder, RolesOfPeople, SecretReader
from stepswitch.engine.credential_records import Credential
from stepswitch.engine.credential_rules import Person, Refusal, device_refusal, refusal
from stepswitch.engine.credential_use import USE, Record, read_value
from stepswitch.engine.inventory_ports import THE_MACHINE
from stepswitch.engine.ports import Clock
from stepswitch.engine.privileges import ADMINISTRATOR

NO_WORKFLOW: Final = ""
_log = structlog.get_logger("stepswitch.inventory")


@dataclass(frozen=True, slots=True)
class Want:
    """Which credential is wanted for which source, as which of its fields, where, and in whose name."""

    tenant: str
    source: Source
    field: str
    credential: str
    device: Device
    by: str


class SourceCredentials:
    """Opens credentials for those who ask sources. Everything is checked before anything is read, and recorded before anybody has it."""

    def __init__(self, store: CredentialFinder, people: RolesOfPeople, reader: SecretReader, record: Record, clock: Clock) -> None:
        self._store = store
        self._people = people
        self._reader = reader
        self._record = record
        self._clock = clock

    async def open(self, want: Want) -> str:
        """Return the value; raises CredentialError where it may not be used or cannot be read, StoreError."""
        try:
            value = await read_value(self._reader, await self._allowed(want))
        except CredentialError:
            await self._note(want, Judgement.REFUSED)
            raise
        await self._note(want, Judgement.ALLOWED)
        return value

    async def _allowed(self, want: Want) -> Credential:
        credential = await self._store.find(want.tenant, want.credential)
        people = await self._persons(want)
        refused = refusal(credential, want.credential, people, NO_WORKFLOW, NO_WORKFLOW)
        if credential is None or refused is not None:
            raise _refused(want, refused or Refusal("", ""), f" in the name of {people[0].name}, who has stored the source last")
        refused = device_refusal(credential, want.device)
        if refused is not None:
            raise _refused(want, refused)
        return credential

    async def _persons(self, want: Want) -> Sequence[Person]:
        if want.by == THE_MACHINE:
            return [Person("the machine of the service", frozenset({ADMINISTRATOR}))]
        try:
            return [Person(want.by, await self._people.roles_of(want.tenant, want.by))]
        except ProviderUnavailableError:
            message = f"nothing was asked: whoever knows the roles of {want.by} cannot be asked now"
            raise CredentialError(ErrorCode.CREDENTIAL_UNAVAILABLE, message) from None

    async def _note(self, want: Want, judgement: Judgement) -> None:
        after = {"source": want.source.id, "field": want.field, "device": str(want.device), "people": [want.by] if want.by else []}
        thing = Thing("credential", want.credential)
        status = 200 if judgement is Judgement.ALLOWED else 403
        entry = Entry(
            USE, self._clock.now(), want.tenant, want.by, Actor.SYSTEM, thing=thing, judgement=judgement, status=status, after=after
        )
        await self._record(entry)


def _refused(want: Want, refused: Refusal, whose: str = "") -> CredentialError:
    _log.warning("a credential was not handed out", credential=want.credential, why=refused.why, people=want.by, source=want.source.id)
    return CredentialError(ErrorCode.CREDENTIAL_REFUSED, f"nothing was asked: {refused.told}{whose}")
