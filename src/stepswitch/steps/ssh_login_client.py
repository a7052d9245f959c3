"""What an SSH server asks while somebody logs in: whether its host key is trusted, and what is typed where it asks. Made by `ssh_login` for each login."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import asyncssh

from stepswitch.steps.host_keys import fingerprint, line_of
from stepswitch.steps.login_inputs import Login

_Questions = Sequence[tuple[str, bool]]


class LoginClient(asyncssh.SSHClient):
    """Decides about the host key, and remembers how far the login came."""

    def __init__(self, allowed: frozenset[str], login: Login) -> None:
        self._allowed = allowed
        self._login = login
        self._challenged = False
        self.shown: str | None = None
        self.logging_in = False

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        """Have all be heard in its order."""
        _end_behind_all_else(conn)

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:  # noqa: ARG002
        """Return whether a host key is an allowed one, and remember it."""
        self.shown = line_of(key.export_public_key("openssh"))
        return fingerprint(self.shown) in self._allowed

    def begin_auth(self, username: str) -> None:  # noqa: ARG002
        """Remember that the login has begun."""
        self.logging_in = True

    def kbdint_auth_requested(self) -> Any:
        """Return that questions are answered, once; the driver's own way where no answers are known."""
        if not self._login.answers:
            return NotImplemented  # the driver answers the one question for a password by itself
        challenged, self._challenged = self._challenged, True
        return None if challenged else ""

    def kbdint_challenge_received(self, name: str, instructions: str, lang: str, prompts: _Questions) -> list[str] | None:  # noqa: ARG002
        """Return the answers to questions; None where one is not known."""
        replies = [_answer(self._login, prompt) for prompt, _ in prompts]
        return None if None in replies else [reply for reply in replies if reply is not None]


def _end_behind_all_else(connection: asyncssh.SSHClientConnection) -> None:
    """Have the end of a connection heard one turn of the loop later.

    The driver reads the algorithms of a server in a task. Of one that hangs up behind them, as OpenSSH does where it has none in common, it would hear
    first that the connection is lost, and not why.
    """
    loop = asyncio.get_running_loop()

    def later(heard: Callable[..., None], *arguments: Any) -> None:
        loop.call_soon(heard, *arguments)

    for name in ("eof_received", "connection_lost"):
        setattr(connection, name, partial(later, getattr(connection, name)))


def _answer(login: Login, question: str) -> str | None:
    """Return what is answered to a question during the login; None where nothing is known."""
    if "password" in question.lower() and login.password is not None:
        return login.password  # an answer to such a question is meant for the shell
    return next((answer.reply for answer in login.answers if answer.fits(question)), None)
