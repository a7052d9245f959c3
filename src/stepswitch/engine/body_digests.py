"""What tells one request from another without keeping it: a digest of its body, which may hold passwords. Called by `keyed_requests` and `cut_answers`.

The digest is made with a key that is not in the database. Without it, whoever gets hold of the database could try one short password
after the other until the digest fits.
"""

import asyncio
import hashlib
import hmac
from typing import Final

from stepswitch.engine.callers import Caller

_LARGE: Final = 256 * 1024
"""Bytes that take so long that others should have their answers meanwhile."""
_LENGTH_BYTES: Final = 8
_NAME_CHARACTERS: Final = 8


class BodyDigests:
    """Makes digests with one key; a digest says with which."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._name = hashlib.sha256(b"the name of " + key).hexdigest()[:_NAME_CHARACTERS]

    def of(self, caller: Caller, *parts: bytes) -> str:
        """Return the digest of a request that has these parts and this sender."""
        digest = hmac.new(self._key, digestmod="sha256")
        for part in (_bytes(caller.tenant), _bytes(caller.user), *parts):
            digest.update(len(part).to_bytes(_LENGTH_BYTES, "big"))
            digest.update(part)
        return f"{self._name}.{digest.hexdigest()}"

    async def of_any(self, caller: Caller, *parts: bytes) -> str:
        """Return the same, in a thread where the parts are large."""
        if sum(map(len, parts)) > _LARGE:
            return await asyncio.to_thread(self.of, caller, *parts)
        return self.of(caller, *parts)


def may_be_same(one: str, other: str) -> bool:
    """Return whether two digests can be of the same request. Where the key was lost in between they cannot be compared, and so may be."""
    return one == other or one.partition(".")[0] != other.partition(".")[0]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
