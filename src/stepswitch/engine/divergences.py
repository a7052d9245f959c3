"""What came out of a rehearsal beside what was expected: every divergence at once, each with its place. Called by `rehearsals`.

Steps of the way are counted from 1 in sentences, as people count; paths name places in the document, which count from 0.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from stepswitch.domain.execution import Result, StepError, StepExecution, Verdict
from stepswitch.domain.names import shown
from stepswitch.domain.values import Value
from stepswitch.engine.confidential import secret_inputs
from stepswitch.engine.reasons import told_result
from stepswitch.engine.rehearsal import Missing, Play, Stop
from stepswitch.engine.rehearsal_orders import ExpectedStep, Rehearsal, ScriptedResult
from stepswitch.engine.snapshots import Compiled
from stepswitch.engine.telling import Teller, is_same

WAY_SHOWN: Final = 1_000
"""Step executions of the way that are shown; of the rest only the number."""
_LATEST: Final = 6
"""Steps that are named where an endless loop is cut."""


class DivergenceKind(StrEnum):
    """What is otherwise than expected."""

    WAY = "way"
    RESULT = "result"
    INPUT = "input"
    STATUS = "status"
    OUTPUT = "output"
    VALUE = "value"
    MISSING_RESULT = "missingResult"
    UNUSED_RESULT = "unusedResult"
    OPERATOR = "operator"
    STEP_EXECUTIONS = "stepExecutions"
    TIME = "time"
    SECRETS = "secrets"


@dataclass(frozen=True, slots=True)
class Divergence:
    """One thing that is otherwise than expected; `path` is its place in the document."""

    kind: DivergenceKind
    path: str
    message: str


@dataclass(frozen=True, slots=True)
class Taken:
    """One step execution of the way that was taken, and why the way came to it; `assumed` where there was no result for it."""

    step_id: str
    attempt: int
    result: Result | None
    error: StepError | None
    because: str
    assumed: bool
    verdict: Verdict | None = None
    """What its probe found."""


class Comparison:
    """Takes down the way while it is taken, and holds it against the one expected.

    The way is compared up to the first step that is another one, and up to the first result that is missing: what comes after is chance.
    """

    def __init__(self, rehearsal: Rehearsal, compiled: Compiled) -> None:
        self._rehearsal = rehearsal
        self._compiled = compiled
        self._expected = rehearsal.expected.way
        self._goes_along = True
        self._count = 0
        self._latest: list[str] = []
        self.way: list[Taken] = []
        self.found: list[Divergence] = []

    @property
    def count(self) -> int:
        """How many step executions there were."""
        return self._count

    def take(self, step: StepExecution, because: str, play: Play) -> None:
        """Take down a step execution that is behind, or the last one."""
        place = self._count
        self._count += 1
        self._latest = [*self._latest[1 - _LATEST :], step.step_id]
        is_assumed = bool(play.missing) and play.missing[-1].number == step.number
        if len(self.way) < WAY_SHOWN:
            error = None if step.error is None else StepError(step.error.code, play.teller.line(step.error.message))
            verdict = None if step.probe is None else step.probe.verdict
            self.way.append(Taken(step.step_id, step.attempt, step.result, error, because, is_assumed, verdict))
        if self._expected is not None and self._goes_along:
            self._compare_step(place, step, because, play.teller, is_assumed=is_assumed)
        if play.missing:
            self._goes_along = False

    def _compare_step(self, place: int, step: StepExecution, because: str, teller: Teller, *, is_assumed: bool) -> None:
        expected = self._expected[place] if self._expected is not None and place < len(self._expected) else None
        if expected is None or expected.step_id != step.step_id:
            wanted = "no further step" if expected is None else f"`{expected.step_id}`"
            went = f"it went to `{step.step_id}` because {because}" if because else f"it begins at `{step.step_id}`"
            self._goes_along = False
            self._say(
                DivergenceKind.WAY, f"expected.way[{place}]" if expected else "expected.way", f"step {place + 1}: expected {wanted}, {went}"
            )
            return
        for kind, field, message in _differences(expected, step, teller, self._compiled, is_assumed=is_assumed):
            text = f"step {place + 1}, `{step.step_id}`: {message}"
            self._say(kind, f"expected.way[{place}].{field}", text)

    def _say(self, kind: DivergenceKind, path: str, message: str) -> None:
        self.found.append(Divergence(kind, self._rehearsal.at(path), message))

    def end(self, play: Play) -> None:
        """Compare what is known only at the end."""
        for missing in play.missing:
            self._miss(missing)
        for place, remark in play.remarks:
            self._say(DivergenceKind.OPERATOR, f"operators[{place}]", remark)
        if play.stop is not None:
            self._say_stop(play.stop)
        elif not play.missing:
            self._compare_end(play)

    def _miss(self, missing: Missing) -> None:
        step_id = missing.step_id
        kind = self._compiled.workflow.steps[step_id].type
        given = "" if not missing.given else f": the {missing.given} that it has {'are' if missing.given > 1 else 'is'} used up"
        what, whose = ("probes", f"the probe of `{step_id}`") if missing.is_look else ("results", f"`{step_id}`")
        message = f"step {missing.number + 1}: {whose} ({kind}) has no {'further ' if given else ''}result{given}; a success was assumed"
        self._say(DivergenceKind.MISSING_RESULT, f"{what}.{shown(step_id)}", message)

    def _say_stop(self, stop: Stop) -> None:
        latest = " → ".join(f"`{step_id}`" for step_id in self._latest)
        match stop:
            case Stop.STEP_EXECUTIONS:
                most = self._rehearsal.expected.max_step_executions
                bound = f"at most {most} were expected" if most is not None else "no rehearsal goes any further"
                number = self._count - 1  # the last one has only been come to
                message = f"it goes on after {number} step executions, and {bound}; the last ones: {latest}"
                self._say(DivergenceKind.STEP_EXECUTIONS, "expected.maxStepExecutions" if most is not None else "", message)
            case Stop.TIME:
                message = f"it took too long and was given up after {self._count} step executions; the last ones: {latest}"
                self._say(DivergenceKind.TIME, "", message)
            case Stop.SECRETS:
                self._say(DivergenceKind.SECRETS, "", "its passwords are longer than what can be looked for in all that is shown")
            case Stop.RESULTS | Stop.REFUSED:
                return  # said already: a result that is missing, an act that was refused

    def _compare_end(self, play: Play) -> None:
        expected = self._rehearsal.expected
        why = play.why_ended()
        if self._goes_along and self._expected is not None and self._count < len(self._expected):
            place = self._count
            wanted = self._expected[place].step_id
            self._say(
                DivergenceKind.WAY,
                f"expected.way[{place}]",
                f"step {place + 1}: expected `{wanted}`, it is {play.head.status} because {why}",
            )
        if expected.status not in (None, play.head.status):
            self._say(DivergenceKind.STATUS, "expected.status", f"expected {expected.status}, it is {play.head.status} because {why}")
        for kind, path, message in self._value_differences(play):
            self._say(kind, path, message)
        for path, message in self._unused(play):
            self._say(DivergenceKind.UNUSED_RESULT, path, message)
        for place in range(play.acts_done, len(self._rehearsal.acts)):
            message = f"nobody was asked for `{self._rehearsal.acts[place].kind}`: it is {play.head.status}"
            self._say(DivergenceKind.OPERATOR, f"operators[{place}]", message)

    def _value_differences(self, play: Play) -> Iterator[tuple[DivergenceKind, str, str]]:
        values, expected = play.head.values, self._rehearsal.expected
        if expected.outputs is not None:
            outputs = {name: values[name] for name in self._compiled.workflow.outputs if name in values}
            for name in dict.fromkeys((*expected.outputs, *outputs)):
                if message := self._difference(name, expected.outputs.get(name), outputs.get(name), play.teller):
                    yield DivergenceKind.OUTPUT, f"expected.outputs.{shown(name)}", f"output {message}"
        for name, value in expected.values.items():
            if message := self._difference(name, value, values.get(name), play.teller):
                yield DivergenceKind.VALUE, f"expected.values.{shown(name)}", f"value of {message}"

    def _difference(self, name: str, expected: Value | None, found: Value | None, teller: Teller) -> str:
        if is_same(expected, found):
            return ""
        return f"`{name}`: {teller.difference(expected, found, is_secret=name in self._compiled.secret_names)}"

    def _unused(self, play: Play) -> Iterator[tuple[str, str]]:
        for step_id, results in self._rehearsal.results.items():
            yield from _unused(f"results.{shown(step_id)}", f"`{step_id}`", results, play.used(step_id))
        for step_id, looks in self._rehearsal.probes.items():
            yield from _unused(f"probes.{shown(step_id)}", f"the probe of `{step_id}`", looks, play.used(step_id, is_look=True))


def _unused(path: str, whose: str, results: tuple[ScriptedResult, ...], uses: Sequence[int]) -> Iterator[tuple[str, str]]:
    for place, (result, used) in enumerate(zip(results, uses, strict=True)):
        if used < result.times:
            times = "never used" if not used else f"used {_times(used)}, not {_times(result.times)}"
            which = "" if len(results) == 1 else f" {place + 1}"
            yield f"{path}[{place}]", f"result{which} of {whose} was {times}"


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _differences(
    expected: ExpectedStep, step: StepExecution, teller: Teller, compiled: Compiled, *, is_assumed: bool
) -> Iterator[tuple[DivergenceKind, str, str]]:
    """Yield what of a step execution is otherwise than expected: the kind, the field, and the sentence."""
    if expected.attempt not in (None, step.attempt):
        yield DivergenceKind.RESULT, "attempt", f"expected attempt {expected.attempt}, it is attempt {step.attempt}"
    if not is_assumed and expected.result not in (None, step.result):
        ended = "has not run" if step.result is None else told_result(step, teller)
        yield DivergenceKind.RESULT, "result", f"expected {expected.result}, it {ended}"
    elif not is_assumed and expected.error is not None and (step.error is None or step.error.code is not expected.error):
        ended = "has no error" if step.error is None else f"is {step.error.code}"
        yield DivergenceKind.RESULT, "error", f"expected the error {expected.error}, it {ended}"
    verdict = None if step.probe is None else step.probe.verdict
    if not is_assumed and expected.verdict not in (None, verdict):
        found = "its probe has not looked to the end" if verdict is None else f"it is {verdict}"
        yield DivergenceKind.RESULT, "verdict", f"expected the verdict {expected.verdict}, {found}"
    secret = secret_inputs(compiled, step.step_id)
    for name, value in expected.inputs.items():
        if not is_same(value, step.inputs.get(name)):
            message = teller.difference(value, step.inputs.get(name), is_secret=name in secret)
            yield DivergenceKind.INPUT, f"inputs.{shown(name)}", f"input `{name}`: {message}"
