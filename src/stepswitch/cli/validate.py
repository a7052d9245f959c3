"""`stepswitch validate`: every fault of workflow documents with its path, and what their authors should know. Called by `main`, and by `workflow` for what a service finds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer

from stepswitch.cli.documents import UnreadableError, read_json
from stepswitch.cli.exits import Exit
from stepswitch.cli.listing import write_json
from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError


class Finding(Protocol):
    """One thing to be said of a document, whoever found it: a `Fault`, or what a service answered. As a text it has its path in front."""

    @property
    def code(self) -> str:
        """The kind of thing."""
        ...

    @property
    def path(self) -> str:
        """The place, empty for the whole."""
        ...

    @property
    def message(self) -> str:
        """A sentence."""
        ...


@dataclass(frozen=True, slots=True)
class Findings:
    """What is to be said of one file. `unreadable` is the sentence that says why it could not be looked at."""

    file: Path
    faults: Sequence[Finding] = ()
    warnings: Sequence[Finding] = ()
    is_draft: bool = False
    unreadable: UnreadableError | None = None

    @property
    def exit(self) -> Exit:
        """The exit code that this file alone would have."""
        if self.unreadable is not None:
            return Exit.USAGE
        return Exit.FAILED if self.faults else Exit.COMPLETED


def validate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Workflow documents; - reads the standard input.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON array with an object for each file.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Take fields that nobody knows for faults instead of warnings.")] = False,
) -> None:
    """Check workflow documents and print every fault with its path.

    Ends with 0 when all are valid, 1 when one has faults, 2 when one cannot be read or is not JSON.
    """
    from stepswitch.bootstrap import installed_types  # noqa: PLC0415 - loads the step types, which --help should not wait for

    types = installed_types()
    raise typer.Exit(tell([look_at(file, types, strict=strict) for file in files], as_json=as_json))


def tell(found: Sequence[Findings], *, as_json: bool) -> Exit:
    """Write what is to be said of each file, and return the exit code of all of them."""
    if as_json:
        write_json([_as_object(findings) for findings in found])
    else:
        for findings in found:
            typer.echo("\n".join(_as_lines(findings)))
    return max(findings.exit for findings in found)


def look_at(file: Path, types: Any, *, strict: bool) -> Findings:
    """Return what is to be said of one file, given the step types that are installed."""
    from stepswitch.domain.validation import check  # noqa: PLC0415 - as above

    source = opened(file)
    if isinstance(source, Findings):
        return source
    parsed = check(source, types, strict=strict)
    is_draft = parsed.workflow is not None and parsed.workflow.is_draft
    return Findings(file, parsed.faults, parsed.warnings, is_draft)


def opened(file: Path) -> dict[str, Any] | Findings:
    """Return the JSON object in a file, or what is to be said where there is none."""
    try:
        source = read_json(file)
    except UnreadableError as error:
        return Findings(file, unreadable=error)
    except InvalidRequestError as error:
        return Findings(file, error.faults)
    if not isinstance(source, dict):
        return Findings(file, [Fault(ErrorCode.WRONG_TYPE, "", "a workflow is a JSON object")])
    return source


def _as_lines(findings: Findings) -> list[str]:
    file = findings.file
    if findings.unreadable is not None:
        return [f"{file}: {findings.unreadable}"]
    lines = [f"{file}: fault: {fault} [{fault.code}]" for fault in findings.faults]
    lines += [f"{file}: warning: {warning} [{warning.code}]" for warning in findings.warnings]
    return [*lines, f"{file}: {_verdict(findings)}"]


def _verdict(findings: Findings) -> str:
    counts = [_count(len(findings.faults), "fault"), _count(len(findings.warnings), "warning")]
    told = " and ".join(filter(None, counts))
    if findings.faults:
        return f"not valid, {told}"
    draft = "valid as a draft: it can be stored, not executed" if findings.is_draft else "valid"
    return f"{draft}, {told}" if told else draft


def _count(number: int, noun: str) -> str:
    return "" if not number else f"1 {noun}" if number == 1 else f"{number} {noun}s"


def _as_object(findings: Findings) -> Mapping[str, object]:
    told: dict[str, object] = {"file": str(findings.file), "valid": findings.exit is Exit.COMPLETED}
    if findings.unreadable is not None:
        error = findings.unreadable
        return {**told, "unreadable": {"message": str(error), "line": error.line, "column": error.column}}
    return {
        **told,
        "draft": findings.is_draft,
        "faults": [_fault(fault) for fault in findings.faults],
        "warnings": [_fault(warning) for warning in findings.warnings],
    }


def _fault(fault: Finding) -> Mapping[str, str]:
    return {"code": fault.code, "path": fault.path, "message": fault.message}
