"""The login of the vRO that an execution's steps used, in clear: for a person who wants to look at the runs there. Called by the API, which lets administrators only.

The inventory says where that vRO is and names its credential, which is opened in the name of whoever asks, by the rules of all credentials.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from stepswitch.domain.devices import Device
from stepswitch.domain.errors import NotFoundError
from stepswitch.domain.execution import Head, StepExecution
from stepswitch.domain.inventory import Endpoint, Inventory
from stepswitch.domain.step_types import VRO_RUN_ID, VRO_TYPES
from stepswitch.domain.urls import read_url
from stepswitch.engine.callers import Caller
from stepswitch.engine.credential_use import Need, OpensCredentials, Referral
from stepswitch.engine.inventory_ports import InventoryFinder
from stepswitch.engine.ports import ExecutionStore
from stepswitch.engine.snapshots import Snapshots
from stepswitch.engine.views import Views, behind

STEPS_AT_ONCE = 1_000
_VIM = "vimLocation"
_MACHINE = "virtualMachine"


@dataclass(frozen=True, slots=True)
class VroLogin:
    """Who logs in where, and the runs that the steps have begun there; where the vRO has a token, `username` is empty."""

    url: str
    username: str
    password: str = field(repr=False)
    runs: tuple[str, ...] = ()


class VroLogins:
    """Looks up what the steps of an execution used."""

    def __init__(
        self, *, views: Views, store: ExecutionStore, snapshots: Snapshots, inventory: InventoryFinder, credentials: OpensCredentials
    ) -> None:
        self._views = views
        self._store = store
        self._snapshots = snapshots
        self._inventory = inventory
        self._credentials = credentials

    async def of(self, caller: Caller, execution_id: str) -> VroLogin:
        """Return the login of the vRO that was used last; raises NotFoundError where none was used, and CredentialError."""
        head = await self._views.head(caller, execution_id)
        inventory = await self._inventory.of(head.tenant)
        used = [(step, place) for step in await self._steps(head) if (place := _vim_of(step, head, inventory)) is not None]
        if not used:
            raise NotFoundError("none of its steps used a vRO")
        last, place = used[-1]
        entry = inventory.vim_locations.get(place)
        if entry is None or entry.vro is None:
            raise NotFoundError(f"the inventory has no vRO at the VIM location {place!r} any more")
        runs = [step.outputs.get(VRO_RUN_ID) for step, where in used if where == place]
        password = await self._password(caller, head, last, entry.vro)
        return VroLogin(entry.vro.url, entry.vro.login.username or "", password, tuple(str(run) for run in runs if run is not None))

    async def _steps(self, head: Head) -> Sequence[StepExecution]:
        """Return the step executions whose steps are of a type that uses a vRO, and which have begun."""
        found: list[StepExecution] = []
        first, count = 0, behind(head)
        while first < count and (page := await self._store.steps(head.id, first, min(STEPS_AT_ONCE, count - first))):
            found += [step for step in page if await self._uses_vro(step)]
            first += len(page)
        if head.current is not None and await self._uses_vro(head.current):
            found.append(head.current)
        return found

    async def _uses_vro(self, step: StepExecution) -> bool:
        if step.claimed_time is None:
            return False
        workflow = (await self._snapshots.get(step.snapshot_id)).workflow
        return step.step_id in workflow.steps and workflow.steps[step.step_id].type in VRO_TYPES

    async def _password(self, caller: Caller, head: Head, step: StepExecution, vro: Endpoint) -> str:
        if vro.login.password is None:
            return ""
        url = read_url(vro.url)
        referral = Referral("vRO", vro.login.password.credential, (caller.user,))
        need = Need(
            tenant=head.tenant,
            execution_id=head.id,
            workflow_id=head.workflow_id,
            workflow_name=head.workflow_name,
            step_id=step.step_id,
            number=step.number,
            device=Device(url.host, url.port),
            referrals=(referral,),
        )
        return (await self._credentials.open(need))[referral.input]


def _vim_of(step: StepExecution, head: Head, inventory: Inventory) -> str | None:
    """Return the VIM location at which a step was carried out."""
    given = step.inputs.get(_VIM)
    machine = inventory.virtual_machines.get(str(step.inputs.get(_MACHINE)))
    place = given if given is not None else None if machine is None else machine.vim_location
    found = place if place is not None else head.context.get(_VIM)
    return None if found is None else str(found)
