"""Wires what carries out steps: the dispatcher with its places, and what every attempt is given. Called by `wiring`."""

from stepswitch.bootstrap.step_types import scripts_at_once
from stepswitch.config.settings import Settings
from stepswitch.dispatch.local import LocalDispatcher
from stepswitch.dispatch.places import Places, Room
from stepswitch.engine.claims import Claims
from stepswitch.engine.conductor import Conductor
from stepswitch.engine.credential_use import CredentialUse
from stepswitch.engine.known_inventories import KnownInventories
from stepswitch.engine.ports import Clock, FileStore, HostKeyStore, Ids
from stepswitch.engine.quotas import Quotas
from stepswitch.engine.trust import TrustedHosts
from stepswitch.worker.attempt import Surroundings


def _places(settings: Settings, quotas: Quotas) -> Places:
    by_type = {"JS": scripts_at_once(settings)}
    return Places(settings.steps_at_once, settings.sessions_per_device, by_type, lambda tenant: quotas.of(tenant).executions_at_once)


def dispatcher_of(settings: Settings, clock: Clock, conductor: Conductor, quotas: Quotas) -> LocalDispatcher:
    """Return the dispatcher of a conductor, with room for what its places can use soon."""
    places = _places(settings, quotas)
    dispatcher = LocalDispatcher(places, clock, Room.for_places(places))
    conductor.dispatch_through(dispatcher)
    return dispatcher


def surroundings_of(
    settings: Settings,
    claims: Claims,
    files: FileStore,
    keys: HostKeyStore,
    *,
    credentials: CredentialUse,
    inventories: KnownInventories,
    clock: Clock,
    ids: Ids,
) -> Surroundings:
    """Return what every attempt is given."""
    return Surroundings(
        claims=claims,
        files=files,
        host_keys=TrustedHosts(keys, clock, accept_new=settings.host_keys == "accept-new"),
        clock=clock,
        ids=ids,
        output_bytes=settings.max_output_bytes,
        log_bytes=settings.max_step_log_bytes,
        silence_seconds=settings.silence_seconds,
        credentials=credentials,
        inventories=inventories,
    )
