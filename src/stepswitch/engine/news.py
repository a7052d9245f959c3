"""What followers of executions are told, and how it is made of what was committed: in the order of commits, every secret masked. Used by `feed`."""

import asyncio
from dataclasses import dataclass, replace
from typing import Final

from stepswitch.domain.execution import ENDED, Head, LogEntry, StepError, StepExecution
from stepswitch.engine.budget import Kept, size_of_head
from stepswitch.engine.callers import Caller
from stepswitch.engine.commits import Commit, Position
from stepswitch.engine.conductor import Conductor
from stepswitch.engine.confidential import Mask
from stepswitch.engine.known_secrets import KnownSecrets
from stepswitch.engine.ports import ExecutionStore, Secrets
from stepswitch.engine.records import Committed
from stepswitch.engine.snapshots import Compiled, Snapshots
from stepswitch.engine.views import Views, waiting_for_somebody
from stepswitch.engine.waiting import WaitingFor, as_seen_by

HEADS_KEPT_BYTES: Final = 8 * 1024 * 1024
SECRETS_KEPT_BYTES: Final = 4 * 1024 * 1024
_STEPS_KEPT_BYTES: Final = 2 * 1024
"""About what is kept of the secrets of one execution."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How an execution stood after a commit; of `head` only what an `Outline` has, and what never changes, is of then."""

    head: Head
    waiting_for: tuple[WaitingFor, ...] = ()
    """With whoever holds it up, whoever follows: what each of them is told is what `as_seen_by` returns."""

    @property
    def has_holder(self) -> bool:
        """Whether it says which execution holds this one up."""
        return any(each.holder is not None for each in self.waiting_for)

    def as_seen_by(self, caller: Caller) -> "Standing":
        """Return what somebody is told of it."""
        return replace(self, waiting_for=as_seen_by(caller, self.waiting_for)) if self.has_holder else self


@dataclass(frozen=True, slots=True)
class Removed:
    """That an execution is no longer there."""


News = Standing | StepExecution | LogEntry | Removed


@dataclass(frozen=True, slots=True)
class Happened:
    """What one commit made known, in the order in which it is told; `size` is about how many bytes it takes. It says whose the execution is.

    `has_ended`: whether the execution was over then; None where the commit does not say.
    """

    position: Position
    tenant: str
    execution_id: str
    creation_user: str
    workflow_name: str
    news: tuple[News, ...]
    size: int
    has_ended: bool | None = None

    @property
    def has_holder(self) -> bool:
        """Whether it says which execution holds this one up."""
        return any(isinstance(each, Standing) and each.has_holder for each in self.news)

    def as_seen_by(self, caller: Caller) -> "Happened":
        """Return what somebody is told of it who may see this execution."""
        if not self.has_holder:
            return self
        return replace(self, news=tuple(each.as_seen_by(caller) if isinstance(each, Standing) else each for each in self.news))


class Newsroom:
    """Makes news of commits. Keeps the heads and the secrets that it will need again soon."""

    def __init__(self, *, store: ExecutionStore, snapshots: Snapshots, conductor: Conductor, views: Views, secrets: Secrets) -> None:
        self._store = store
        self._snapshots = snapshots
        self._conductor = conductor
        self._views = views
        self._secrets = secrets
        self.clear()

    def clear(self) -> None:
        """Keep nothing any more: nobody follows."""
        self._heads: Kept[str, Head] = Kept(HEADS_KEPT_BYTES)
        self._known: Kept[str, tuple[KnownSecrets, asyncio.Lock]] = Kept(SECRETS_KEPT_BYTES)

    def note(self, change: Committed) -> None:
        """Keep a head that was committed: the commit is read soon, and the execution may not be at hand any more then."""
        if change.head is not None:
            self._heads.put(change.execution_id, change.head, size_of_head(change.head))

    async def standing(self, head: Head) -> Standing:
        """Return how an execution stands now."""
        compiled = await self._snapshots.get(head.snapshot_id)
        return await self._standing(head, compiled, await self._mask(head, is_edited=True))

    async def happened(self, commit: Commit, size: int) -> Happened | None:
        """Return what is told of a commit; None where the execution was removed since, which a later commit says."""
        if commit.is_gone:
            return _happened(commit, commit, (Removed(),), size, has_ended=True)
        head = await self._head(commit)
        if head is None:
            return None
        mask = await self._mask(head, is_edited=commit.is_edited)
        outline = commit.outline
        if outline is None:
            return _happened(commit, head, tuple(map(mask.entry, commit.logs)), size)
        steps = commit.steps if outline.current is None else (*commit.steps, outline.current)
        news: list[News] = [*(_without_secrets(step, mask) for step in steps), *map(mask.entry, commit.logs)]
        then = outline.of(head, commit.time)
        compiled = await self._snapshots.get(head.snapshot_id)
        standing = await self._standing(then, compiled, mask, is_newest=outline.version == head.version)
        news.insert(0 if outline.version == 1 else len(news), standing)
        return _happened(commit, head, tuple(news), size, has_ended=outline.status in ENDED)

    async def _standing(self, head: Head, compiled: Compiled, mask: Mask, *, is_newest: bool = True) -> Standing:
        if is_newest:
            holders = await self._views.all_holders([head])
            waiting_for = self._views.waiting_for(head, compiled, holders.get(head.id))
        else:
            waiting_for = waiting_for_somebody(head)
        return Standing(head, tuple(replace(each, name=mask.text(each.name)) for each in waiting_for))

    async def _head(self, commit: Commit) -> Head | None:
        """Return a head that is as new as a commit or newer, so that it knows every secret that is in there."""
        version = 0 if commit.outline is None else commit.outline.version
        head = self._heads.get(commit.execution_id)
        if head is None or head.version < version:
            head = await self._conductor.head(commit.execution_id)
        if head is not None and head.version < version:
            head = await self._store.load(commit.execution_id)
        if head is not None:
            self._heads.put(head.id, head, size_of_head(head))
        return head

    async def _mask(self, head: Head, *, is_edited: bool) -> Mask:
        """Return what masks the secrets of an execution, those too that only earlier steps were given."""
        compiled = await self._snapshots.get(head.snapshot_id)
        if not is_edited and not compiled.is_confidential:
            return Mask(self._secrets, head, [compiled])
        found = self._known.get(head.id)
        if found is None:
            found = KnownSecrets(self._store, self._snapshots, self._secrets), asyncio.Lock()
            self._known.put(head.id, found, _STEPS_KEPT_BYTES)
        known, alone = found
        async with alone:  # it goes on from the step that it read last
            return await known.mask(head)


def _happened(commit: Commit, of: Commit | Head, news: tuple[News, ...], size: int, *, has_ended: bool | None = None) -> Happened:
    return Happened(
        position=Position(commit.place, commit.time),
        tenant=commit.tenant,
        execution_id=commit.execution_id,
        creation_user=of.creation_user,
        workflow_name=of.workflow_name,
        news=news,
        size=size,
        has_ended=has_ended,
    )


def _without_secrets(step: StepExecution, mask: Mask) -> StepExecution:
    probe = step.probe
    if probe is not None:
        probe = replace(probe, error=_masked(probe.error, mask))
    return replace(step, error=_masked(step.error, mask), probe=probe)


def _masked(error: StepError | None, mask: Mask) -> StepError | None:
    return None if error is None else replace(error, message=mask.text(error.message))
