"""A directory (LDAP), asked without holding up anybody: so many questions at once in threads of their own, each within its time. Used by `directory_people`."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from stepswitch.access.directory_rules import DirectoryEntry, DirectoryFaultError, DirectoryRules, DirectoryServer, ServiceAccount
from stepswitch.domain.errors import OverloadedError, ProviderUnavailableError
from stepswitch.engine.ports import Clock

if TYPE_CHECKING:  # ldap3 takes a while to load, and most installations have no directory
    from stepswitch.access.directory_talk import Talk

AT_ONCE: Final = 8
_WAITING: Final = 100
QUIET_SECONDS: Final = 10.0
"""So long the log says nothing more of a directory that cannot be asked: logins without end do not fill the disk."""
Answer = TypeVar("Answer")
_log = structlog.get_logger("stepswitch.access")


class Directory:
    """Asks the directory of the settings; `service` is with whom, None where only people themselves can ask."""

    def __init__(self, server: DirectoryServer, rules: DirectoryRules, service: ServiceAccount | None, clock: Clock) -> None:
        self.rules = rules
        self.can_look = service is not None
        """Whether somebody can be looked at again, after his login."""
        self._server = server
        self._service = service
        self._clock = clock
        self._threads = ThreadPoolExecutor(AT_ONCE, "directory")
        self._places = asyncio.Semaphore(AT_ONCE)
        self._asked = 0
        self._told_at: float | None = None

    async def check(self, username: str, password: str) -> DirectoryEntry | None:
        """Return who logs in, None where that is nobody; raises ProviderUnavailableError where the directory cannot say, OverloadedError."""
        return await self._ask(lambda talk: talk.check(username, password))

    async def look(self, entry_id: str) -> DirectoryEntry | None:
        """Return somebody as he is now, None where he is not there any more; raises as `check`."""
        return await self._ask(lambda talk: talk.look(entry_id))

    async def _ask(self, question: Callable[["Talk"], Answer]) -> Answer:
        if self._asked >= _WAITING:
            raise OverloadedError("too many wait for the directory", retry_after=5)
        self._asked += 1
        from stepswitch.access.directory_talk import Talk  # noqa: PLC0415 # see above

        talk = Talk(self._server, self.rules, self._service)
        try:
            async with asyncio.timeout(self._server.seconds), self._places:
                return await asyncio.get_running_loop().run_in_executor(self._threads, question, talk)
        except DirectoryFaultError as fault:
            raise self._unavailable(str(fault)) from None
        except TimeoutError:
            raise self._unavailable(f"no answer came within {self._server.seconds:g} s") from None
        finally:
            talk.cut()
            self._asked -= 1

    def _unavailable(self, why: str) -> ProviderUnavailableError:
        """Say in the log why, which the answer does not."""
        now = self._clock.monotonic()
        if self._told_at is None or now - self._told_at >= QUIET_SECONDS:
            self._told_at = now
            _log.error(
                "the directory cannot be asked who somebody is; users with a password here can log in",
                directory=self._server.label,
                why=why,
            )
        return ProviderUnavailableError("the directory that knows the users cannot be asked now; try again")
