"""Writes what is downloaded to a file. Called by the commands for the files of workflows and executions."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from stepswitch.domain.errors import CallerError

if TYPE_CHECKING:
    from stepswitch.client import Download


async def save(download: "AbstractAsyncContextManager[Download]", output: Path | None) -> None:
    """Write a file to `output`, or to its own name in the working directory, and say where; raises CallerError where that cannot be."""
    async with download as file:
        target = output or Path(file.name)
        try:
            size = await file.save(target)
        except FileExistsError:
            raise CallerError(f"{target} exists and is not overwritten; --output names another place") from None
        except OSError as error:
            raise CallerError(f"{target} cannot be written: {error.strerror}") from None
    typer.echo(f"{target} ({size} bytes)")
