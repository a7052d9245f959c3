"""The data keys through their life: made at the first start, opened at every other one, changed, retired. Called by `bootstrap`.

Each is stored encrypted with the key-encryption key, which is never in the database: without that, nobody reads what they encrypt.
"""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from stepswitch.domain.errors import KeyMissingError, SettingsError
from stepswitch.engine.audit import Entry
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

    async def exist(self) -> bool:
        """Return whether there are keys that need not be made."""
        return bool(await self._store.keys())

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

    async def rotate(self, entry: Entry | None = None) -> int:
        """Store a new data key, and return its generation: who uses the store encrypts with it as soon as it has taken it at hand.

        Raises SettingsError where there are no keys yet, or they cannot be opened.
        """
        source, stored = await self._stored()
        await source.unwrap(stored[-1].wrapped, stored[-1].generation)  # whoever cannot read the old keys may not add a new one
        generation = stored[-1].generation + 1
        record = None if entry is None else replace(entry, after={"generation": generation})
        await self._store.add(await self._wrapped(source, generation, secrets.token_bytes(KEY_BYTES)), record)
        return generation

    async def rewrap(self, choice: KeyChoice, entry: Entry | None = None) -> str:
        """Encrypt the data keys with another key-encryption key, and return its name; no value changes. Raises SettingsError, and then nothing has."""
        source, stored = await self._stored()
        other = choice.source()
        keys = await _unwrapped(source, stored)
        name = await other.name()
        rewrapped = [replace(key, wrapped_by=name, wrapped=await other.wrap(keys[key.generation], key.generation)) for key in stored]
        if await _unwrapped(other, rewrapped) != keys:
            raise SettingsError(f"{name} does not give back what was encrypted with it; nothing was changed")
        record = None if entry is None else replace(entry, after={"encryptedWith": name})
        await self._store.rewrap(rewrapped, record)
        return name

    async def refresh(self) -> None:
        """Take new keys at hand that somebody else has stored; raises SettingsError where they cannot be opened."""
        new = [key for key in await self._store.keys() if key.generation not in self._sealing.generations]
        if new:
            source = self._choice.source()
            await _refuse_other(source, new)
            for generation, key in (await _unwrapped(source, new)).items():
                self._sealing.install(generation, key)

    async def reseal(self, count: int) -> int:
        """Encrypt up to `count` values anew that older keys encrypt; return how many were looked at. At 0 the older keys are retired.

        They stay at hand in this process: somebody may just be reading what he has found.
        """
        older = [key.generation for key in await self._store.keys() if NAMES < key.generation < self._sealing.current]
        done = await self._store.reseal(self._sealing.current, count) if older else 0
        if not done:
            for generation in older:
                await self._store.retire(generation)
        return done

    async def standing(self) -> Sequence[tuple[DataKey, int]]:
        """Return every data key with the number of values that it encrypts, oldest first."""
        uses = await self._store.uses()
        return [(key, uses.get(key.generation, 0)) for key in await self._store.keys() if key.generation != NAMES]

    async def _stored(self) -> tuple[KeySource, Sequence[DataKey]]:
        stored = await self._store.keys()
        if not stored:
            raise SettingsError("there are no keys yet: the service makes them when it starts")
        source = self._choice.source()
        await _refuse_other(source, stored)
        return source, stored

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
