"""Who is at this terminal. Called by the commands that write somebody's name down."""

import getpass


def user_name() -> str:
    """Return the name of the user who runs the command; `local` where the machine knows none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "local"
