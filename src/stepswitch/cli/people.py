"""Who is at this terminal. Called by the commands that write somebody's name down."""

import getpass
import os
import pwd
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stepswitch.engine.audit import Entry, Thing


def user_name() -> str:
    """Return the name of the user who runs the command; `local` where the machine knows none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "local"


def process_user() -> str:
    """Return the user that the operating system says this process is of: no variable can make it another."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def recorded(operation: str, thing: "Thing | None" = None) -> "Entry":
    """Return what the audit trail is to say of a command that changes a data directory."""
    from stepswitch.engine.audit import Thing, at_the_command_line  # noqa: PLC0415 - loads what --help does not need
    from stepswitch.system import SystemClock  # noqa: PLC0415

    return at_the_command_line(process_user(), operation, SystemClock().now(), thing or Thing())
