"""Risk: people who watch a run see a step begin twice, end never, or a secret."""

import io
from typing import Any

import pytest
from rich.console import Console

from stepswitch.cli.alone import _told
from stepswitch.cli.story import Outcome, Story, Told, ToldLine, ToldStep
from stepswitch.cli.terminal import Terminal
from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.execution import ContextType, Head, LogEntry, LogLevel, Result, StepError, StepExecution
from stepswitch.domain.states import StepState
from stepswitch.engine.confidential import Mask
from stepswitch.engine.records import Committed
from stepswitch.engine.snapshots import compile_snapshot
from stepswitch.secrets.masking import Masking
from tests.cli.documents import workflow


def step(number: int, step_id: str, state: StepState, **more: Any) -> ToldStep:
    return ToldStep(number, step_id, state, 1_000, **more)


def line(text: str, number: int | None, level: LogLevel = LogLevel.INFO) -> ToldLine:
    return ToldLine(1_500, level, text, number)


class Listener:
    """A teller that writes down what it is told, one word per kind."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def waiting(self, step: ToldStep) -> None:
        self.told.append(f"waiting {step.step_id}")

    def begun(self, step: ToldStep) -> None:
        self.told.append(f"begun {step.step_id}")

    def said(self, step_id: str, line: ToldLine) -> None:
        self.told.append(f"said {step_id}: {line.message}")

    def ended(self, step: ToldStep, milliseconds: int) -> None:
        self.told.append(f"ended {step.step_id} {step.result} {milliseconds} {step.failure}".rstrip())

    def noted(self, line: ToldLine) -> None:
        self.told.append(f"noted {line.message}")

    def remark(self, sentence: str) -> None:
        self.told.append(f"remark {sentence}")

    def outcome(self, outcome: Outcome) -> None:
        self.told.append(f"outcome {outcome.status}")


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def story(listener: Listener) -> Story:
    return Story(listener)


RUNNING = step(0, "ask", StepState.EXECUTING, claimed_time=1_200)
FAILED = step(0, "ask", StepState.FINISHED, claimed_time=1_200, end_time=2_000, result="FAILED", failure="LOGIN_REFUSED: no entry")


def test_a_step_begins_once_and_ends_once(story: Story, listener: Listener) -> None:
    for change in (RUNNING, RUNNING, FAILED, FAILED):
        story.tell(Told((change,)))
    assert listener.told == ["begun ask", "ended ask FAILED 800 LOGIN_REFUSED: no entry"]


def test_the_end_comes_before_the_way_and_the_way_before_the_next_step(story: Story, listener: Listener) -> None:
    done = step(0, "ask", StepState.FINISHED, claimed_time=1_200, end_time=1_300, result="SUCCEEDED")
    story.tell(Told((done, step(1, "shape", StepState.EXECUTABLE)), (line("ask → shape", None),)))
    assert listener.told == ["ended ask SUCCEEDED 100", "noted ask → shape", "waiting shape"]


def test_a_reason_is_told_once(story: Story, listener: Listener) -> None:
    repeated = line("ended FAILED: LOGIN_REFUSED: no entry", 0, LogLevel.ERROR)
    story.tell(Told((FAILED,), (repeated, line("ended FAILED", None))))
    story.tell(Told((), (repeated,)))
    assert listener.told == ["ended ask FAILED 800 LOGIN_REFUSED: no entry", "noted ended FAILED"]


def test_a_step_that_needs_no_claim_begins_when_it_says_something(story: Story, listener: Listener) -> None:
    story.tell(Told((step(1, "shape", StepState.EXECUTABLE),)))
    story.tell(Told((), (line("it is", 1), line("more", 1))))
    assert listener.told == ["waiting shape", "begun shape", "said shape: it is", "said shape: more"]


def test_the_same_wait_is_told_once_and_another_reason_again(story: Story, listener: Listener) -> None:
    for device in (None, None, "192.0.2.1:22"):
        story.tell(Told((step(1, "ask", StepState.EXECUTABLE, device=device),)))
    assert listener.told == ["waiting ask", "waiting ask"]


def test_no_secret_of_a_commit_is_told() -> None:
    document = workflow({"ask": {"type": "TCA_SSH"}}, "ask", inputs={"pw": {"type": "password"}})
    compiled = compile_snapshot("default", document)
    values = {"pw": "s3cret-word"}
    head = Head("e1", "default", compiled.snapshot.id, "w1", "test", "me", 0, ContextType.NONE, 0, values=values, last_time=5_000)
    error = StepError(ErrorCode.LOGIN_REFUSED, "no entry with s3cret-word")
    failed = StepExecution(0, "ask", StepState.FINISHED, 1_000, 1_000, "s", result=Result.FAILED, error=error)
    entry = LogEntry(1_500, LogLevel.ERROR, "s3cret-word it is", 0)
    told = _told(Committed("e1", head, (failed,), (entry,)), Mask(Masking(), head, [compiled]))
    assert (told.steps[0].failure, told.lines[0].message, told.now) == ("LOGIN_REFUSED: no entry with ********", "******** it is", 5_000)


def test_on_a_terminal_a_device_moves_no_cursor_and_outputs_come_as_a_table() -> None:
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=100, highlight=False, no_color=True, force_interactive=False)
    terminal = Terminal(console, lambda step_id: "TCA_SSH" if step_id == "ask" else "JS")
    story = Story(terminal)
    with terminal:
        story.tell(Told((RUNNING,)))
        story.tell(Told((), (line("[bold]up[/bold]\x1b[2J", 0),)))
        story.tell(Told((FAILED,)))
    terminal.outcome(Outcome("FAILED", 1, 1, 1_000, {"found": "\x1b[31mred"}))
    text = written.getvalue()
    assert "[bold]up[/bold][2J" in text
    assert "\x1b[2J" not in text
    assert "LOGIN_REFUSED: no entry" in text
    assert "FAILED after 1.0 s, 1 step execution" in "".join(text.split("\x1b[0m"))
    assert "│ found  │ [31mred │" in "".join(text.replace("\x1b[1m", "").split("\x1b[0m"))
