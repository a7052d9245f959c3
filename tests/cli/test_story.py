"""Risk: people who watch a run see a step begin twice, end never, or a secret."""

import io
from dataclasses import replace
from typing import Final

import pytest
from rich.console import Console

from stepswitch.cli.story import Story
from stepswitch.cli.terminal import Terminal
from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.execution import ContextType, Head, LogEntry, LogLevel, Result, Status, StepError, StepExecution
from stepswitch.domain.states import StepState
from stepswitch.engine.confidential import Mask
from stepswitch.engine.records import Committed
from stepswitch.engine.snapshots import compile_snapshot
from stepswitch.engine.views import ExecutionView
from stepswitch.secrets.masking import Masking
from tests.cli.documents import workflow

DOCUMENT: Final = workflow(
    {"ask": {"type": "TCA_SSH"}, "shape": {"type": "JS"}},
    "ask",
    inputs={"pw": {"type": "password"}},
    outputs={"found": {"type": "string"}},
)
COMPILED: Final = compile_snapshot("default", DOCUMENT)
HEAD: Final = Head(
    id="e1",
    tenant="default",
    snapshot_id=COMPILED.snapshot.id,
    workflow_id="w1",
    workflow_name="test",
    creation_user="me",
    creation_time=0,
    context_type=ContextType.NONE,
    retained_til=0,
    values={"pw": "s3cret-word"},
    last_time=5_000,
)


def step(number: int, step_id: str, state: StepState, **more: object) -> StepExecution:
    made = {"number": number, "step_id": step_id, "state": state, "start_time": 1_000, "since": 1_000, "snapshot_id": "s", **more}
    return StepExecution(**made)  # type: ignore[arg-type] # a test's shorthand


def line(text: str, number: int | None, level: LogLevel = LogLevel.INFO) -> LogEntry:
    return LogEntry(1_500, level, text, number)


class Listener:
    """A teller that writes down what it is told, one word per kind."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def waiting(self, step: StepExecution) -> None:
        self.told.append(f"waiting {step.step_id}")

    def begun(self, step: StepExecution) -> None:
        self.told.append(f"begun {step.step_id}")

    def said(self, step_id: str, entry: LogEntry) -> None:
        self.told.append(f"said {step_id}: {entry.message}")

    def ended(self, step: StepExecution, milliseconds: int) -> None:
        error = f" {step.error.message}" if step.error else ""
        self.told.append(f"ended {step.step_id} {step.result} {milliseconds}{error}")

    def noted(self, entry: LogEntry) -> None:
        self.told.append(f"noted {entry.message}")

    def remark(self, sentence: str) -> None:
        self.told.append(f"remark {sentence}")


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def story(listener: Listener) -> Story:
    return Story(listener, lambda _: Mask(Masking(), HEAD, [COMPILED]))


RUNNING: Final = step(0, "ask", StepState.EXECUTING, claimed_time=1_200)
FAILED: Final = step(
    0,
    "ask",
    StepState.FINISHED,
    claimed_time=1_200,
    end_time=2_000,
    result=Result.FAILED,
    error=StepError(ErrorCode.LOGIN_REFUSED, "no entry with s3cret-word"),
)


def test_a_step_begins_once_and_ends_once(story: Story, listener: Listener) -> None:
    for change in (RUNNING, RUNNING, FAILED, FAILED):
        story.tell(Committed("e1", HEAD, (change,)))
    assert listener.told == ["begun ask", "ended ask FAILED 800 no entry with ********"]


def test_the_end_comes_before_the_way_and_the_way_before_the_next_step(story: Story, listener: Listener) -> None:
    done = step(0, "ask", StepState.FINISHED, claimed_time=1_200, end_time=1_300, result=Result.SUCCEEDED)
    story.tell(Committed("e1", HEAD, (done, step(1, "shape", StepState.EXECUTABLE)), (line("ask → shape", None),)))
    assert listener.told == ["ended ask SUCCEEDED 100", "noted ask → shape", "waiting shape"]


def test_a_reason_is_told_once(story: Story, listener: Listener) -> None:
    repeated = line("ended FAILED: LOGIN_REFUSED: no entry with s3cret-word", 0, LogLevel.ERROR)
    story.tell(Committed("e1", HEAD, (FAILED,), (repeated, line("ended FAILED", None))))
    assert listener.told == ["ended ask FAILED 800 no entry with ********", "noted ended FAILED"]


def test_a_step_that_needs_no_claim_begins_when_it_says_something(story: Story, listener: Listener) -> None:
    story.tell(Committed("e1", HEAD, (step(1, "shape", StepState.EXECUTABLE),)))
    story.tell(Committed("e1", logs=(line("s3cret-word it is", 1), line("more", 1))))
    assert listener.told == ["waiting shape", "begun shape", "said shape: ******** it is", "said shape: more"]


def test_on_a_terminal_a_device_moves_no_cursor_and_outputs_come_as_a_table() -> None:
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=100, highlight=False, no_color=True, force_interactive=False)
    terminal = Terminal(console, lambda step_id: "TCA_SSH" if step_id == "ask" else "JS")
    story = Story(terminal, lambda _: Mask(Masking(), HEAD, [COMPILED]))
    with terminal:
        story.tell(Committed("e1", HEAD, (RUNNING,)))
        story.tell(Committed("e1", logs=(line("[bold]up[/bold]\x1b[2J", 0),)))
        story.tell(Committed("e1", HEAD, (FAILED,)))
    terminal.outcome(
        ExecutionView(replace(HEAD, status=Status.FAILED), COMPILED, [(FAILED, COMPILED)], [], {"found": "\x1b[31mred"}, Masking().masker),
        1_000,
    )
    text = written.getvalue()
    assert "[bold]up[/bold][2J" in text
    assert "\x1b[2J" not in text
    assert "LOGIN_REFUSED: no entry with ********" in text
    assert "FAILED after 1.0 s, 1 step execution" in "".join(text.split("\x1b[0m"))
    assert "│ found  │ [31mred │" in "".join(text.replace("\x1b[1m", "").split("\x1b[0m"))
