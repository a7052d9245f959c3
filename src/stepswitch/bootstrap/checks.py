"""What settings say wrongly, as far as that can be known before anything is made: all of it at once. Called by `server` and `wiring`."""

from collections.abc import Callable, Iterator
from typing import Final

from stepswitch.bootstrap.auditing import audit_faults
from stepswitch.bootstrap.directory import directory_faults
from stepswitch.bootstrap.identity import provider_faults
from stepswitch.bootstrap.keys import key_faults
from stepswitch.bootstrap.tls import tls_faults
from stepswitch.config.settings import Settings
from stepswitch.domain.errors import SettingsError

_CHECKS: Final[tuple[Callable[[Settings], Iterator[str]], ...]] = (tls_faults, key_faults, provider_faults, directory_faults, audit_faults)


def check_settings(settings: Settings) -> None:
    """Raise SettingsError with every fault of settings that the model of each alone cannot see, each on a line of its own."""
    if faults := [fault for check in _CHECKS for fault in check(settings)]:
        raise SettingsError("\n".join(faults))
