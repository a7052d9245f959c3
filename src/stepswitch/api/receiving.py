"""How many bytes of bodies may be on their way in at once, all requests together. Made by `limits`, asked by `request_bodies`.

What is counted is what a request was let in for: what it says it sends, or what has come of it where it does not say. So nobody who was let in
is turned away half-way for somebody who came later, unless he said nothing. Small bodies are not counted: a resume finds its way in beside any
number of files, and whoever has not logged in cannot fill the room.
"""

from typing import Final

import structlog

from stepswitch.domain.errors import OverloadedError

SMALL_BYTES: Final = 64 * 1024
"""So much of every body is let in without being counted: the number of connections is bounded."""
RETRY_SECONDS: Final = 5
_log = structlog.get_logger("stepswitch.receiving")


class Room:
    """The room that all bodies share."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._taken = 0
        self._is_full = False

    def take(self, size: int) -> None:
        """Take so many bytes; raises OverloadedError where they are not left."""
        is_full = self._taken + size > self._most
        if is_full is not self._is_full:
            self._is_full = is_full
            _log.warning("no more bodies are received" if is_full else "bodies are received again", limit_bytes=self._most)
        if is_full:
            raise OverloadedError(
                f"the bodies that are being received leave no room for this one (all together, {self._most} bytes); "
                "nothing of it was stored: send it again later",
                RETRY_SECONDS,
            )
        self._taken += size

    def give_back(self, size: int) -> None:
        """Give back what was taken."""
        self._taken -= size
