"""What a worker asks for and hands back: a claim before anything is sent, signs of life, log lines, a report. Called by `worker`.

A delivery by itself proves nothing: whoever holds the stored claim carries out the step, and nobody else. A step that is safe by
its type (JS) begins without one: running it twice harms nobody, and that saves a commit where it ends soon. Where it does not, its
claim is stored late (docs/decisions/0006). It is stored first where the step may be what ended the service, so that its losses count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from stepswitch.domain.bindings import probe_bindings
from stepswitch.domain.decide import is_for_worker, time_limit_seconds
from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.events import Claimed, CleanedUp, GivenBack, Reply, Reported, Task, TaskKind
from stepswitch.domain.execution import Head, LogEntry, Outcome, Probe, StepExecution, Values
from stepswitch.domain.rules import Rules
from stepswitch.domain.secrecy import password_outputs
from stepswitch.domain.values import ValueType
from stepswitch.engine.conductor import Conductor, was_granted
from stepswitch.engine.confidential import Mask
from stepswitch.engine.crash_points import CrashPoint, reach
from stepswitch.engine.credential_use import Need, designer_of, need_of
from stepswitch.engine.device_limits import DeviceLimits
from stepswitch.engine.inventory_ports import NO_INVENTORY
from stepswitch.engine.leftovers import step_of
from stepswitch.engine.ports import Clock, ExecutionStore, Ids, Observer, Secrets
from stepswitch.engine.records import Committed
from stepswitch.engine.snapshots import Compiled, Snapshots
from stepswitch.engine.views import behind


@dataclass(frozen=True, slots=True)
class Grant:
    """The right to carry out one attempt, or one look of a probe, with all that it needs. `nonce` is None as long as no claim was asked for."""

    task: Task
    tenant: str
    step_type: str
    nonce: str | None
    inputs: Values
    declared_inputs: tuple[str, ...]
    file_inputs: frozenset[str]
    password_outputs: frozenset[str]
    attachments: Mapping[str, str]
    fixed_files: frozenset[str]
    """The keys of those of its files that belong to the workflow: no step may put another in their place."""
    time_limit_seconds: float
    safe: bool
    """Whether running it again can harm nobody, so that a time limit that passed is FAILED and not UNKNOWN."""
    mask: Mask
    is_confidential: bool
    started: int
    need: Need | None = None
    """Credentials that are to be opened before anything is done; None where nothing is, and it acts on nothing."""


class Claims:
    """The worker's side of the conductor."""

    def __init__(
        self,
        limits: DeviceLimits | None = None,
        *,
        conductor: Conductor,
        store: ExecutionStore,
        snapshots: Snapshots,
        rules: Rules,
        secrets: Secrets,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._conductor = conductor
        self._store = store
        self._snapshots = snapshots
        self._rules = rules
        self._limits = limits or DeviceLimits(NO_INVENTORY, rules.types)
        self._secrets = secrets
        self._clock = clock
        self._ids = ids
        self._began = clock.now()
        self._observers: list[Observer] = []
        self._refused: float | None = None

    def observe(self, observer: Observer) -> None:
        """Tell `observer` of every batch of log lines from now on."""
        self._observers.append(observer)

    async def claim(self, task: Task, instance: str, nonce: str | None = None) -> Grant | Reply:
        """Return the right to carry out `task`, stored; or BUSY (somebody else does) or STALE (forget it).

        Who asks again because the store said no gives the same `nonce` again: a claim that was stored all the same is then its own.
        """
        if self._may_begin_unclaimed(task):
            open_ = await self._open(task)
            if open_ is not None:
                return open_
        nonce = nonce or self._ids.new()
        seconds = await self._limits.attempt_seconds(await self._conductor.head(task.execution_id), task.step_type)
        event = Claimed(
            f"claim:{nonce}", task.number, task.attempt, nonce, instance, task.epoch, task.look, task.has_waited, device_seconds=seconds
        )
        decision = await self._conductor.apply(task.execution_id, event)
        if not was_granted(decision):
            return decision.reply
        return self._grant(task, decision.head, await self._snapshots.get(decision.head.snapshot_id), nonce, device_seconds=seconds)

    async def claim_late(self, grant: Grant, instance: str) -> Grant | Reply:
        """Store the claim of an attempt that has begun without one, by the nonce of `grant`; return as `claim` does."""
        task = grant.task
        if grant.nonce is None:
            raise AssertionError("a late claim has its nonce before it is asked for")
        event = Claimed(
            f"claim:{grant.nonce}", task.number, task.attempt, grant.nonce, instance, task.epoch,
            has_waited=True, since=task.since, started=grant.started,
        )  # fmt: skip
        decision = await self._conductor.apply(task.execution_id, event)
        return grant if was_granted(decision) else decision.reply

    def _may_begin_unclaimed(self, task: Task) -> bool:
        """Whether a step is safe by its type, and did not wait already when this process began: such a one may have ended the last."""
        signature = self._rules.types.find(task.step_type)
        return signature is not None and signature.always_safe and not task.look and task.since >= self._began

    async def _open(self, task: Task) -> Grant | Reply | None:
        """Return the right to begin without a claim; None where the step was lost before, so that a claim comes first."""
        head = await self._conductor.head(task.execution_id)
        if head is None:
            return Reply.STALE
        if head.current is not None and head.current.losses:
            return None
        compiled = await self._snapshots.get(head.snapshot_id)
        if not is_for_worker(head, task, compiled.workflow, self._rules, self._clock.now()):
            return Reply.STALE
        return self._grant(task, head, compiled, None)

    async def errand(self, execution_id: str, nonce: str) -> Grant | Reply:
        """Return what is needed to remove what the attempt under a claim has left at its target; STALE where nobody waits for that any more."""
        head = await self._conductor.head(execution_id)
        left = None if head is None else next((each for each in head.left_behind if each.nonce == nonce), None)
        step = None if head is None or left is None else await step_of(self._store, head, left.number)
        if head is None or left is None or step is None:
            return Reply.STALE
        compiled = await self._snapshots.get(step.snapshot_id)
        work = step.probe if left.look and step.probe is not None else step
        task = Task(
            execution_id, step.number, step.attempt, TaskKind.STEP, step.since,
            device=work.device, epoch=left.epoch, look=left.look, tenant=head.tenant,
        )  # fmt: skip
        return self._grant(task, head, compiled, nonce, step)

    def _grant(
        self,
        task: Task,
        head: Head,
        compiled: Compiled,
        nonce: str | None,
        of: StepExecution | None = None,
        *,
        device_seconds: float | None = None,
    ) -> Grant:
        """Return the right to carry out the current step, or to run the errand of another one."""
        current = of or head.current
        if current is None:
            raise AssertionError("a granted claim has a step execution")
        step = compiled.workflow.steps[current.step_id]
        signature = self._rules.types.find(step.type)
        work = current.work if of is None else (current.probe or current) if task.look else current
        said = step.policy.safe_to_rerun
        is_safe = bool(said) if signature is None else signature.is_safe(work.inputs, said=said)
        bindings = probe_bindings(step, signature) if task.look and signature is not None else step.in_bindings
        return Grant(
            task=replace(task, since=work.since),
            tenant=head.tenant,
            step_type=step.type,
            nonce=nonce,
            inputs=work.inputs,
            declared_inputs=tuple(binding.name for binding in bindings),
            file_inputs=frozenset(binding.name for binding in bindings if binding.type is ValueType.FILE),
            password_outputs=password_outputs(step),
            attachments=head.attachments,
            fixed_files=frozenset(compiled.workflow.attachments),
            time_limit_seconds=time_limit_seconds(
                compiled.workflow, self._rules.types, step.id, is_look=task.look > 0, device_seconds=device_seconds
            ),
            safe=is_safe or task.look > 0,
            mask=Mask(self._secrets, head, [compiled], [] if of is None else [(of, compiled)]),
            is_confidential=head.is_confidential,
            started=self._clock.now(),
            need=need_of(head, current, work.inputs, signature, designer_of(compiled.snapshot)),
        )

    async def report(self, grant: Grant, outcome: Outcome, *, is_left_behind: bool = False) -> Reply:
        """Hand in what an attempt came to, and whether its session may still be open. STORED means that it is on disk, or was before; STALE that nothing follows from it."""
        task = grant.task
        if await self._is_behind(grant):
            return Reply.STORED
        event_id = f"report:{grant.nonce or f'{task.number}.{task.attempt}.{grant.started}'}"
        event = Reported(
            event_id, task.number, task.attempt, grant.nonce, outcome, grant.started, task.since, task.epoch, task.look, is_left_behind
        )
        return (await self._conductor.apply(task.execution_id, event)).reply

    async def give_back(self, task: Task, nonce: str) -> Reply:
        """Let go of a claim, stored or still on its way, under which nothing was sent nor will be. STALE where somebody has decided otherwise."""
        event = GivenBack(GivenBack.id_of(nonce), task.number, task.attempt, nonce, task.epoch, task.look)
        return (await self._conductor.apply(task.execution_id, event)).reply

    async def _is_behind(self, grant: Grant) -> bool:
        """Return whether an attempt was reported long ago, so that its report is a repeat: its row says so, which no decision reads."""
        task = grant.task
        head = await self._conductor.head(task.execution_id)
        if grant.nonce is None or head is None or head.epoch != task.epoch or task.number >= behind(head):
            return False
        rows = await self._store.steps(task.execution_id, task.number, 1)
        return any(_was_reported(row.probe if task.look else row, grant.nonce) for row in rows if not row.aborted)

    async def log(self, execution_id: str, entries: Sequence[LogEntry], *, again: bool = False, is_confidential: bool = False) -> None:
        """Store log lines of a running step, masked before they come here; `again` where an earlier try at them was in doubt."""
        reach(CrashPoint.LOG_UNSAVED)
        await self._store.append_logs(execution_id, entries, again=again, is_confidential=is_confidential)
        reach(CrashPoint.LOG_SAVED)
        for observer in self._observers:
            observer.committed(Committed(execution_id, logs=tuple(entries)))

    async def sign(self, nonces: Sequence[str]) -> Sequence[str]:
        """Give a sign of life for these claims; return those that are still stored."""
        reach(CrashPoint.SIGN_UNSAVED)
        try:
            signed = await self._store.sign(nonces, self._clock.now())
        except BaseException:  # also where whoever asked has waited long enough for an answer
            self._refused = self._clock.monotonic()
            raise
        reach(CrashPoint.SIGN_SAVED)
        return signed

    def has_refused_within(self, seconds: float) -> bool:
        """Return whether a sign of life was given so short a time ago that the store did not take: until its giver was heard again, silence proves nothing."""
        return self._refused is not None and self._clock.monotonic() - self._refused < seconds

    async def cleaned_up(self, execution_id: str, nonce: str) -> None:
        """Confirm that whoever held this claim has left nothing at the target."""
        await self._conductor.apply(execution_id, CleanedUp(f"cleaned:{nonce}", nonce))


def _was_reported(work: StepExecution | Probe | None, nonce: str) -> bool:
    """Return whether whoever held this claim said how it ended, rather than that others gave it up, or a probe found out."""
    if work is None or work.claim is None or work.claim.nonce != nonce:
        return False
    if isinstance(work, Probe):
        return work.verdict is not None
    if work.probe is not None:
        return False
    return work.error is None or work.error.code not in (ErrorCode.LOST, ErrorCode.RESTORED)
