"""Access tokens of the provider, with which programs come without a login. Asked by `sessions`, which keeps what it is told for a moment."""

from typing import Final

import structlog

from stepswitch.access.provider_people import ProviderPeople
from stepswitch.access.provider_tokens import ProviderTokens
from stepswitch.domain.errors import NotAuthenticatedError
from stepswitch.engine.ports import Clock
from stepswitch.engine.records import Account

QUIET_SECONDS: Final = 10.0
"""So long the log says nothing more of tokens that are refused: whoever sends them without end does not fill the disk."""
_log = structlog.get_logger("stepswitch.access")


class AccessTokens:
    """Knows who stands behind an access token."""

    def __init__(self, tokens: ProviderTokens, people: ProviderPeople, clock: Clock) -> None:
        self._tokens = tokens
        self._people = people
        self._clock = clock
        self._told_at: float | None = None
        self._untold = 0

    async def holder(self, token: str) -> tuple[Account, int]:
        """Return whose a token is, with the roles that it gives, and until when it is good; raises NotAuthenticatedError."""
        try:
            claims = await self._tokens.access_claims(token)
            return await self._people.account(claims), self._tokens.good_until(claims)
        except NotAuthenticatedError as error:
            self._tell(error)
            raise

    def _tell(self, error: NotAuthenticatedError) -> None:
        """Say in the log why, which the answer does not."""
        now = self._clock.monotonic()
        if self._told_at is not None and now - self._told_at < QUIET_SECONDS:
            self._untold += 1
            return
        _log.warning("an access token was refused", reason=str(error), others_since_the_last=self._untold)
        self._told_at, self._untold = now, 0
