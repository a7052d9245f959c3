"""One attempt in a cluster as a list of verbs: clear what earlier ones left, make, follow, judge, remove. Called by `kubernetes`.

What is told apart everywhere: before the Secret is there the script cannot begin, so whatever goes wrong until then has failed for certain.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeVar

from stepswitch.plugin import ErrorCode, LogLevel, Outcome, Result, StepContext, StepError, TargetError, failed, unknown
from stepswitch.steps.kubernetes_api import Api, ApiError, LinkError, Patience
from stepswitch.steps.kubernetes_cluster import Target
from stepswitch.steps.kubernetes_inputs import Kind, Request
from stepswitch.steps.kubernetes_log import Handed, LogReader, follow_log
from stepswitch.steps.kubernetes_objects import Made, runnable, secret
from stepswitch.steps.kubernetes_pod import Pod, Why, refused
from stepswitch.steps.kubernetes_removal import Removed, remove
from stepswitch.steps.kubernetes_times import Times
from stepswitch.steps.kubernetes_verdict import Heard, concluded
from stepswitch.steps.kubernetes_watch import PodWatch
from stepswitch.steps.output import Output

_T = TypeVar("_T")
_FIRST_SECONDS: Final = 10.0
"""How long a cluster that is too busy is asked again before anything was sent."""


class _NotMadeError(Exception):
    """Something was not made, or nobody knows. `may_begin`: the script may begin all the same."""

    def __init__(self, error: ApiError | LinkError, *, may_begin: bool) -> None:
        super().__init__(str(error))
        self.error = error
        self.may_begin = may_begin


class Run:
    """One attempt. `made` says how everything is called that it makes."""

    def __init__(self, api: Api, target: Target, made: Made, *, request: Request, context: StepContext, times: Times) -> None:
        self._api = api
        self._target = target
        self._request = request
        self._made = made
        self._context = context
        self._times = times
        self._patience = Patience(times.patience, times.pauses)
        self._output = Output(context, LogLevel.INFO, encoding="utf-8", limit_bytes=context.output_limit_bytes)
        self._pod: Pod | None = None
        self._may_begin = False

    async def carry_out(self) -> Outcome:
        """Run the script, and return what it came to when nothing is left of it, or when that could not be done."""
        try:
            await self._clear_earlier()
        except (ApiError, LinkError, TimeoutError) as error:
            return self._not_begun(error)
        self._context.mark_sent()
        try:
            outcome = await self._carried_out()
        except BaseException:
            await self._leave()
            raise
        return await self._removed(outcome)

    async def _clear_earlier(self) -> None:
        """Remove what an earlier attempt of the execution has left: only one of them may act."""
        patience = replace(self._patience, seconds=min(self._patience.seconds, _FIRST_SECONDS), reconnects=False)
        async with asyncio.timeout(self._times.removal):
            removed = await remove(self._api, self._target, self._made.earlier, self._request.kind, secret=None, patience=patience)
        for name in removed.names:
            await self._context.log(f"removed {name}, which an earlier attempt had left", LogLevel.WARN)

    def _not_begun(self, error: ApiError | LinkError | TimeoutError) -> Outcome:
        if isinstance(error, TimeoutError):
            message = "nothing was sent: what an earlier attempt of this execution has left in the cluster does not let itself be removed"
            return failed(ErrorCode.CLEANUP_PENDING, message)
        why = refused(error, "nothing was sent") if isinstance(error, ApiError) else Why(error.code, f"nothing was sent: {error}")
        return failed(why.code, why.message)

    async def _carried_out(self) -> Outcome:
        try:
            await self._make_runnable()
        except _NotMadeError as error:
            return self._not_made(error)
        try:
            return await self._followed()
        except LinkError as error:
            return self._out_of_sight(Why(error.code, str(error)))
        except ApiError as error:
            return self._out_of_sight(refused(error, "the pod can no longer be watched"))

    async def _make_runnable(self) -> None:
        """Make the pod or the job, and then the Secret without which it does not begin; raises _NotMadeError."""
        manifest = runnable(self._request, self._made, self._context.output_limit_bytes)
        target, name = self._target, self._made.name
        path = target.jobs if self._request.kind is Kind.JOB else target.pods
        try:
            there = await self._api.create(path, manifest, self._patience)
            if there is None:
                there = await self._patience.insist(lambda: self._api.get(f"{path}/{name}"))
        except (ApiError, LinkError) as error:
            raise _NotMadeError(error, may_begin=False) from None
        uid = str((there.get("metadata") or {}).get("uid") or "")
        await self._context.log(f"made the {self._request.kind} {name} in the namespace {target.namespace} of {target.location}")
        self._may_begin = True
        try:
            await self._api.create(target.secrets, secret(self._request, self._made, manifest, uid), self._patience)
        except (ApiError, LinkError) as error:
            raise _NotMadeError(error, may_begin=error.may_be_made) from None

    def _not_made(self, error: "_NotMadeError") -> Outcome:
        """Return what it comes to that something was not made. A Secret of which nobody knows may be there, and then the script has begun."""
        what = f"the {self._request.kind} " + ("was given its Secret, or was not" if error.may_begin else "did not begin")
        why = refused(error.error, what) if isinstance(error.error, ApiError) else Why(error.error.code, f"{what}: {error.error}")
        return unknown(why.code, why.message) if error.may_begin else failed(why.code, why.message)

    async def _followed(self) -> Outcome:
        """Watch the pod, read its log, and return what it came to; raises ApiError and LinkError where it cannot be watched."""
        watch = PodWatch(self._api, self._target.pods, self._made.selector, self._patience)
        keeping = asyncio.create_task(watch.keep())
        try:
            why = await self._begun(watch, keeping)
            if why is not None:
                return failed(why.code, why.message)
            pod = self._known(watch)
            return await self._heard_out(pod, watch, keeping) if pod.has_begun else self._concluded(pod, self._heard(), 0)
        except (ApiError, LinkError) as error:
            raise error.with_traceback(None) from None
        finally:
            self._pod = watch.pod
            await _stopped(keeping)
            del keeping  # it holds the error, and the error by its trace this call: all of it would wait for the collector

    async def _begun(self, watch: PodWatch, keeping: "asyncio.Task[None]") -> Why | None:
        """Return as soon as the script has begun or the pod is over; or why it does not begin."""
        clock = asyncio.get_running_loop().time
        since, refused_since, said = clock(), None, ""
        while True:
            pod = await _beside(keeping, watch.until(partial(_has_news, said), self._times.look))
            if pod is not None and (pod.has_begun or pod.is_over):
                return None
            why = None if pod is None else pod.never_begins
            if why is not None and why.code is ErrorCode.IMAGE_NOT_PULLED:
                return why
            refused_since = None if why is None else refused_since or clock()
            if why is not None and refused_since is not None and clock() - refused_since > self._times.refusal:
                return why
            if pod is None or pod.node is None:
                why = await self._not_scheduled(pod, clock() - since)
                if why is not None:
                    return why
            told = _waits_for(pod)
            if told and told != said:
                await self._context.log(f"the pod waits: {told}", LogLevel.WARN)
            said = told

    async def _not_scheduled(self, pod: Pod | None, seconds: float) -> Why | None:
        """Return why no node takes the pod, where that has lasted too long; of a job, why it makes none."""
        if pod is None and self._request.kind is Kind.JOB:
            why = await self._trouble_of_job()
            if why is not None:
                return why
        if seconds < self._times.schedule:
            return None
        told = (pod.unschedulable if pod is not None else None) or "the cluster gives no reason"
        return Why(ErrorCode.NOT_SCHEDULED, f"no node has taken the pod within {self._times.schedule:g} seconds: {told}")

    async def _trouble_of_job(self) -> Why | None:
        """Return why a job makes no pod, as its events say; who may not read events waits until time is over."""
        query = {"fieldSelector": f"involvedObject.kind=Job,involvedObject.name={self._made.name},reason=FailedCreate"}
        with suppress(ApiError, LinkError):
            for event in (await self._api.get(self._target.events, **query)).get("items") or []:
                return refused(ApiError(403, str(event.get("message") or "no reason is given")), "the job makes no pod")
        return None

    async def _heard_out(self, pod: Pod, watch: PodWatch, keeping: "asyncio.Task[None]") -> Outcome:
        """Follow the log until the pod is over and all of it was read."""
        await self._context.log(f"the pod {pod.name} runs on the node {pod.node}")
        reader = LogReader(self._output, self._made.mark)
        reading = asyncio.create_task(
            follow_log(self._api, self._target.pods, pod.name, reader, is_over=watch.is_over, pauses=self._patience.pauses)
        )
        try:
            await _beside(keeping, watch.is_over.wait())
            await asyncio.wait([reading], timeout=0.0 if self._known(watch).is_lost else self._times.drain)
        finally:
            await _stopped(reading)
        fault = _fault_of(reading)
        await reader.finish()
        return self._concluded(self._known(watch), self._heard(reader.handed, fault), self._context.output_limit_bytes)

    def _concluded(self, pod: Pod, heard: Heard, limit_bytes: int) -> Outcome:
        return concluded(pod, heard, limit_bytes, self._target.location)

    def _known(self, watch: PodWatch) -> Pod:
        if watch.pod is None:
            raise AssertionError("a pod that has begun, or is over, is known")
        return watch.pod

    def _heard(self, handed: Handed | None = None, fault: Why | None = None) -> Heard:
        return Heard(self._output, handed or Handed(), fault)

    def _out_of_sight(self, why: Why) -> Outcome:
        """Return what it comes to that a cluster cannot be asked any more while the script may go on."""
        message = f"{why.message}; the {self._request.kind} {self._made.name} was made, and nobody knows what became of it"
        return self._heard().outcome(Result.UNKNOWN, Why(why.code, message))

    async def _removed(self, outcome: Outcome) -> Outcome:
        """Return the outcome after what was made is gone. A script that had not begun may do so until then, and nobody knows how far it comes."""
        doubt = ""
        try:
            async with asyncio.timeout(self._times.removal):
                if (await self.remove()).has_begun:
                    doubt = "it began all the same, and was ended"
        except (ApiError, LinkError, TimeoutError):
            self._context.leave_behind()
            await self._tell_left()
            doubt = f"{self._made.name} may be left, and may yet begin"
        error = outcome.error
        if not doubt or error is None or outcome.result is Result.UNKNOWN or self._has_ended or not self._may_begin:
            return outcome
        return replace(outcome, result=Result.UNKNOWN, error=StepError(error.code, f"{error.message}; {doubt}"))

    @property
    def _has_ended(self) -> bool:
        return self._pod is not None and self._pod.is_over

    async def remove(self) -> Removed:
        """Remove what the attempt has made, and return when it is gone; raises ApiError and LinkError."""
        return await remove(
            self._api, self._target, self._made.selector, self._request.kind, secret=self._made.name, patience=self._patience
        )

    async def _leave(self) -> None:
        """Remove what an attempt that is stopped has made, as far as that is quick; say what is left."""
        try:
            await asyncio.wait_for(self.remove(), self._times.last)  # in a task of its own: this one is being cancelled
        except (ApiError, LinkError, TimeoutError):
            with suppress(TimeoutError, TargetError):
                await asyncio.wait_for(self._tell_left(), self._times.last / 5)

    async def _tell_left(self) -> None:
        await self._context.log(f"{self._made.name} may be left in the namespace {self._target.namespace}", LogLevel.WARN)


def _has_news(said: str, pod: Pod | None) -> bool:
    if pod is None:
        return False
    why = pod.never_begins
    has_no_image = why is not None and why.code is ErrorCode.IMAGE_NOT_PULLED
    return pod.has_begun or pod.is_over or has_no_image or _waits_for(pod) != said


def _waits_for(pod: Pod | None) -> str:
    return "" if pod is None else pod.waiting_message or (pod.unschedulable or "" if pod.node is None else "")


async def _beside(keeping: "asyncio.Task[None]", waiting: Coroutine[Any, Any, _T]) -> _T:
    """Return what `waiting` returns; raises what ends the watch before."""
    task = asyncio.create_task(waiting)
    try:
        await asyncio.wait({keeping, task}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            keeping.result()
        return await task
    finally:
        await _stopped(task)


async def _stopped(task: "asyncio.Task[Any]") -> None:
    """Return when a task has ended, which is cancelled for that; what it raised is looked at by others."""
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()


def _fault_of(reading: "asyncio.Task[None]") -> Why | None:
    """Return why a log could not be read; raises what is no fault of a cluster."""
    error = None if reading.cancelled() else reading.exception()
    if isinstance(error, ApiError):
        return refused(error, "its log cannot be read")
    if error is not None:
        raise error
    return Why(ErrorCode.TIMEOUT, "its log did not come in time") if reading.cancelled() else None
