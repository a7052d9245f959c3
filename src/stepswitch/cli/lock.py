"""`stepswitch lock`: which locks executions have, and taking one away. Listed in `groups`."""

from typing import TYPE_CHECKING, Annotated

import typer

from stepswitch.cli.execution import AsJson, Reason, Yes
from stepswitch.cli.exits import Exit, complain
from stepswitch.cli.listing import time_of, write_json, write_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stepswitch.client import StepswitchClient
    from stepswitch.client.locks import HeldLock


async def list_locks(client: "StepswitchClient", *, as_json: AsJson = False) -> None:
    """List the locks that are held, those that are held the longest first, with how many executions wait for each."""
    found = await client.locks.list()
    if as_json:
        write_json([each.raw for each in found])
        return
    rows = [
        (each.id, _told(each), each.execution_id, each.workflow_name, each.status, time_of(each.held_since), str(each.waiting))
        for each in found
    ]
    write_rows(("id", "lock", "execution", "workflow", "status", "since", "waiting"), rows)


async def break_lock(
    client: "StepswitchClient",
    lock: Annotated[str, typer.Argument(metavar="LOCK", help="Id or name of the lock, as `lock list` shows them.")],
    *,
    yes: Yes = False,
    reason: Reason = "",
) -> Exit | None:
    """Take a lock away from the execution that has it: that goes on, and whoever waits for the lock has it then."""
    from stepswitch.cli.prompts import agreed  # noqa: PLC0415 - --help should not wait for it

    found = _meant(await client.locks.list(), lock)
    if len(found) != 1:
        complain(f"several locks are called {lock}: give the id of one" if found else f"no execution that you may see has the lock {lock}")
        return Exit.FAILED
    held = found[0]
    if not agreed(
        f"Take the lock {_told(held)} away from the execution {held.execution_id} of {held.workflow_name!r}, {held.status}?", yes=yes
    ):
        return Exit.FAILED
    await client.executions.break_lock(held.execution_id, held.id, reason=reason)
    complain(f"{held.execution_id} has the lock {_told(held)} no more")
    return None


def _meant(locks: "Sequence[HeldLock]", lock: str) -> "Sequence[HeldLock]":
    return [each for each in locks if each.id == lock] or [each for each in locks if each.name == lock]


def _told(lock: "HeldLock") -> str:
    return f"device {lock.name}" if lock.of_device else lock.name
