"""The API of one Kubernetes cluster: what K8S asks of it, over HTTP/1.1 with TLS. Called by `kubernetes_run` and its companions.

Every question may be asked twice: things are made under names that are known before, so one whose answer was lost is found again. Proxies that the
environment names are not used, and no redirect is followed: a token goes to the server of the inventory only.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import chain, repeat
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import httpx

from stepswitch.plugin import CUT, ErrorCode
from stepswitch.steps.http_connection import NotConnectedError, explained
from stepswitch.steps.output import harmless

Object = dict[str, Any]
LARGEST_ANSWER: Final = 8 * 1024 * 1024
WATCH_SECONDS: Final = 60
"""How long the server lets one watch be open; nothing is heard for so long only from a connection that is none."""
_LONGEST_PAUSE: Final = 30.0
_SHOWN: Final = 1_000
_AGAIN: Final = frozenset({429, 500, 502, 503, 504})
_IN_DOUBT: Final = _AGAIN - {429}
"""Answers after which nobody knows what became of the question."""
_T = TypeVar("_T")


class ApiError(Exception):
    """The server said no. `status` is 0 where what it said is no answer of Kubernetes; `may_be_made` is said by `Api.create`, `whom` by all of `Api`."""

    def __init__(self, status: int, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.whom = "the cluster"
        self.may_be_made = status in _IN_DOUBT


class LinkError(Exception):
    """There is no connection, or it broke; `may_be_made` where something was sent before."""

    def __init__(self, code: ErrorCode, message: str, *, is_unsent: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.may_be_made = not is_unsent


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a cluster that cannot be asked is asked again, in seconds, and the pauses between. The last pause is repeated."""

    seconds: float
    pauses: tuple[float, ...]
    reconnects: bool = True
    """Whether it is asked again where there is no connection, too; otherwise only where it says that it has too much to do."""

    async def insist(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        """Return what `ask` returns, which is called again where the server cannot be asked or has too much to do; raises the last error."""
        clock = asyncio.get_running_loop().time
        until = clock() + self.seconds
        for pause in chain(self.pauses, repeat(self.pauses[-1])):
            try:
                return await ask()
            except (ApiError, LinkError) as error:
                wait = max(pause, _wished(error))
                is_hopeless = isinstance(error, LinkError) and not self.reconnects
                if is_hopeless or not passes(error) or clock() + wait > until:
                    raise
                await asyncio.sleep(wait)
        raise AssertionError("pauses have no end")


def passes(error: ApiError | LinkError) -> bool:
    """Return whether a question may have another answer when it is asked again."""
    return error.status in _AGAIN if isinstance(error, ApiError) else error.code in _PASSING


_PASSING: Final = frozenset(
    {ErrorCode.CONNECTION_CUT, ErrorCode.CONNECTION_REFUSED, ErrorCode.UNREACHABLE, ErrorCode.TIMEOUT, ErrorCode.EXHAUSTED}
)


class Api:
    """Asks one cluster. `url` may have a path, behind which the API begins. Times are in seconds."""

    def __init__(self, url: str, trusted: ssl.SSLContext, token: str | None, *, connect_seconds: float, answer_seconds: float) -> None:
        self._url = url.rstrip("/")
        self.server = httpx.URL(url).netloc.decode()
        limits = httpx.Timeout(answer_seconds, connect=connect_seconds)
        headers = {"User-Agent": "stepswitch", "Accept": "application/json, */*", "Accept-Encoding": "identity"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        self._client = httpx.AsyncClient(verify=trusted, trust_env=False, timeout=limits, headers=headers)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._client.aclose()

    async def get(self, path: str, **query: str) -> Object:
        """Return one object or a list; raises ApiError and LinkError."""
        return await self._asked("GET", path, query)

    async def create(self, path: str, body: Object, patience: Patience) -> Object | None:
        """Return what was made; None where an earlier asking, whose answer was lost, has made it.

        Raises ApiError and LinkError, which say whether it may have been made.
        """
        may_be_made = False

        async def ask() -> Object | None:
            nonlocal may_be_made
            try:
                return await self._asked("POST", path, {}, body)
            except (ApiError, LinkError) as error:
                if may_be_made and isinstance(error, ApiError) and error.status == 409:
                    return None
                may_be_made = error.may_be_made = may_be_made or error.may_be_made
                raise

        return await patience.insist(ask)

    async def delete(self, path: str, options: Object) -> None:
        """Have something removed; what is not there is removed already. Raises ApiError and LinkError."""
        try:
            await self._asked("DELETE", path, {}, options)
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    async def watch(self, path: str, query: Mapping[str, str]) -> AsyncIterator[tuple[str, Object]]:
        """Yield changes, each its kind and the object, until the server ends it; raises ApiError, with 410 where it remembers no longer, and LinkError."""
        asked = {**query, "watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(WATCH_SECONDS)}
        async with self._stream("GET", path, asked, WATCH_SECONDS * 1.5) as answer:
            async for line in _lines(answer):
                change = _as_object(line)
                kind, changed = change.get("type"), change.get("object")
                if not isinstance(kind, str) or not isinstance(changed, dict):
                    raise ApiError(0, "it sends changes that are none of Kubernetes")
                if kind == "ERROR":
                    raise _refusal(changed, int(changed.get("code") or 500))
                yield kind, changed

    @asynccontextmanager
    async def log(self, path: str, query: Mapping[str, str], silence_seconds: float) -> AsyncIterator[AsyncIterator[bytes]]:
        """Give a log as it comes; raises ApiError, and LinkError also from what it gives, where that breaks off or nothing comes for so long."""
        async with self._stream("GET", path, query, silence_seconds) as answer:
            yield answer.aiter_raw()

    async def _asked(self, method: str, path: str, query: Mapping[str, str], body: Object | None = None) -> Object:
        async with self._stream(method, path, query, None, body) as answer:
            return _as_object(await _whole(answer))

    @asynccontextmanager
    async def _stream(
        self, method: str, path: str, query: Mapping[str, str], silence_seconds: float | None, body: Object | None = None
    ) -> AsyncIterator[httpx.Response]:
        """Give an answer that is none of refusal, with its body to come."""
        content = None if body is None else json.dumps(body).encode()
        headers = {} if content is None else {"Content-Type": "application/json"}
        request = self._client.build_request(method, self._url + path, params=dict(query), content=content, headers=headers)
        if silence_seconds is not None:
            request.extensions["timeout"] = {**request.extensions["timeout"], "read": silence_seconds}
        try:
            answer = await self._client.send(request, stream=True)
            try:
                if not answer.is_success:
                    raise await _refused(answer)
                yield answer
            finally:
                await answer.aclose()
        except ApiError as error:
            error.whom = f"the cluster at {self.server}"
            raise
        except httpx.HTTPError as error:
            raise _broken(error, self.server) from None


def shortened(text: str, most: int) -> str:
    """Return a text that is said, marked where it was cut."""
    return text if len(text) <= most else text[:most] + CUT


async def _refused(answer: httpx.Response) -> ApiError:
    try:
        said = _as_object(await _whole(answer))
    except ApiError:
        said = {}
    return _refusal(said, answer.status_code, answer.headers.get("retry-after"))


def _refusal(said: Object, status: int, wait: str | None = None) -> ApiError:
    told = said.get("message")
    message = shortened(harmless(str(told)), _SHOWN) if told else f"status {status} without a reason"
    wished = wait if wait is not None else (said.get("details") or {}).get("retryAfterSeconds")
    return ApiError(status, message, float(wished) if wished is not None and str(wished).isdecimal() else None)


def _wished(error: ApiError | LinkError) -> float:
    wished = error.retry_after if isinstance(error, ApiError) else None
    return min(wished or 0.0, _LONGEST_PAUSE)


def _broken(error: httpx.HTTPError, server: str) -> LinkError:
    """Return what became of a connection, by the error that lies under the driver's own."""
    cause: BaseException | None = error
    found: OSError | None = None
    while cause is not None:
        found = cause if isinstance(cause, OSError) and (cause.errno is not None or isinstance(cause, ssl.SSLError)) else found
        cause = cause.__cause__ or cause.__context__
    is_unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    if isinstance(error, httpx.TimeoutException):
        return LinkError(ErrorCode.TIMEOUT, f"{server} did not answer in time", is_unsent=is_unsent)
    if found is not None and (is_unsent or isinstance(found, ssl.SSLError)):
        told: NotConnectedError = explained(found, server)
        return LinkError(told.code, str(told), is_unsent=is_unsent)
    if is_unsent:
        return LinkError(ErrorCode.UNREACHABLE, f"{server} cannot be reached", is_unsent=True)
    return LinkError(ErrorCode.CONNECTION_CUT, f"the connection to {server} broke")


async def _whole(answer: httpx.Response) -> bytes:
    kept = bytearray()
    async for piece in answer.aiter_raw():
        kept += piece
        if len(kept) > LARGEST_ANSWER:
            raise ApiError(0, "its answer is larger than any of Kubernetes")
    return bytes(kept)


async def _lines(answer: httpx.Response) -> AsyncIterator[bytes]:
    kept = bytearray()
    async for piece in answer.aiter_raw():
        kept += piece
        *lines, rest = kept.split(b"\n")
        for line in lines:
            if line.strip():
                yield bytes(line)
        kept = rest
        if len(kept) > LARGEST_ANSWER:
            raise ApiError(0, "it sends a change that is larger than any object of Kubernetes")


def _as_object(text: bytes) -> Object:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ApiError(0, "what it answers is no object of Kubernetes: is this the address of its API?")
    return found
