"""The REST API of one vRO for one attempt: a request and its answer, with the login. Called by `vro_workflows` and `vro_runs`.

Requests travel as those of the step type HTTP do, so that whoever asks learns whether anything had left when it failed. The address is the
inventory's, which only administrators write, so no network is denied.
"""

import asyncio
import base64
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from stepswitch.plugin import CredentialError, Device, ErrorCode, Networks, StepContext, Url, read_url
from stepswitch.steps.http_connection import NotConnectedError, connect, look_up
from stepswitch.steps.http_exchange import Answer, End, Exchange, Message
from stepswitch.steps.output import harmless
from stepswitch.steps.patterns import shortened
from stepswitch.steps.vro_place import Place

LARGEST_ANSWER: Final = 32 * 1024 * 1024
"""A run with files is one JSON document, and so is its log."""
_EVERYWHERE: Final = Networks.read(denied="")
_MESSAGES: Final = ("message", "errorMessage", "error", "detail")


class VroError(Exception):
    """vRO did not do what it was asked. `was_sent`: the request had begun to leave, so that nobody knows what became of it."""

    def __init__(self, code: ErrorCode, message: str, *, was_sent: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.was_sent = was_sent


@dataclass(frozen=True, slots=True)
class Reply:
    """What vRO has answered; `whom` is the vRO as people write it."""

    whom: str
    status: int
    location: str
    text: str = field(repr=False)
    is_whole: bool = True

    @property
    def is_good(self) -> bool:
        """Whether vRO has done what it was asked."""
        return 200 <= self.status <= 299

    @property
    def content(self) -> Any:
        """The body as JSON; raises VroError where it is none."""
        if not self.is_whole:
            raise VroError(ErrorCode.MALFORMED_ANSWER, f"what {self.whom} answers is over {LARGEST_ANSWER} bytes", was_sent=True)
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            raise VroError(ErrorCode.MALFORMED_ANSWER, f"what {self.whom} answers is no JSON", was_sent=True) from None

    @property
    def said(self) -> str:
        """The beginning of what it says, for a sentence."""
        text = self.text
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            text = next((said for name in _MESSAGES if isinstance(said := found.get(name), str) and said), text)
        return shortened(" ".join(filter(None, (harmless(line.strip()) for line in text.splitlines()))))


def _nothing() -> None:
    """Do nothing: a request that only looks marks nothing."""


async def _tell_nobody() -> None:
    """Do nothing: requests to vRO are not told one by one."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a vRO may take, in seconds."""

    connect_seconds: float = 30.0
    silence_seconds: float = 60.0
    """Without a byte of an answer."""
    answer_seconds: float = 300.0
    """For one whole answer."""


class VroApi:
    """One vRO, spoken to for one attempt."""

    def __init__(self, place: Place, context: StepContext, patience: Patience) -> None:
        self._place = place
        self._context = context
        self._patience = patience
        self._authorization: tuple[tuple[str, str], ...] = ()
        self._trusted: ssl.SSLContext | None = None

    @property
    def name(self) -> str:
        """The vRO as people write it."""
        return f"the vRO at {self._place.api.authority}"

    @property
    def username(self) -> str | None:
        """Who logs in; None where a token does."""
        return self._place.endpoint.login.username

    async def ask(self, method: str, path: str, body: object = None, *, mark_sent: Callable[[], None] = _nothing) -> Reply:
        """Return the answer to a request, whatever it says; raises VroError and CredentialError. Who is not let in any more logs in once again."""
        reply = await self._once(method, path, body, mark_sent)
        if reply.status != 401:
            return reply
        await self._log_in(anew=True)  # its password may have been changed meanwhile
        reply = await self._once(method, path, body, mark_sent)
        if reply.status == 401:
            raise VroError(ErrorCode.LOGIN_REFUSED, f"{self.name} does not accept the login that the inventory has for it")
        return reply

    async def _once(self, method: str, path: str, body: object, mark_sent: Callable[[], None]) -> Reply:
        url = read_url(f"{self._place.api}{path}")
        await self._log_in()
        headers = [("Host", url.authority), ("User-Agent", "stepswitch"), ("Accept", "application/json"), *self._authorization]
        sent = None if body is None else json.dumps(body).encode()
        if sent is not None:
            headers.append(("Content-Type", "application/json"))
        try:
            connection = await connect(url, await self._trust(url), _EVERYWHERE, look_up, self._patience.connect_seconds)
        except NotConnectedError as error:
            raise VroError(error.code, f"{self.name}: {error}") from None
        exchange = Exchange(connection, silence_seconds=self._patience.silence_seconds, limit_bytes=LARGEST_ANSWER)
        message = Message(method, url.target, [*headers, ("Connection", "close")], sent)
        try:
            async with asyncio.timeout(self._patience.answer_seconds):
                ending = await exchange.carry_out(message, mark_sent, _tell_nobody)
        except TimeoutError:
            raise VroError(ErrorCode.TIMEOUT, f"{self.name} did not come to the end of its answer", was_sent=True) from None
        return self._reply(ending.end, ending.answer)

    def _reply(self, end: End, answer: Answer | None) -> Reply:
        match end:
            case End.ANSWERED if answer is not None:
                return Reply(self.name, answer.status, answer.header("location"), answer.body.text, not answer.body.is_over)
            case End.REFUSED:
                raise VroError(ErrorCode.LOGIN_REFUSED, f"{self.name} ended TLS before it had read the request")
            case End.SILENT:
                message = f"{self.name} said nothing for {self._patience.silence_seconds:g} seconds"
                raise VroError(ErrorCode.TIMEOUT, message, was_sent=True)
            case End.MALFORMED:
                raise VroError(ErrorCode.MALFORMED_ANSWER, f"what answers as {self.name} does not speak HTTP as it should", was_sent=True)
            case _:
                raise VroError(ErrorCode.CONNECTION_CUT, f"the connection to {self.name} was cut before its answer had come", was_sent=True)

    async def _log_in(self, *, anew: bool = False) -> None:
        """Have the header ready that says who we are."""
        login = self._place.endpoint.login
        if login.password is None or (self._authorization and not anew):
            return
        secret = await self._context.secret(login.password, Device(self._place.api.host, self._place.api.port), anew=anew)
        self._authorization = (("Authorization", _basic(login.username, secret) if login.username else _bearer(secret)),)

    async def _trust(self, url: Url) -> ssl.SSLContext | None:
        if url.scheme != "https":
            return None
        if self._trusted is None:
            self._trusted = await asyncio.to_thread(_context, self._place.endpoint.ca_certificates)
        return self._trusted


def _basic(username: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode(errors='replace')).decode()}"


def _bearer(token: str) -> str:
    if not (token.isascii() and token.isprintable() and " " not in token):
        message = "nothing was sent: the vRO has no username in the inventory, so its password is a token, and this one has characters that no token has"
        raise CredentialError(ErrorCode.CREDENTIAL_UNAVAILABLE, message)
    return f"Bearer {token}"


def _context(certificates: str | None) -> ssl.SSLContext:
    """Return whom we trust. Reads every certificate of the machine where the inventory names none, which takes a while."""
    try:
        context = ssl.create_default_context(cadata=certificates)
    except (ssl.SSLError, ValueError, TypeError):  # TypeError: what is not ASCII
        raise VroError(ErrorCode.WRONG_CERTIFICATE, "the caCertificates of the vRO in the inventory cannot be read") from None
    context.set_alpn_protocols(["http/1.1"])
    return context
