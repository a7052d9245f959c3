"""The data keys through their life: made at the first start, opened at every other one, changed, retired. Called by `bootstrap`.

Each is stored encrypted with the key-encryption key, which is never in the database: without that, nobody reads what they encrypt.
"""

import secrets
from collections.abc import Sequence
from typing import Final

from stepswitch.domain.errors import KeyMissingError, SettingsError
from stepswitch.engine.encryption import DataKeyStore
from stepswitch.engine.ports import Clock
from stepswitch.engine.records import DataKey
from stepswitch.secrets.key_choice import KeyChoice
from stepswitch.secrets.key_sources import KeySource
from stepswitch.secrets.sealing import KEY_BYTES, NAMES, Sealing

_BRING_BACK: Final = "bring back the key that was used, from where it is kept; nothing was changed"


class DataKeys:
    """The keys of one store."""

    def __init__(self, store: DataKeyStore, sealing: Sealing, choice: KeyChoice, clock: Clock) -> None:
        self._store = store
        self._sealing = sealing
        self._choice = choice
        self._clock = clock

    async def open(self) -> None:
        """Take the keys at hand, made where there are none; raises SettingsError where they cannot be opened, and changes nothing then.

        Where nothing is encrypted yet, a key-encryption key that is lost is no loss: there are new keys then.
        """
        stored = await self._store.keys()
        try:
            source = self._choice.source()
            await _refuse_other(source, stored)
        except KeyMissingError as error:
            if stored and await self._store.uses():
                raise SettingsError(f"{error}, and passwords that are stored are encrypted with it: {_BRING_BACK}") from error
            source, stored = await self._anew(error), []
        keys = await _unwrapped(source, stored) if stored else await self._begin(source)
        for generation, key in keys.items():
            self._sealing.install(generation, key)

    async def _anew(self, error: KeyMissingError) -> KeySource:
        """Return the key-encryption key to begin with: one that does not fit is as good as any, one that is not there is made where it is ours."""
        try:
            return self._choice.source()
        except KeyMissingError:
            if self._choice.makes_its_own:
                return self._choice.made()
            raise error from None

    async def _begin(self, source: KeySource) -> dict[int, bytes]:
        keys = {generation: secrets.token_bytes(KEY_BYTES) for generation in (NAMES, 1)}
        await self._store.begin([await self._wrapped(source, generation, key) for generation, key in keys.items()])
        return keys

    async def _wrapped(self, source: KeySource, generation: int, key: bytes) -> DataKey:
        return DataKey(generation, await source.name(), await source.wrap(key, generation), self._clock.now())


async def _refuse_other(source: KeySource, stored: Sequence[DataKey]) -> None:
    """Raise KeyMissingError where the keys were encrypted with another key."""
    name = await source.name()
    wanted = {key.wrapped_by for key in stored} - {name}
    if wanted:
        raise KeyMissingError(f"the key {', '.join(sorted(wanted))} is not there, the settings name {name}")


async def _unwrapped(source: KeySource, stored: Sequence[DataKey]) -> dict[int, bytes]:
    return {key.generation: await source.unwrap(key.wrapped, key.generation) for key in stored}
