"""Who knows people, as the settings want it: the directory, the provider of logins, and whoever knows what somebody is now. Called by `wiring`."""

from dataclasses import dataclass

from stepswitch.access.current_callers import CurrentCallers
from stepswitch.access.directory_people import DirectoryPeople
from stepswitch.access.people import CurrentPeople
from stepswitch.bootstrap.directory import directory_of, warn_of_groups
from stepswitch.bootstrap.identity import Identity, identity_of, warn_of_roles
from stepswitch.config.settings import Settings
from stepswitch.engine.account_ports import AccountStore
from stepswitch.engine.ports import Clock


@dataclass(frozen=True, slots=True)
class WiredPeople:
    """Who logs people in by the directory, and by the provider, each None where there is none; and who knows what everybody is now."""

    directory: DirectoryPeople | None
    identity: Identity | None
    current: CurrentPeople
    callers: CurrentCallers


def wire_people(settings: Settings, store: AccountStore, clock: Clock) -> WiredPeople:
    """Return them for settings that were checked."""
    directory = directory_of(settings, store, clock)
    current = CurrentPeople(store, directory, settings.oidc_issuer)
    return WiredPeople(directory, identity_of(settings, store, clock), current, CurrentCallers(store, current))


async def warn_of_missing_roles(settings: Settings, store: AccountStore) -> None:
    """Say in the log which roles the settings give that are not there: nobody may do anything by them."""
    await warn_of_roles(settings, store)
    await warn_of_groups(settings, store)
