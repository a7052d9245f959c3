"""`stepswitch password`: another password for whoever is logged in. Listed in `groups`."""

import sys
from typing import TYPE_CHECKING

from stepswitch.cli.exits import Exit, complain
from stepswitch.cli.prompts import ask_hidden

if TYPE_CHECKING:
    from stepswitch.client import StepswitchClient


async def password(client: "StepswitchClient") -> Exit | None:
    """Change your password at a service, which ends all your sessions there.

    The old and the new one are asked for, or are the first two lines of the standard input where that is no terminal.
    """
    from stepswitch.cli.logins import read_logins, write_logins  # noqa: PLC0415 - --help should not wait for it

    passwords = _passwords(client.url)
    if passwords is None:
        complain("The two are not the same; nothing was changed.")
        return Exit.USAGE
    await client.change_password(*passwords)
    write_logins(read_logins().without(client.url))
    complain(f"Your password was changed, and your sessions are over. Log in with: stepswitch login {client.url}")
    return None


def _passwords(url: str) -> tuple[str, str] | None:
    """Return the old and the new password; None where the new one was not typed twice the same."""
    if not sys.stdin.isatty():
        old, new = (sys.stdin.readline().removesuffix("\n") for _ in range(2))
        return old, new
    old, new = ask_hidden(f"Password at {url}"), ask_hidden("New password")
    return (old, new) if ask_hidden("The same again") == new else None
