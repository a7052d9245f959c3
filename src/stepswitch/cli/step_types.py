"""`stepswitch step-types`: the step types of this installation, those of other packages among them, with all that they take and give. Called by `main`."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from stepswitch.cli.listing import write_json, write_rows
from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError

if TYPE_CHECKING:
    from stepswitch.domain.step_types import StepSignature, StepTypes

_LINK: Final = re.compile(r"\[([^\[\]]+)\]\([^()\s]+\)")


def step_types(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="One step type, by its name or an alias of it; all unless given.")
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON array with an object for each step type.")] = False,
) -> None:
    """Show the step types that are installed here: what each takes, what it gives, and what it does where nothing is said.

    Away from a terminal each row is one line, with tabs between.
    """
    from stepswitch.bootstrap import installed_types  # noqa: PLC0415 - loads the step types, which --help should not wait for
    from stepswitch.cli.signatures import as_object  # noqa: PLC0415

    chosen = _chosen(installed_types(), name)
    if as_json:
        write_json([as_object(signature) for signature in chosen])
        return
    for number, signature in enumerate(chosen):
        if number:
            typer.echo()
        _write(signature)


def _chosen(types: "StepTypes", name: str | None) -> Sequence["StepSignature"]:
    """Return the step types that are asked for, in the order of their names; raises InvalidRequestError where there is none of a name."""
    if name is None:
        return sorted({each.name: each for each in types.by_name.values()}.values(), key=lambda each: each.name)
    found = types.find(name)
    if found is None:
        known = ", ".join(sorted(types.by_name))
        raise InvalidRequestError([Fault(ErrorCode.UNKNOWN_STEP_TYPE, "", f"no step type is called {name!r} here: there are {known}")])
    return (found,)


def _write(signature: "StepSignature") -> None:
    from stepswitch.cli.signatures import (  # noqa: PLC0415 - see above
        INPUT_COLUMNS,
        OTHER_INPUTS,
        OTHER_OUTPUTS,
        OUTPUT_COLUMNS,
        facts,
        input_rows,
        output_rows,
    )

    typer.echo(_told(f"{signature.name}: {signature.description} {' '.join(facts(signature))}"))
    inputs, outputs = input_rows(signature), output_rows(signature)
    if inputs:
        write_rows(INPUT_COLUMNS, [tuple(map(_told, row)) for row in inputs])
    if signature.other_inputs:
        typer.echo(OTHER_INPUTS)
    if outputs:
        write_rows(OUTPUT_COLUMNS, outputs)
    if signature.other_outputs:
        typer.echo(OTHER_OUTPUTS)


def _told(text: str) -> str:
    """Return a text with the links of the reference as the names of its pages, which are not here."""
    return _LINK.sub(r"'\1'", text)
