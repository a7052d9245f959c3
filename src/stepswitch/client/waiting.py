"""Waiting for an execution without asking all the time: the service answers when something changes. Called by `executions`."""

import asyncio
import math
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from stepswitch.client.answers import Execution
from stepswitch.client.errors import NoAnswerError, UnavailableError, WaitTimeoutError
from stepswitch.client.transport import Call, Transport
from stepswitch.client.workflows import ROOT

HELD_SECONDS: Final = 50
"""How long the service is asked to hold an answer back: less than the minute after which many proxies cut a silent connection."""
POLL_SECONDS: Final = 1.0
"""Between two questions, where each is answered at once: the execution changes all the time, or the service does not hold answers back."""
SILENCE_SECONDS: Final = 300.0
"""So long a service may be away, while it starts again for instance, before somebody who waits is told."""
GRACE_SECONDS: Final = 2.0
"""How long after the end of a wait its last answer may come in."""
_UNSEEN: Final = "logs,stepExecutions"
"""What a wait does without: it may be long."""


def is_settled(execution: Execution) -> bool:
    """Return whether nothing happens any more unless somebody acts: it has ended, or is paused."""
    return execution.has_ended or execution.is_paused


def prefer(seconds: int) -> dict[str, str]:
    """Return the header that asks for an answer to be held back (RFC 7240); none for no seconds."""
    return {"prefer": f"wait={seconds}"} if seconds else {}


class Wait:
    """One wait for one execution; `seconds` is how long at most, None without end."""

    def __init__(self, transport: Transport, execution_id: str, until: Callable[[Execution], bool], seconds: float | None) -> None:
        self._transport = transport
        self._execution_id = execution_id
        self._until = until
        self._now = asyncio.get_running_loop().time
        self._deadline = float("inf") if seconds is None else self._now() + seconds
        self._hurried = 0
        """Answers in a row that came at once, or did not come at all."""
        self._heard = self._now()

    async def over(self) -> None:
        """Return when the execution is where it is waited for; raises WaitTimeoutError, or the error of a service that is away for too long."""
        seen = await self._ask(None, 0)
        while not self._until(seen):
            left = self._deadline - self._now()
            if left <= 0:
                raise WaitTimeoutError(f"execution {self._execution_id} is {seen.status}, and the time is up", seen)
            seen = await self._after(seen, math.ceil(min(left, HELD_SECONDS)))

    async def _after(self, seen: Execution, seconds: int) -> Execution:
        """Return the execution at its next change, or as it was after `seconds`."""
        asked = self._now()
        try:
            seen = await self._ask(seen, seconds)
            self._heard = self._now()
        except (NoAnswerError, UnavailableError):
            if self._now() - self._heard > SILENCE_SECONDS:
                raise
        if self._now() - asked >= 1 or self._until(seen):
            self._hurried = 0
        else:
            self._hurried += 1
            nap = min(self._transport.pacing.delay(self._hurried), POLL_SECONDS, self._deadline - self._now())
            await self._transport.pacing.sleep(max(nap, 0))
        return seen

    async def _ask(self, seen: Execution | None, seconds: int) -> Execution:
        """Return the execution as it is now, or at its first change since it was `seen`."""
        tag = seen.etag if seen is not None else None
        call = Call(
            "GET",
            f"{ROOT}/workflowExecution/{quote(self._execution_id, safe='')}",
            f"execution {self._execution_id}",
            {"exclude_fields": _UNSEEN},
            prefer(seconds) | ({"if-none-match": tag} if tag is not None else {}),
            safe=not seconds,  # one that is held back is asked for again here, as long as there is time
            seconds=min(self._transport.timeout + seconds, self._deadline - self._now() + GRACE_SECONDS),
            accepts=frozenset({304}),
        )
        answer, headers = await self._transport.json(call)
        return seen if seen is not None and answer is None else Execution.read(answer, headers.get("etag"))
