"""The step type HTTP: one request, and what is made of its answer. Registered in `pyproject.toml`, called by the step runner.

The parts: `http_inputs` reads what is asked, `http_tls` says whom to trust, `http_connection` connects to an address that is open to steps,
`http_exchange` sends and reads, `http_body` keeps what comes, `http_verdict` judges it. Here they are put together, and redirects are followed.
"""

import asyncio
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from stepswitch.plugin import (
    ErrorCode,
    LogLevel,
    Networks,
    Outcome,
    StepContext,
    StepSignature,
    Url,
    Values,
    failed,
    joined,
)
from stepswitch.steps.http_inputs import READS, SIGNATURE, Identity, Request, read_request
from stepswitch.steps.http_verdict import NOBODY_KNOWS, judged, told
from stepswitch.steps.input_faults import InputFaultError

if TYPE_CHECKING:
    from stepswitch.steps.http_connection import LookUp
    from stepswitch.steps.http_exchange import Answer, Ending

CONNECT_SECONDS: Final = 30.0
SILENCE_SECONDS: Final = 300.0
MOST_REDIRECTS: Final = 10
_MOVED: Final = frozenset({301, 302, 303, 307, 308})
_SAME_AGAIN: Final = frozenset({307, 308})
_WITH_LENGTH: Final = frozenset({"POST", "PUT", "PATCH"})
_LAST_WORDS_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Hop:
    """Where a request goes next. `is_ours`: the server is the one that the step names, so it gets what is meant for it."""

    url: Url
    is_ours: bool = True


class RedirectError(Exception):
    """A redirect that is not followed. The request was answered, and not carried out."""


class HttpStep:
    """Sends a request. Times are in seconds; `silence_seconds` is how long nothing may move, `denied` and `allowed` are networks."""

    def __init__(
        self,
        *,
        networks: Networks | None = None,
        connect_seconds: float = CONNECT_SECONDS,
        silence_seconds: float = SILENCE_SECONDS,
        look_up: "LookUp | None" = None,
    ) -> None:
        self._networks = networks or Networks.read()
        self._connect_seconds = connect_seconds
        self._silence_seconds = silence_seconds
        self._look_up = look_up

    @property
    def signature(self) -> StepSignature:
        """What it declares of itself."""
        return SIGNATURE

    async def run(self, inputs: Values, context: StepContext) -> Outcome:
        """Send the request, go where it is redirected if that is wanted, and say how it ended."""
        from stepswitch.steps.http_connection import NotConnectedError  # noqa: PLC0415 - nobody waits for drivers that no step needs

        try:
            request = await read_request(inputs, context)
            return await self._follow(request, context)
        except (InputFaultError, NotConnectedError) as error:
            return failed(error.code, str(error))
        except RedirectError as error:
            return failed(ErrorCode.UNEXPECTED_STATUS, str(error))

    async def release(self, execution_id: str) -> None:
        """Do nothing: no connection outlives its request."""

    async def close(self) -> None:
        """Do nothing, for the same reason."""

    async def _follow(self, request: Request, context: StepContext) -> Outcome:
        hop = Hop(request.url)
        for _ in range(MOST_REDIRECTS + 1):
            ending = await self._exchange(request, hop, context)
            following = None if ending.answer is None else _next(request, hop, ending.answer)
            if following is None:
                return await self._judged(ending, request, hop.url, context)
            hop = following
        raise RedirectError(f"{request.told(request.url)} was redirected more than {MOST_REDIRECTS} times")

    async def _exchange(self, request: Request, hop: Hop, context: StepContext) -> "Ending":
        from stepswitch.steps.http_connection import connect, look_up  # noqa: PLC0415 - see above
        from stepswitch.steps.http_exchange import Exchange, Message  # noqa: PLC0415 - see above

        url = hop.url
        trusted = await _trusted(request.identity, hop) if url.scheme == "https" else None
        connection = await connect(url, trusted, self._networks, self._look_up or look_up, self._connect_seconds)

        async def tell() -> None:
            secured = "without TLS" if trusted is None else "with TLS" if request.identity.verify else "with TLS, whoever that is"
            await context.log(f"sent {request.told(url)} to {connection.address}, {secured}")

        exchange = Exchange(connection, silence_seconds=self._silence_seconds, limit_bytes=context.output_limit_bytes)
        message = Message(request.method, url.target, _headers(request, hop), _body(request, hop))
        try:
            return await exchange.carry_out(message, context.mark_sent, tell)
        except asyncio.CancelledError:
            await _last_words(context, f"the connection to {url.authority} was closed before the answer had come; {NOBODY_KNOWS}")
            raise

    async def _judged(self, ending: "Ending", request: Request, url: Url, context: StepContext) -> Outcome:
        if ending.answer is not None:
            for level, line in told(ending.answer, url):
                await context.log(line, level)
        return judged(ending, request, url, self._silence_seconds)


async def _trusted(identity: Identity, hop: Hop) -> ssl.SSLContext:
    from stepswitch.steps.http_tls import trust  # noqa: PLC0415 - see above

    shown = identity if hop.is_ours else replace(identity, certificate=None, key=None, passphrase=None)
    return await asyncio.to_thread(trust, shown)  # reads every certificate of the machine, which takes a while


def _headers(request: Request, hop: Hop) -> Sequence[tuple[str, str]]:
    own = request.own_headers if hop.is_ours else ()
    ours = {"User-Agent": "stepswitch", "Accept": "*/*", "Accept-Encoding": "gzip"}
    given = {name.lower() for name, _ in own}
    beside = [(name, value) for name, value in ours.items() if name.lower() not in given]
    return [("Host", hop.url.authority), *beside, *own, ("Connection", "close")]


def _body(request: Request, hop: Hop) -> bytes | None:
    body = request.body if hop.is_ours else None
    return b"" if body is None and request.method in _WITH_LENGTH else body


def _next(request: Request, hop: Hop, answer: "Answer") -> Hop | None:
    """Return where a request goes next, None where this is the answer; raises RedirectError where it should go and must not.

    What changes something is never sent where the step does not name, and after 301, 302 and 303 it may have been done already.
    """
    location = answer.header("location")
    only_looks = request.method in READS
    if not request.follows or not location or answer.status not in (_MOVED if only_looks else _SAME_AGAIN):
        return None
    try:
        url = joined(hop.url, location)
    except ValueError as error:
        raise RedirectError(f"{request.told(hop.url)} was redirected by {answer.status}, but its Location {error}") from None
    is_same = url.origin == hop.url.origin
    if not only_looks and not is_same:
        return None
    if hop.url.scheme == "https" and url.scheme != "https":
        raise RedirectError(f"{request.told(hop.url)} was redirected from HTTPS to HTTP at {url.authority}, where anybody could listen")
    return Hop(url, hop.is_ours and is_same)


async def _last_words(context: StepContext, sentence: str) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(context.log(sentence, LogLevel.WARN), _LAST_WORDS_SECONDS)
