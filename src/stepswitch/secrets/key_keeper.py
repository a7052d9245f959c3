"""Takes new data keys at hand while the service runs, and encrypts anew what older ones encrypt, a little at a time. Run by `bootstrap.service`.

What is left to do is seen from the store: a rotation that was interrupted goes on at the next look, or after the next start.
"""

from typing import Final

import structlog

from stepswitch.domain.errors import SettingsError, StoreError
from stepswitch.engine.ports import Clock
from stepswitch.secrets.data_keys import DataKeys

LOOK_SECONDS: Final = 5.0
PAUSE_SECONDS: Final = 0.05
"""Between two portions, so that nobody waits for them for long."""
PORTION: Final = 20
"""Values that are encrypted anew at once; each may have some megabytes."""
_log = structlog.get_logger("stepswitch.secrets")


class KeyKeeper:
    """Looks after the keys of a store that this process uses alone."""

    def __init__(self, keys: DataKeys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock

    async def run(self) -> None:
        """Look for ever; what cannot be done is said, and tried again."""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except (SettingsError, StoreError) as error:
                _log.error("the keys of stored passwords could not be looked after", error=str(error))

    async def look(self) -> None:
        """Return when nothing is left that an older key encrypts; raises SettingsError or StoreError."""
        await self._keys.refresh()
        total = 0
        while done := await self._keys.reseal(PORTION):
            total += done
            await self._clock.sleep(PAUSE_SECONDS)
        if total:
            _log.info("stored passwords are encrypted with the new key", values=total)
