"""Credentials at the moment of use: who wanted them where is checked once more, with the inputs as they are. Called by the worker, behind the claim.

What a step is given exists in the worker's memory only, and is read anew for each attempt: a value that was changed is the one that the next
attempt uses.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

import structlog

from stepswitch.domain.devices import Device
from stepswitch.domain.errors import CredentialError, ErrorCode, ProviderUnavailableError
from stepswitch.domain.execution import Head, StepExecution, Values
from stepswitch.domain.names import unfit_text
from stepswitch.domain.references import Reference, SignedReference
from stepswitch.domain.secrecy import SHORTEST_SECRET
from stepswitch.domain.step_types import StepSignature
from stepswitch.engine.audit import Actor, Entry, Judgement, Thing
from stepswitch.engine.credential_ports import CredentialFinder, RolesOfPeople, SecretReader
from stepswitch.engine.credential_records import Credential, kind_of
from stepswitch.engine.credential_rules import Person, Refusal, device_refusal, refusal
from stepswitch.engine.ports import Clock
from stepswitch.engine.records import Snapshot

USE: Final = "useCredential"
"""What the audit trail calls it."""
Record = Callable[[Entry], Awaitable[None]]
LONGEST_VALUE: Final = 64 * 1024
OF_INVENTORY: Final = "inventory"
"""What stands for the name of an input where an entry of the inventory names a credential."""
_log = structlog.get_logger("stepswitch.credentials")


@dataclass(frozen=True, slots=True)
class Referral:
    """One input of a step that takes a credential. `people` are all in whose names: who put it there, and who last changed the step."""

    input: str
    credential: str
    people: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Need:
    """Which credentials one attempt at a step takes by its inputs, perhaps none, and where it acts with them."""

    tenant: str
    execution_id: str
    workflow_id: str
    workflow_name: str
    step_id: str
    number: int
    device: Device | None
    referrals: tuple[Referral, ...]
    people: tuple[str, ...] = ()
    """In whose names it takes what an entry of the inventory names: who made the execution, who stored its workflow, who last changed the step,
    and whoever says the same of the steps that wait for the execution."""

    def of_inventory(self, reference: Reference, device: Device) -> "Need":
        """Return the need of one credential that an entry of the inventory names, for where the attempt acts with it."""
        return replace(self, device=device, referrals=(Referral(OF_INVENTORY, reference.credential, self.people),))

    def told(self, referral: Referral) -> str:
        """Return the line of log that says that a credential was used."""
        where = "" if self.device is None else f" for {self.device}"
        how = "as the inventory says" if referral.input == OF_INVENTORY else f"as its {referral.input}"
        return f"credential {referral.credential} used{where} by step {self.step_id} ({self.number}), {how}"


class OpensCredentials(Protocol):
    """Whoever opens credentials for a worker."""

    async def open(self, need: Need) -> Mapping[str, str]:
        """Return the value of each input that takes one; raises CredentialError where one may not be used or cannot be read, StoreError."""
        ...


def designer_of(snapshot: Snapshot) -> str:
    """Return who stored the workflow of a snapshot last."""
    return snapshot.designer or str(snapshot.document.get("creationUser", ""))


def need_of(head: Head, step: StepExecution, inputs: Values, signature: StepSignature | None, designer: str) -> Need | None:
    """Return which credentials a step, or a look of its probe, takes; None where it takes none, and acts on nothing."""
    taken = {name: value for name, value in inputs.items() if isinstance(value, Reference)}
    if not taken and (signature is None or signature.only_computes):
        return None
    above = () if head.parent is None else head.parent.people
    return Need(
        tenant=head.tenant,
        execution_id=head.id,
        workflow_id=head.workflow_id,
        workflow_name=head.workflow_name,
        step_id=step.step_id,
        number=step.number,
        device=None if signature is None else signature.target(inputs),
        referrals=tuple(Referral(name, each.credential, _people(head, step, each)) for name, each in taken.items()),
        people=tuple(dict.fromkeys((head.creation_user, *who_says(head, step, designer), *above))),
    )


def who_says(head: Head, step: StepExecution, designer: str) -> tuple[str, ...]:
    """Return who says what a step does, beside who created the execution: who stored its workflow, and who last changed the step."""
    return tuple(each for each in (designer, head.editors.get(step.step_id)) if each)


def _people(head: Head, step: StepExecution, reference: Reference) -> tuple[str, ...]:
    editor = head.editors.get(step.step_id)
    by = reference.by if isinstance(reference, SignedReference) else editor or head.creation_user
    return (by,) if editor in (None, by) else (by, editor)


class CredentialUse:
    """Implements `OpensCredentials` beside the store."""

    def __init__(self, store: CredentialFinder, people: RolesOfPeople, reader: SecretReader, record: Record, clock: Clock) -> None:
        self._store = store
        self._people = people
        self._reader = reader
        self._record = record
        self._clock = clock

    async def open(self, need: Need) -> Mapping[str, str]:
        """See `OpensCredentials`. Everything is checked before anything is read, and recorded before anybody has it."""
        opened: dict[str, str] = {}
        try:
            credentials = [await self._allowed(need, referral) for referral in need.referrals]
            for referral, credential in zip(need.referrals, credentials, strict=True):
                opened[referral.input] = await read_value(self._reader, credential)
        except CredentialError:
            await self._note(need, Judgement.REFUSED)
            raise
        await self._note(need, Judgement.ALLOWED)
        return opened

    async def _note(self, need: Need, judgement: Judgement) -> None:
        """Have the audit trail know what was wanted; raises StoreError."""
        for referral in need.referrals:
            after = {
                "execution": need.execution_id,
                "step": need.step_id,
                "stepNumber": need.number,
                "input": referral.input,
                "device": None if need.device is None else str(need.device),
                "workflow": need.workflow_id,
                "people": referral.people,
            }
            thing = Thing("credential", referral.credential)
            status = 200 if judgement is Judgement.ALLOWED else 403
            who = referral.people[0]
            await self._record(
                Entry(USE, self._clock.now(), need.tenant, who, Actor.SYSTEM, thing=thing, judgement=judgement, status=status, after=after)
            )

    async def _allowed(self, need: Need, referral: Referral) -> Credential:
        credential = await self._store.find(need.tenant, referral.credential)
        people = [await self._person(need.tenant, name) for name in referral.people]
        refused = refusal(credential, referral.credential, people, need.workflow_id, need.workflow_name)
        if credential is not None and refused is None:
            refused = device_refusal(credential, need.device)
        if credential is None or refused is not None:
            raise _refused(need, referral, refused or Refusal("", ""))
        return credential

    async def _person(self, tenant: str, name: str) -> Person:
        try:
            return Person(name, await self._people.roles_of(tenant, name))
        except ProviderUnavailableError:
            message = f"nothing was sent: whoever knows the roles of {name} cannot be asked now"
            raise CredentialError(ErrorCode.CREDENTIAL_UNAVAILABLE, message) from None


async def read_value(reader: SecretReader, credential: Credential) -> str:
    """Return the value of a credential as it is now; raises CredentialError."""
    try:
        value = await reader.read(credential.source)
    except CredentialError as error:
        raise CredentialError(error.code, f"the credential {credential.name!r} cannot be opened: {error}") from None
    why = unfit_value(value)
    if why is not None:
        message = f"the credential {credential.name!r} cannot be used: its value ({kind_of(credential.source)}) {why}"
        raise CredentialError(ErrorCode.CREDENTIAL_UNAVAILABLE, message)
    return value


def unfit_value(value: str) -> str | None:
    """Return why a value is none that a credential may have; None where it is one."""
    if len(value) < SHORTEST_SECRET:
        return f"has fewer than {SHORTEST_SECRET} characters: nobody could hide it in a log"
    if len(value.encode("utf-8", "replace")) > LONGEST_VALUE:
        return f"has more than {LONGEST_VALUE} bytes"
    if unfit_text(value) is not None:
        return "is no text in UTF-8"
    return "holds the character NUL" if "\0" in value else None


def _refused(need: Need, referral: Referral, refused: Refusal) -> CredentialError:
    _log.warning(
        "a credential was not handed out",
        credential=referral.credential,
        why=refused.why,
        people=referral.people,
        workflow=need.workflow_id,
        execution=need.execution_id,
        step=need.number,
    )
    return CredentialError(ErrorCode.CREDENTIAL_REFUSED, f"nothing was sent: {refused.told}")


class _NoCredentials:
    """Implements `OpensCredentials` where there are none."""

    async def open(self, need: Need) -> Mapping[str, str]:
        """Refuse."""
        raise _refused(need, need.referrals[0], refusal(None, need.referrals[0].credential, (), "", "") or Refusal("", ""))


NO_CREDENTIALS: Final[OpensCredentials] = _NoCredentials()
