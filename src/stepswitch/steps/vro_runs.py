"""Runs of a vRO workflow: begun once, found again, followed to their end, cancelled. Called by `vro`.

The id of a run is proposed in the request that begins it, and made of the name of the attempt, so that anybody can ask for it. A vRO that
chooses ids of its own is asked for the run whose input `stepswitchAttempt` has that name.
"""

import asyncio
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from stepswitch.plugin import CredentialError, ErrorCode, LogLevel, StepContext
from stepswitch.steps.output import harmless
from stepswitch.steps.patterns import shortened
from stepswitch.steps.vro_api import Reply, VroApi, VroError
from stepswitch.steps.vro_log import RunLog
from stepswitch.steps.vro_values import plain
from stepswitch.steps.vro_workflows import MARKER, VroWorkflow, attributes_of, links_in, listed_parameters

ENDED: Final = frozenset({"completed", "failed", "canceled"})
COMPLETED: Final = "completed"
_NAMES: Final = uuid.UUID("4d1f5a0e-5c0b-4c9e-9a51-0f6f5d0c7e21")
"""The namespace of the ids that are proposed."""
_NOT_FOUND: Final = frozenset({400, 404})
"""What is answered of a run that is not there, and of an id that this vRO would never give."""
_BAD_REQUEST: Final = 400
_SERVER_ERRORS: Final = 500
_ALL_RUNS: Final = 100_000
_MOST_ENDED: Final = 200
"""How many runs of one workflow that have ended are looked at, for one whose answer was lost."""
_LAST_COPIES: Final = 3
_SAYS: Final = {
    "waiting": "waits for somebody to answer a question of it in vRO; it goes on when that is done",
    "waiting-signal": "waits in vRO for an event, a time or somebody's answer; it goes on by itself when that has come",
    "suspended": "is suspended in vRO; it goes on when somebody resumes it there",
}


@dataclass(frozen=True, slots=True)
class Pauses:
    """How long to wait between two looks, in seconds: the first time, and at most; and how long a vRO may be out of reach."""

    first: float = 0.5
    longest: float = 5.0
    lost: float = 900.0
    looks_for_begun: int = 6
    """How often a run is looked for whose answer was lost."""

    def growing(self) -> Iterator[float]:
        """Yield the pauses."""
        pause = self.first
        while True:
            yield pause
            pause = min(pause * 1.5, self.longest)


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a workflow, by its id in vRO."""

    workflow: VroWorkflow
    id: str

    @property
    def place(self) -> str:
        """Where it is in the API."""
        return f"{self.workflow.place}/executions/{quote(self.id, safe='')}"

    @property
    def told(self) -> str:
        """The run as people write it."""
        return f"the run {shortened(harmless(self.id))} of {self.workflow.told}"


class DoubtError(Exception):
    """Nobody can say whether a run was begun, or what became of it."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def proposed_id(attempt_name: str) -> str:
    """Return the id that the run of an attempt is begun under."""
    return str(uuid.uuid5(_NAMES, attempt_name))


class Runs:
    """The runs of one attempt at one vRO."""

    def __init__(self, api: VroApi, context: StepContext, pauses: Pauses) -> None:
        self._api = api
        self._context = context
        self._pauses = pauses
        self._shows_log = True
        self._log_path = "syslogs"

    async def begin(self, workflow: VroWorkflow, parameters: Sequence[Mapping[str, Any]]) -> Run:
        """Begin a run; raises VroError where none was begun, DoubtError where nobody can say."""
        try:
            reply = await self._post(workflow, parameters)
        except VroError as error:
            if not error.was_sent:
                raise
            return await self._found_or_doubt(workflow, error.code, str(error))
        begun = _id_of(reply) if reply.is_good else None
        if begun is not None:
            return Run(workflow, begun)
        said = f"{self._api.name} answered {reply.status}{': ' if reply.said else ''}{reply.said}"
        if reply.is_good or reply.status >= _SERVER_ERRORS:
            return await self._found_or_doubt(workflow, ErrorCode.UNEXPECTED_STATUS, said)
        raise VroError(ErrorCode.UNEXPECTED_STATUS, f"{workflow.told} was not begun: {said}")

    async def _post(self, workflow: VroWorkflow, parameters: Sequence[Mapping[str, Any]]) -> Reply:
        path, proposed = f"{workflow.place}/executions", {"executionId": proposed_id(self._context.attempt_name)}
        reply = await self._api.ask("POST", path, {"parameters": parameters, **proposed}, mark_sent=self._context.mark_sent)
        if reply.status == _BAD_REQUEST and "executionId" in reply.text:
            await self._context.log(f"{self._api.name} lets nobody propose the id of a run", LogLevel.DEBUG)
            reply = await self._api.ask("POST", path, {"parameters": parameters}, mark_sent=self._context.mark_sent)
        return reply

    async def _found_or_doubt(self, workflow: VroWorkflow, code: ErrorCode, why: str) -> Run:
        await self._context.log(f"{why}; the run that it may have begun is looked for", LogLevel.WARN)
        for pause in islice(self._pauses.growing(), self._pauses.looks_for_begun):
            with suppress(VroError, CredentialError):
                found = await self.find(workflow)
                if found is not None:
                    await self._context.log(f"{found.told} is this attempt's; it is followed", LogLevel.INFO)
                    return found
            await asyncio.sleep(pause)
        raise DoubtError(code, f"{why}; no run of this attempt is found, and whether {workflow.told} was begun is not known")

    async def find(self, workflow: VroWorkflow) -> Run | None:
        """Return the run of this attempt; None where none is found. Raises VroError and CredentialError."""
        run = Run(workflow, proposed_id(self._context.attempt_name))
        if await self._look(run) is not None:
            return run
        if workflow.takes_marker:
            live, ended = await self._listed(workflow)
            for each in (*live, *ended[-_MOST_ENDED:]):
                content = await self._look(each)
                if content is not None and self._is_marked(content):
                    return each
        return None

    def _is_marked(self, content: Mapping[str, Any]) -> bool:
        for each in listed_parameters(content, "input"):
            with suppress(ValueError):
                if each.get("name") == MARKER and plain(each.get("value")) == self._context.attempt_name:
                    return True
        return False

    async def _listed(self, workflow: VroWorkflow) -> tuple[Sequence[Run], Sequence[Run]]:
        """Return the runs of a workflow that our user may have begun: those that go on, and those that have ended, the oldest first."""
        reply = await self._api.ask("GET", f"{workflow.place}/executions?maxResult={_ALL_RUNS}&startIndex=0")
        if not reply.is_good:
            raise VroError(ErrorCode.UNEXPECTED_STATUS, f"{self._api.name} answered {reply.status} when it was asked for runs")
        live: list[Run] = []
        ended: list[Run] = []
        for each in sorted(map(attributes_of, links_in(reply.content)), key=_began):
            if "id" in each and self._may_be_ours(each.get("startedBy")):
                (ended if each.get("state", "").lower() in ENDED else live).append(Run(workflow, each["id"]))
        return live, ended

    def _may_be_ours(self, by: str | None) -> bool:
        """Return whether a run may be one that our user has begun, who may be called with his domain here and without it there."""
        us = self._api.username
        return us is None or by is None or _without_domain(us) == _without_domain(by)

    async def live(self, workflow: VroWorkflow) -> Sequence[Run]:
        """Return the runs of a workflow that our user may have begun and that go on, for whomever."""
        live, _ = await self._listed(workflow)
        found = [(run, await self._look(run)) for run in live]
        return [run for run, content in found if content is not None and _state(content) not in ENDED]

    async def _look(self, run: Run) -> Mapping[str, Any] | None:
        """Return a run as it is now; None where vRO has no such."""
        reply = await self._api.ask("GET", run.place)
        if reply.status in _NOT_FOUND:
            return None
        if not reply.is_good:
            said = f": {reply.said}" if reply.said else ""
            raise VroError(ErrorCode.UNEXPECTED_STATUS, f"{self._api.name} answered {reply.status} when it was asked for a run{said}")
        content = reply.content
        if not isinstance(content, dict) or not isinstance(content.get("state"), str):
            raise VroError(ErrorCode.MALFORMED_ANSWER, f"{self._api.name} tells of a run in a form that is not known")
        return content

    async def follow(self, run: Run) -> Mapping[str, Any]:
        """Return a run as it is at its end, with its log copied meanwhile; raises DoubtError where that cannot be seen any more."""
        log, state = RunLog(self._context), ""
        trouble = _Trouble(self._context, run, self._pauses.lost)
        pauses = self._pauses.growing()
        while True:
            try:
                content = await self._look(run)
                if content is None:
                    await trouble.is_gone()
                else:
                    trouble.is_over()
                    state = await self._tell(run, state, _state(content))
                    if state in ENDED:
                        await self._copy_rest(run, log)
                        return content
                    await self._copy_log(run, log)
            except (VroError, CredentialError) as error:
                await trouble.met(error.code, str(error))
            await asyncio.sleep(next(pauses))

    async def _tell(self, run: Run, before: str, state: str) -> str:
        if state != before and state not in ENDED:
            level = LogLevel.WARN if state in _SAYS else LogLevel.DEBUG
            await self._context.log(f"{run.told} {_SAYS.get(state, f'is {shortened(harmless(state))}')}", level)
        return state

    async def _copy_rest(self, run: Run, log: RunLog) -> None:
        """Copy what is left of the log of a run that has ended: its outcome does not wait for that for long."""
        for pause in islice(self._pauses.growing(), _LAST_COPIES):
            with suppress(VroError, CredentialError):
                await self._copy_log(run, log)
                return
            await asyncio.sleep(pause)
        await self._context.log("the end of the log of the run could not be read", LogLevel.WARN)

    async def _copy_log(self, run: Run, log: RunLog) -> None:
        if not self._shows_log or self._context.is_log_full:
            return
        reply = await self._api.ask("GET", f"{run.place}/{self._log_path}?maxResult=100000")
        if not reply.is_good and self._log_path == "syslogs" and reply.status < _SERVER_ERRORS:
            self._log_path = "logs"  # older releases have no other
            reply = await self._api.ask("GET", f"{run.place}/{self._log_path}?maxResult=100000")
        if reply.is_good and reply.is_whole:
            await log.copy(reply.content)
        elif reply.status < _SERVER_ERRORS:
            self._shows_log = False
            why = "it is too long" if reply.is_good else f"{self._api.name} answered {reply.status}"
            await self._context.log(f"the log of the run is not copied any further: {why}", LogLevel.WARN)

    async def cancel(self, run: Run) -> str:
        """Have a run cancelled and return the state at its end, `gone` where vRO has it no more; raises VroError and CredentialError."""
        for pause in self._pauses.growing():
            content = await self._look(run)
            if content is None or _state(content) in ENDED:
                return "gone" if content is None else _state(content)
            reply = await self._api.ask("DELETE", f"{run.place}/state")
            if reply.status >= _BAD_REQUEST:
                content = await self._look(run)
                if content is not None and _state(content) not in ENDED:
                    raise VroError(
                        ErrorCode.UNEXPECTED_STATUS, f"{self._api.name} answered {reply.status} when {run.told} was to be cancelled"
                    )
            await asyncio.sleep(pause)
        raise AssertionError("the pauses never end")


class _Trouble:
    """What keeps a run from being seen, and since when."""

    def __init__(self, context: StepContext, run: Run, lost_seconds: float) -> None:
        self._context = context
        self._run = run
        self._lost_seconds = lost_seconds
        self._since: float | None = None
        self._was_gone = False

    def is_over(self) -> None:
        """Take note that the run is seen."""
        self._since, self._was_gone = None, False

    async def is_gone(self) -> None:
        """Take note that vRO does not know the run; the second time in a row is believed."""
        if self._was_gone:
            message = f"{self._run.told} is gone from vRO, or its user may not see it any more; what became of it is not known"
            raise DoubtError(ErrorCode.RUN_GONE, message)
        self._was_gone = True

    async def met(self, code: ErrorCode, message: str) -> None:
        """Take note of an answer that did not come; raises DoubtError where that has lasted too long."""
        now = asyncio.get_running_loop().time()
        if self._since is None:
            self._since = now
            await self._context.log(f"{message}; {self._run.told} goes on there, and is asked for again", LogLevel.WARN)
        elif now - self._since >= self._lost_seconds:
            told = f"{self._run.told} could not be seen for {self._lost_seconds:g} seconds and may go on there"
            raise DoubtError(code, f"{told}: {message}")


def _id_of(reply: Reply) -> str | None:
    """Return the id of the run that was begun, from the Location or the body."""
    last = urlsplit(reply.location).path.rstrip("/").rpartition("/")[2] if "/executions/" in reply.location else ""
    if last:
        return unquote(last)
    with suppress(VroError):
        content = reply.content
        begun = content.get("id") if isinstance(content, dict) else None
        return begun if isinstance(begun, str) else None
    return None


def _state(content: Mapping[str, Any]) -> str:
    return str(content.get("state")).lower()


def _began(attributes: Mapping[str, str]) -> str:
    return attributes.get("startDate", "")


def _without_domain(name: str) -> str:
    return name.rpartition("\\")[2].partition("@")[0].casefold()
