"""`stepswitch execution edit`: the steps of an execution that stands still, in an editor. Listed in `groups`."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from stepswitch.cli.documents import read_object
from stepswitch.cli.edited_steps import Steps, as_text, changes, checkable, difference
from stepswitch.cli.editor import Draft
from stepswitch.cli.execution import AsJson, ExecutionId, Reason, Yes
from stepswitch.cli.execution_steering import tell
from stepswitch.cli.exits import Exit, complain, explain
from stepswitch.cli.prompts import choose, is_interactive
from stepswitch.cli.wording import printable
from stepswitch.domain.errors import CallerError
from stepswitch.domain.execution import Status

if TYPE_CHECKING:
    from stepswitch.client import Execution, StepswitchClient

_EDITABLE: Final = frozenset({Status.PAUSED, Status.FAILED})
_COLOURS: Final = {"+": typer.colors.GREEN, "-": typer.colors.RED, "@": typer.colors.CYAN}
From = Annotated[
    Path | None,
    typer.Option("--from", metavar="FILE", help="Take the edited steps from a file, instead of an editor; - reads the standard input."),
]
_RUN_AGAIN: Final = ("FAILED", "UNKNOWN")
StartAt = Annotated[str | None, typer.Option(metavar="STEP", help="Where it is to go on when it is resumed.")]


async def edit(
    client: "StepswitchClient",
    execution: ExecutionId,
    *,
    file: From = None,
    start_at: StartAt = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Let it go on when the steps are changed: where --start-at says, else with the step that failed."),
    ] = False,
    yes: Yes = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> Exit | None:
    """Edit the steps of an execution that is paused or has failed.

    Opens them as JSON in $VISUAL or $EDITOR, shows what was changed and what the service has to say about it, and changes the execution
    as a whole or not at all. A password that is left as `********` stays as it is stored.
    """
    found = await client.executions.get(execution, fields=["workflow", "status"])
    if found.status not in _EDITABLE:
        complain(f"{execution} is {found.status}; its steps can be edited while it is PAUSED or has FAILED")
        return Exit.USAGE
    desk = _Desk(client, found, start_at, reason, yes=yes)
    changed = await (desk.take(file) if file is not None else desk.edit())
    if changed is None:
        return Exit.FAILED
    if resume:
        changed = await _resumed(client, changed, reason)
    tell(changed, as_json=as_json)
    return None


async def _resumed(client: "StepswitchClient", changed: "Execution", reason: str) -> "Execution":
    """Return the execution as it goes on; where it does not, say that the change was made all the same.

    A step that has failed is run again, for it was mended: to resume behind it would accept the failure. Where to go on is what somebody
    has said, now or before.
    """
    from stepswitch.client import ClientError  # noqa: PLC0415 - --help should not wait for httpx

    last = changed.step_executions[-1] if changed.step_executions else None
    is_run_again = changed.start_step_id is None and last is not None and last.result in _RUN_AGAIN
    act = client.executions.retry if is_run_again else client.executions.resume
    try:
        return await act(changed.id, reason=reason, if_match=changed.etag)
    except ClientError:
        complain(f"{changed.id} was changed, and does not go on:")
        raise


class _Verdict(Enum):
    """What became of a text that changes nothing yet."""

    REFUSED = "there are faults, and they were told"
    AGAIN = "somebody wants to edit it once more"
    GIVEN_UP = "somebody does not want it after all"
    UNCHANGED = "it says what is there already"


@dataclass(frozen=True, slots=True)
class _Desk:
    """One execution in the hands of somebody who edits it."""

    client: "StepswitchClient"
    found: "Execution"
    start_at: str | None
    reason: str
    yes: bool

    async def take(self, file: Path) -> "Execution | None":
        """Return the execution with the steps of a file, None where it stays as it is."""
        outcome = await self._offer(file)
        return None if isinstance(outcome, _Verdict) else outcome

    async def edit(self) -> "Execution | None":
        """Return the execution with the steps as they were left in the editor, None where it stays as it is."""
        draft, text, is_done = Draft(f"{self.found.id}.json"), as_text(self._steps), False
        try:
            while True:
                text = draft.edit(text)
                outcome = await self._offer(draft.file)
                is_done = outcome is _Verdict.UNCHANGED or not isinstance(outcome, _Verdict)
                if not isinstance(outcome, _Verdict):
                    return outcome
                if outcome is not _Verdict.AGAIN and not (outcome is _Verdict.REFUSED and _goes_on()):
                    return None
        finally:
            if is_done or text == as_text(self._steps):
                draft.remove()
            else:
                complain(f"Your text is in {draft.file}; --from takes it from there.")

    @property
    def _steps(self) -> "Steps":
        steps: Steps = self.found.workflow.get("steps") or {}
        return steps

    async def _offer(self, file: Path) -> "Execution | _Verdict":
        """Return the execution with the steps of a file, or why it stays as it is."""
        from stepswitch.client import InvalidRequestError as RefusedError  # noqa: PLC0415 - --help should not wait for httpx

        try:
            edited = read_object(file)
        except CallerError as error:
            explain(error)
            return _Verdict.REFUSED
        wanted = changes(self._steps, edited)
        if not wanted and self.start_at is None:
            complain("The steps are as they were.")
            return _Verdict.UNCHANGED
        _show(difference(self._steps, edited))
        if not await self._is_fit(edited):
            return _Verdict.REFUSED
        if not self.yes and (answer := self._asked()) is not None:
            return answer
        try:
            return await self.client.executions.change(
                self.found.id, steps=wanted or None, start_step_id=self.start_at, reason=self.reason, if_match=self.found.etag
            )
        except RefusedError as error:
            complain("\n".join(printable(str(fault)) for fault in error.faults))
            return _Verdict.REFUSED

    async def _is_fit(self, edited: "Steps") -> bool:
        """Return whether the service has no fault to find in the workflow with these steps; tell what it finds."""
        shown = self.found.workflow
        review = await self.client.workflows.validate(checkable(shown, {**shown, "steps": edited}))
        for kind, findings in (("fault", review.faults), ("warning", review.warnings)):
            for finding in findings:
                complain(f"{kind}: {printable(str(finding))} [{finding.code}]")
        return not review.faults

    def _asked(self) -> _Verdict | None:
        """Return None where the change is to be made."""
        if not is_interactive():
            complain("Nothing was changed; --yes does it without asking.")
            return _Verdict.GIVEN_UP
        answer = choose("Change the execution? Yes, no, or edit it once more", "yne")
        return {"y": None, "n": _Verdict.GIVEN_UP, "e": _Verdict.AGAIN}[answer]


def _goes_on() -> bool:
    return is_interactive() and choose("Edit it once more?", "yn") == "y"


def _show(lines: Iterable[str]) -> None:
    for line in lines:
        text = printable(line)
        typer.echo(typer.style(text, fg=_COLOURS.get(line[:1])) if sys.stderr.isatty() else text, err=True)
