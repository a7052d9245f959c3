"""One call to the service and its answer: login, deadlines, the few repetitions that are safe, and errors as values of the tree.

Called by the parts of the client; nothing above it knows HTTP. A call is sent again only where it is `safe`: where the service,
asked twice, has done no more than once.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import httpx

from stepswitch.client.errors import ConnectionBrokenError, NotAuthenticatedError, UnavailableError, UnreachableError
from stepswitch.client.pacing import Pacing
from stepswitch.client.refusals import as_error, strange, told
from stepswitch.domain.this_machine import is_this_machine

TOKEN_HEADER: Final = "x-hm-authorization"
SESSIONS: Final = "/hybridity/api/sessions"
KEPT_SECONDS: Final = 15.0
"""How long an unused connection is kept: shorter than the service does, which would else close it while something is being sent."""
CONNECT_SECONDS: Final = 10.0
_NO_ADDRESS: Final = "this is no address of a service; write it as in http://127.0.0.1:8080"
Answer = TypeVar("Answer")
Content = Path | bytes
"""What a file holds: where it lies, or the bytes themselves."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and a password, kept for as long as the client is open."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Files:
    """The parts of a multipart request: each file in a part `part` of the name that it is given under, and the body in `body_part`."""

    contents: Mapping[str, Content]
    part: str = "files"
    body_part: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked. `about` names the thing, as in "there is no execution e1"; `safe` says that it may be sent twice.

    `seconds` is the longest time until the whole answer is there, or between two parts of one that is read as it comes; None
    leaves it at the client's own. With `files` it is the time between two parts, too.
    """

    method: str
    path: str
    about: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    files: Files | None = None
    safe: bool = False
    seconds: float | None = None
    accepts: frozenset[int] = frozenset()
    """Statuses that are an answer here, beside those that mean success."""
    is_public: bool = False


class Transport:
    """A service as somebody who asks sees it. `timeout` is in seconds."""

    def __init__(
        self, url: str, *, token: str | None, credentials: Credentials | None, timeout: float, tls: ssl.SSLContext | None, pacing: Pacing
    ) -> None:
        self.url = checked_url(url)
        self.token = token
        self.pacing = pacing
        self.timeout = timeout
        self._credentials = credentials
        self._logging_in = asyncio.Lock()
        self._http = httpx.AsyncClient(
            base_url=self.url,
            verify=_trusting(self.url, tls),
            trust_env=not is_here(self.url),
            limits=httpx.Limits(max_keepalive_connections=20, keepalive_expiry=KEPT_SECONDS),
            headers={"user-agent": "stepswitch-client", "accept": "*/*"},
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def json(self, call: Call) -> tuple[Any, httpx.Headers]:
        """Return what the answer says, None where it says nothing, and its headers; raises ClientError."""
        response = await self._repeated(call, self._read)
        if not response.content:
            return None, response.headers
        try:
            return json.loads(response.content), response.headers
        except (ValueError, RecursionError):
            raise strange(self.url, f"answered {call.method} {call.path} with something that is no JSON") from None

    @asynccontextmanager
    async def open(self, call: Call) -> AsyncIterator["Incoming"]:
        """Give the answer as it comes in; raises ClientError, also while it is read."""
        response = await self._repeated(call, self._begin)
        try:
            yield Incoming(response, self.url, self._seconds(call))
        finally:
            await response.aclose()

    async def log_in(self, credentials: Credentials | None = None) -> Any:
        """Return what the service says of a new session, whose token everything that follows carries; raises NotAuthenticatedError."""
        self._credentials = credentials or self._credentials
        if self._credentials is None:
            raise NotAuthenticatedError(401, "", about="no user name and password were given to log in with")
        body = {"username": self._credentials.username, "password": self._credentials.password}
        return await self.open_session(Call("POST", SESSIONS, "login", body=body, is_public=True))

    async def open_session(self, call: Call) -> Any:
        """Return what the service says of a session that a call opens, and send its token with everything that follows."""
        answer, headers = await self.json(call)
        if TOKEN_HEADER not in headers:
            raise strange(self.url, f"answered a login without the header {TOKEN_HEADER}; look at what is in front of the service")
        self.token = headers[TOKEN_HEADER]
        return answer

    def take_password(self, password: str) -> None:
        """Log in with another password from now on, where there was one; the session is over."""
        self.token = None
        if self._credentials is not None:
            self._credentials = Credentials(self._credentials.username, password)

    async def log_out(self) -> None:
        """End the session, without a new login where it has ended already."""
        await self._read(Call("DELETE", SESSIONS, "session"))
        self.token = None

    async def _repeated(self, call: Call, attempt: Callable[[Call], Awaitable[Answer]]) -> Answer:
        """Return what an attempt at the call gives; where that is safe, the call is sent again after what may pass by itself."""
        failures = 0
        while True:
            try:
                return await self._known(call, attempt)
            except (UnavailableError, ConnectionBrokenError, UnreachableError) as error:
                failures += 1
                is_first = failures == 1
                # What could not be reached at the first try is an address that is wrong; later it is a service that starts again.
                if not call.safe or failures >= self.pacing.tries or (is_first and isinstance(error, UnreachableError)):
                    raise
                asked = error.retry_after if isinstance(error, UnavailableError) else None
            await self.pacing.sleep(self.pacing.delay(failures, asked))

    async def _known(self, call: Call, attempt: Callable[[Call], Awaitable[Answer]]) -> Answer:
        """Return what the attempt gives, after a login where there is none, or none any more: who is refused for that has done nothing."""
        if call.is_public or self._credentials is None:
            return await attempt(call)
        token = self.token or await self._renewed(None)
        try:
            return await attempt(call)
        except NotAuthenticatedError:
            await self._renewed(token)
        return await attempt(call)

    async def _renewed(self, token: str | None) -> str:
        """Return a token other than `token`; of many who ask at once, one logs in."""
        async with self._logging_in:
            if self.token is None or self.token == token:
                await self.log_in()
            return self.token or ""

    async def _read(self, call: Call) -> httpx.Response:
        """Return the answer when all of it is there."""
        seconds = self._seconds(call)
        with told(self.url, seconds):
            async with asyncio.timeout(seconds if call.files is None else None):
                response = await self._begin(call)
                try:
                    await response.aread()
                finally:
                    await response.aclose()
                return response

    async def _begin(self, call: Call) -> httpx.Response:
        """Return the answer when its head is there and says yes."""
        seconds = self._seconds(call)
        with ExitStack() as stack:
            stack.enter_context(told(self.url, seconds))
            request = self._request(call, stack)
            response = await self._http.send(request, stream=True)
            if response.is_success or response.status_code in call.accepts:
                return response
            try:
                await response.aread()
            finally:
                await response.aclose()
            raise as_error(self.url, call.about, response)

    def _request(self, call: Call, stack: ExitStack) -> httpx.Request:
        seconds = self._seconds(call)
        headers = {**call.headers} if call.is_public or self.token is None else {**call.headers, TOKEN_HEADER: self.token}
        body = None if call.body is None else json.dumps(call.body).encode()
        files = _parts(call.files, body, stack) if call.files is not None else None
        if files is None and body is not None:
            headers["content-type"] = "application/json"
        return self._http.build_request(
            call.method,
            call.path,
            params=dict(call.query) or None,
            headers=[(name.encode(), value.encode()) for name, value in headers.items()],
            content=body if files is None else None,
            files=files,
            timeout=httpx.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS)),
        )

    def _seconds(self, call: Call) -> float:
        return self.timeout if call.seconds is None else call.seconds


class Incoming:
    """An answer that is read as it comes in."""

    def __init__(self, response: httpx.Response, url: str, seconds: float) -> None:
        self._response = response
        self._url = url
        self._seconds = seconds

    @property
    def status(self) -> int:
        """The status of the answer."""
        return self._response.status_code

    @property
    def headers(self) -> httpx.Headers:
        """The headers of the answer."""
        return self._response.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the content piece by piece; raises ConnectionBrokenError where it breaks off."""
        with told(self._url, self._seconds):
            async for chunk in self._response.aiter_bytes():
                yield chunk


def checked_url(url: str) -> str:
    """Return the address of a service without a slash at its end; raises UnreachableError where it is none."""
    try:
        parsed = urlsplit(url.strip())
        is_fit = parsed.scheme in ("http", "https") and bool(parsed.hostname) and parsed.port != 0 and not parsed.query + parsed.fragment
        httpx.URL(url.strip())
    except (ValueError, httpx.InvalidURL):
        raise UnreachableError(_NO_ADDRESS) from None
    if "@" in parsed.netloc:
        raise UnreachableError("a user and a password do not belong into the address of a service: give them apart from it")
    if not is_fit:
        raise UnreachableError(_NO_ADDRESS)
    return url.strip().rstrip("/")


def _trusting(url: str, tls: ssl.SSLContext | None) -> ssl.SSLContext | bool:
    """Return who is trusted: those whom the system trusts unless told. Without TLS nobody is asked, and reading a hundred certificates saved."""
    return (tls or ssl.create_default_context()) if url.startswith("https:") else False


def is_here(url: str) -> bool:
    """Return whether a proxy, which the environment may name for everything, must not be asked: its `localhost` is another one."""
    return is_this_machine(urlsplit(url).hostname or "")


def _parts(files: Files, body: bytes | None, stack: ExitStack) -> list[tuple[str, Any]]:
    """Return the parts of a multipart request as httpx takes them; files are opened until the stack is closed, and read piece by piece."""
    parts: list[tuple[str, Any]] = [] if body is None else [(files.body_part, (None, body, "application/json"))]
    for name, content in files.contents.items():
        opened = content if isinstance(content, bytes) else stack.enter_context(content.open("rb"))
        parts.append((files.part, (name, opened, "application/octet-stream")))
    return parts
