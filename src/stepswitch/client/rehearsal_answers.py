"""What rehearsals came to, as values. As in `answers`, `raw` has all that came."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stepswitch.client.reading import Reader

JsonObject = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Divergence:
    """One thing that is otherwise than expected; `path` is its place in the document of rehearsals, empty for the whole."""

    kind: str
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message

    @classmethod
    def read(cls, value: object) -> "Divergence":
        """Return a divergence as a value."""
        of = Reader(value, "divergence")
        return cls(of.text("kind"), of.maybe_text("path") or "", of.text("message"))


@dataclass(frozen=True, slots=True)
class TakenStep:
    """A step execution of the way that was taken; `because` is why the way came to it, empty at the first, `verdict` what its probe found."""

    step_id: str
    attempt: int
    result: str | None
    error: str | None
    because: str
    assumed: bool
    verdict: str | None
    raw: JsonObject = field(repr=False)

    @classmethod
    def read(cls, value: object) -> "TakenStep":
        """Return a step execution as a value."""
        of = Reader(value, "step")
        return cls(
            of.text("stepId"),
            of.number("attempt", 1),
            of.maybe_text("result"),
            of.maybe_text("error"),
            of.maybe_text("because") or "",
            of.flag("assumed"),
            of.maybe_text("verdict"),
            of.raw,
        )


@dataclass(frozen=True, slots=True)
class RehearsalReport:
    """What one rehearsal came to."""

    name: str
    as_expected: bool
    status: str
    divergences: tuple[Divergence, ...]
    way: tuple[TakenStep, ...]
    step_executions: int
    outputs: JsonObject
    values: JsonObject
    raw: JsonObject = field(repr=False)

    @classmethod
    def read(cls, value: object) -> "RehearsalReport":
        """Return a report as a value."""
        of = Reader(value, "rehearsal")
        return cls(
            of.text("name"),
            of.flag("asExpected"),
            of.text("status"),
            tuple(map(Divergence.read, of.items("divergences"))),
            tuple(map(TakenStep.read, of.items("way"))),
            of.number("stepExecutions", 0),
            of.mapping("outputs"),
            of.mapping("values"),
            of.raw,
        )
