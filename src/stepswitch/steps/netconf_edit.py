"""One change of a device's configuration, or the rehearsal of one: lock, edit, commit, proof, confirmation. Called by `netconf`, imported when first used.

Until `mark_sent` nothing that counts can have changed: what is in the candidate goes when its lock goes, at the latest with the session.
Whatever happens, a change that waits for its confirmation is taken back, the candidate discarded, and the lock let go of.
"""

import asyncio
from contextlib import suppress
from copy import deepcopy
from typing import Final

from stepswitch.plugin import ErrorCode, LogLevel, Outcome, Result, StepContext, StepError, Value
from stepswitch.steps.netconf_difference import difference
from stepswitch.steps.netconf_inputs import Datastore, Request
from stepswitch.steps.netconf_proof import Comparison, Proof, marks_of
from stepswitch.steps.netconf_session import NetconfSession, Reply, RpcError, SessionError
from stepswitch.steps.netconf_xml import Element, element, told, tops_filter, with_defaults

TIDY_SECONDS: Final = 2.0
"""How long a device may take to discard and unlock before it is left: its session is closed then, which does the same."""
_CONFIRMING_SECONDS: Final = 2.0
"""What is kept of the time for a confirmation itself, so that it arrives before the device's own timer."""
_READ_BACK: Final = "be read back"
_CONFIRM: Final = "let the change be confirmed"
_SAVE: Final = "save its configuration"
_SHOWN_FAULTS: Final = 5
_SHOWN_LINES: Final = 500


class NotMadeError(Exception):
    """The change is not made, or not as it was meant, and that is certain."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class Edit:
    """Carries out a request on an open session. `server` is what sentences call the device."""

    def __init__(
        self, session: NetconfSession, request: Request, config: Element, context: StepContext, server: str, *, poll_seconds: float
    ) -> None:
        self._session = session
        self._request = request
        self._config = config
        self._context = context
        self._server = server
        self._poll_seconds = poll_seconds
        self._datastore = request.datastore or (Datastore.CANDIDATE if session.can("candidate") else Datastore.RUNNING)
        self._doing = ""
        self._may_be_locked = False
        self._is_edited = False
        self._was_sent = False
        self._awaits_confirmation = False
        self._reply: Reply | None = None
        self._difference: str | None = None

    async def carry_out(self) -> Outcome:
        """Return what came of it. Cancelled, it takes back what it can before it lets go."""
        result, error = Result.SUCCEEDED, None
        try:
            self._check_offers()
            await self._lock()
            await (self._rehearse() if self._request.dry_run else self._change())
            if self._request.saves:
                await self._save()
        except NotMadeError as fault:
            result, error = Result.FAILED, StepError(fault.code, str(fault))
        except RpcError as refusal:
            result, error = await self._refused(refusal)
        except SessionError as broken:
            result, error = self._broken(broken)
        finally:
            await self._tidy()
        return self._outcome(result, error)

    # --- the way ---

    def _check_offers(self) -> None:
        """Raise NotMadeError where the device does not offer what is wanted."""
        session, wants = self._session, self._request
        is_candidate = self._datastore is Datastore.CANDIDATE
        why = None
        if not session.can("candidate") and (is_candidate or wants.dry_run or wants.confirmed_seconds is not None):
            why = "has no candidate configuration, which this step needs"
        elif wants.confirmed_seconds is not None and not session.can("confirmed-commit"):
            why = "does not offer to take a change back by itself (confirmed commit)"
        elif not is_candidate and not session.can("writable-running"):
            why = "does not let its running configuration be edited"
        elif wants.saves and not session.can("startup"):
            why = "has no startup configuration of its own, so that nothing has to be saved: leave 'saveToStartup' out"
        if why is not None:
            raise NotMadeError(ErrorCode.NOT_OFFERED, f"{self._server} {why}")

    async def _lock(self) -> None:
        """Take the lock, waiting for whoever has it."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._request.lock_seconds
        is_told = False
        while True:
            self._may_be_locked = True
            try:
                await self._ask("give us its lock", element("lock", element("target", element(self._datastore))))
                break
            except RpcError as error:
                if not error.has("lock-denied", "in-use"):
                    raise
                self._may_be_locked = False
                holder = _holder(error)
            if loop.time() >= until:
                message = f"the lock on the {self._datastore} of {self._server} is held by {holder}, for {self._request.lock_seconds:g} seconds now"
                raise NotMadeError(ErrorCode.LOCKED, message)
            if not is_told:
                await self._context.log(f"waits for the lock on the {self._datastore} of {self._server}, which is held by {holder}")
                is_told = True
            await asyncio.sleep(min(self._poll_seconds, max(0.0, until - loop.time())))
        if self._datastore is Datastore.CANDIDATE:
            # Some give the lock although somebody has edited without one: that must not be committed with ours.
            await self._ask("discard what is in its candidate", element("discard-changes"))

    async def _change(self) -> None:
        before = await self._read(Datastore.RUNNING) if marks_of(self._config) & {"replace", "delete", "remove"} else None
        seconds = self._request.confirmed_seconds
        until: float | None = None
        if self._datastore is Datastore.RUNNING:
            self._mark_sent()
            await self._edit()
        else:
            await self._edit()
            self._mark_sent()
            if seconds is not None:
                until = asyncio.get_running_loop().time() + seconds - min(_CONFIRMING_SECONDS, seconds / 5)
            await self._commit(seconds)
        fault = None
        try:
            async with asyncio.timeout_at(until):
                fault = await self._unproven(before)
        except TimeoutError:
            fault = NotMadeError(ErrorCode.TIMEOUT, f"the change of {self._server} was not proven within {seconds:g} seconds")
        if fault is not None:
            raise NotMadeError(fault.code, f"{fault}{await self._taken_back()}")
        if self._awaits_confirmation:
            self._reply = await self._ask(_CONFIRM, element("commit"))
            self._awaits_confirmation = False
        self._is_edited = False
        await self._context.log(f"{self._server} has what was sent: the edited part was read back and compared", LogLevel.DEBUG)

    async def _save(self) -> None:
        """Have the change outlive a restart, and all else that is in the running configuration by now."""
        copy = element("copy-config", element("target", element("startup")), element("source", element("running")))
        self._reply = await self._ask(_SAVE, copy)
        await self._context.log(f"{self._server} has copied its running configuration to its startup configuration")

    async def _rehearse(self) -> None:
        before = await self._read(Datastore.CANDIDATE)
        await self._edit()
        if self._session.can("validate"):
            self._reply = await self._ask("accept the candidate", element("validate", element("source", element("candidate"))))
        after = await self._read(Datastore.CANDIDATE)
        lines = await asyncio.to_thread(difference, before, after)
        await self._ask("discard what was tried", element("discard-changes"))
        self._is_edited = False
        self._difference = "\n".join(lines)
        await self._context.log(
            f"a dry run at {self._server}: {'it would change this' if lines else 'it would change nothing'}; all is discarded again"
        )
        for line in lines[:_SHOWN_LINES]:
            await self._context.log(line)
        if len(lines) > _SHOWN_LINES:
            await self._context.log(f"and {len(lines) - _SHOWN_LINES} lines more, in the output 'difference'")

    async def _edit(self) -> None:
        """Send the edit, checked by the device before it is made where it offers that."""
        session, default = self._session, self._default_operation
        options = [element("default-operation", default)]
        if session.can("validate"):
            options.append(element("test-option", "test-then-set"))
        if session.can("rollback-on-error"):
            options.append(element("error-option", "rollback-on-error"))
        self._is_edited = True
        edit = element("edit-config", element("target", element(self._datastore)), *options, deepcopy(self._config))
        self._reply = await self._ask("make the edit", edit)

    async def _commit(self, seconds: float | None) -> None:
        if seconds is None:
            self._reply = await self._ask("commit", element("commit"))
            return
        self._awaits_confirmation = True
        timeout = element("confirm-timeout", str(round(seconds)))
        try:
            self._reply = await self._ask("commit", element("commit", element("confirmed"), timeout))
        except RpcError:
            self._awaits_confirmation = False
            raise

    async def _unproven(self, before: Element | None) -> NotMadeError | None:
        """Read the edited part back; return what differs from what was sent, None where nothing does."""
        after = await self._read(Datastore.RUNNING, _READ_BACK)
        proof = Proof(after, before, reports_defaults=self._defaults_mode is None)
        found: Comparison = await asyncio.to_thread(proof.of, self._config, self._default_operation)
        if found.faults:
            more = f"; and {len(found.faults) - _SHOWN_FAULTS} more" if len(found.faults) > _SHOWN_FAULTS else ""
            return NotMadeError(ErrorCode.NOT_PROVEN, f"{self._server} answered ok, but {'; '.join(found.faults[:_SHOWN_FAULTS])}{more}")
        if found.not_compared:
            shown = ", ".join(found.not_compared[:_SHOWN_FAULTS])
            await self._context.log(f"kept by {self._server} in a form of its own, and not compared: {shown}", LogLevel.DEBUG)
        return None

    # --- what is asked ---

    async def _ask(self, doing: str, operation: Element) -> Reply:
        """Ask the device for something; `doing` is what it refuses where it refuses it."""
        self._doing = doing
        reply = await self._session.ask(operation)
        if reply.warnings:
            await self._context.log(f"{self._server} warns: {told(reply.warnings)}", LogLevel.WARN)
        return reply

    async def _read(self, datastore: Datastore, doing: str = "be read") -> Element | None:
        """Return those parts of a datastore that the edit is about."""
        parts = [element("source", element(datastore)), tops_filter(self._config)]
        if self._defaults_mode is not None:
            parts.append(with_defaults(self._defaults_mode))
        return (await self._ask(doing, element("get-config", *parts))).data

    @property
    def _defaults_mode(self) -> str | None:
        """How to ask for what was set and nothing else; None where the device does not offer that."""
        return "explicit" if "explicit" in self._session.parameters("with-defaults") else None

    @property
    def _default_operation(self) -> str:
        """What happens to elements without a mark. Around what is to be deleted nothing else is to be made."""
        return "none" if self._request.operation == "delete" else "merge"

    def _mark_sent(self) -> None:
        self._context.mark_sent()
        self._was_sent = True

    # --- the end ---

    async def _taken_back(self) -> str:
        """Take a change back that waits for its confirmation, and say so; empty where there is none."""
        if not self._awaits_confirmation:
            return ""
        self._awaits_confirmation = False
        if self._session.is_usable and self._session.can("confirmed-commit", "1.1"):
            try:
                await asyncio.wait_for(self._session.ask(element("cancel-commit")), TIDY_SECONDS)
            except (RpcError, SessionError, TimeoutError):
                pass
            else:
                return "; the change was taken back"
        await self._session.close()
        return "; its session was closed, upon which it takes the change back"

    async def _refused(self, refusal: RpcError) -> tuple[Result, StepError]:
        self._reply = refusal.reply
        message = f"{self._server} refused to {self._doing}: {told(refusal.faults)}"
        result = Result.FAILED
        if self._doing == _READ_BACK:
            message = f"{self._server} answered ok, but what it made of the change cannot be read: {told(refusal.faults)}"
            result = Result.FAILED if self._awaits_confirmation else Result.UNKNOWN
        elif self._doing == _SAVE:
            message += "; the change is made, and will be gone after a restart"
        elif self._was_sent and self._datastore is Datastore.RUNNING and not self._session.can("rollback-on-error"):
            message += "; it does not undo what it did before it came to that, so a part of the change may have been made"
            result = Result.UNKNOWN
        return result, StepError(ErrorCode.RPC_ERROR, message + await self._taken_back())

    def _broken(self, broken: SessionError) -> tuple[Result, StepError]:
        message = f"{self._server} {broken}"
        if not self._was_sent:
            return Result.FAILED, StepError(broken.code, f"{message}; nothing was changed")
        if self._doing == _SAVE:
            return Result.UNKNOWN, StepError(broken.code, f"{message}; the change is made, and whether it was saved is not known")
        if self._awaits_confirmation and self._doing != _CONFIRM:
            message += "; it takes the change back unless somebody confirms it"
        elif self._awaits_confirmation:
            message += "; whether the confirmation arrived is not known"
        return Result.UNKNOWN, StepError(broken.code, f"{message}; whether the change was made is not known")

    async def _tidy(self) -> None:
        """Leave nothing behind: no change that waits, no edit of the candidate, no lock. The device does the same when its session ends."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._put_away(), TIDY_SECONDS)  # not `timeout`: see `ssh_command.Run.stop`

    async def _put_away(self) -> None:
        todo = []
        if self._awaits_confirmation and self._session.can("confirmed-commit", "1.1"):
            todo.append(element("cancel-commit"))
        if self._is_edited and self._datastore is Datastore.CANDIDATE:
            todo.append(element("discard-changes"))
        if self._may_be_locked:
            todo.append(element("unlock", element("target", element(self._datastore))))
        for operation in todo:
            if self._session.is_usable:
                with suppress(RpcError, SessionError):
                    await self._session.ask(operation)

    def _outcome(self, result: Result, error: StepError | None) -> Outcome:
        outputs: dict[str, Value] = {"datastore": str(self._datastore)}
        if self._reply is not None:
            outputs["output"] = self._reply.text
        if self._difference is not None:
            outputs["difference"] = self._difference
        return Outcome(result, outputs, error)


def _holder(error: RpcError) -> str:
    session = next((fault.session_id for fault in error.faults if fault.session_id), "")
    if session in ("", "0"):
        return "somebody whom it does not name (or the candidate has changes that nobody has committed)"
    return f"session {session}"
