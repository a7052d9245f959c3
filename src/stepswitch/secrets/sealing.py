"""Encrypts bodies with the data keys: AES-256-GCM, bound to the place where they stand. Called through the port `Sealer`.

Every process encrypts with a key of its own, made of the data key and a random salt, and counts its nonces: no nonce is ever used
twice, however much is written. A sealed body is generation (4 bytes), salt (16), nonce (12), then what AES-GCM gives.
"""

import hashlib
import secrets
from collections import OrderedDict
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from stepswitch.domain.errors import StoreError

KEY_BYTES: Final = 32
NAMES: Final = 0
"""The generation of the key that names are made with: it encrypts nothing, and stays for as long as the names do."""
_GENERATION_BYTES: Final = 4
_SALT_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_HEADER_BYTES: Final = _GENERATION_BYTES + _SALT_BYTES + _NONCE_BYTES
_CIPHERS_KEPT: Final = 1_000
_PURPOSE: Final = b"stepswitch: bodies at rest"


class Sealing:
    """Implements `Sealer` with the keys that it is given."""

    def __init__(self) -> None:
        self._keys: dict[int, bytes] = {}
        self._current = NAMES
        self._ciphers: OrderedDict[bytes, AESGCM] = OrderedDict()
        self._prefix = b""
        self._count = 0

    @property
    def current(self) -> int:
        """The generation that is encrypted with; 0 where there is none yet."""
        return self._current

    @property
    def generations(self) -> frozenset[int]:
        """The generations whose keys are at hand."""
        return frozenset(self._keys)

    def install(self, generation: int, key: bytes) -> None:
        """Take a key at hand, and encrypt with it from now on where there is no younger one."""
        self._keys[generation] = key
        if generation > self._current:
            self._current = generation
            self._prefix = generation.to_bytes(_GENERATION_BYTES) + secrets.token_bytes(_SALT_BYTES)
            self._count = 0

    def remove(self, generation: int) -> None:
        """Forget a key that nothing is encrypted with any more."""
        self._keys.pop(generation, None)
        for prefix in [each for each in self._ciphers if each.startswith(generation.to_bytes(_GENERATION_BYTES))]:
            del self._ciphers[prefix]

    def seal(self, content: bytes, place: bytes) -> tuple[bytes, int]:
        """See `Sealer`. Called by one thread only."""
        if not self._prefix:
            raise StoreError("what is to be encrypted cannot be written: there is no key")
        self._count += 1
        nonce = self._count.to_bytes(_NONCE_BYTES)
        return self._prefix + nonce + self._cipher(self._prefix).encrypt(nonce, content, place), self._current

    def opened(self, sealed: bytes, place: bytes) -> bytes:
        """See `Sealer`."""
        prefix, nonce = sealed[: _HEADER_BYTES - _NONCE_BYTES], sealed[_HEADER_BYTES - _NONCE_BYTES : _HEADER_BYTES]
        try:
            return self._cipher(prefix).decrypt(nonce, sealed[_HEADER_BYTES:], place)
        except (InvalidTag, ValueError):
            raise StoreError("an encrypted value was changed on the disk, or stands where it does not belong") from None

    def digest(self, content: bytes) -> str:
        """See `Sealer`."""
        key = self._keys.get(NAMES)
        if key is None:
            raise StoreError("what is to be encrypted cannot be named: there is no key")
        return hashlib.blake2b(content, key=key, digest_size=32).hexdigest()

    def _cipher(self, prefix: bytes) -> AESGCM:
        cipher = self._ciphers.get(prefix)
        if cipher is None:
            generation = int.from_bytes(prefix[:_GENERATION_BYTES])
            key = self._keys.get(generation)
            if key is None or generation == NAMES:
                raise StoreError(f"the key of generation {generation}, with which a value is encrypted, is not there any more")
            derived = HKDF(SHA256(), KEY_BYTES, prefix[_GENERATION_BYTES:], _PURPOSE).derive(key)
            cipher = self._ciphers[prefix] = AESGCM(derived)
            while len(self._ciphers) > _CIPHERS_KEPT:
                self._ciphers.popitem(last=False)
        return cipher
