"""A VNFM by NFV-SOL 003, and an NFVO by NFV-SOL 005: asked over HTTP what there is, page by page. Implements `engine.source_ports.AsksSources`.

How one asks is in NFV-SOL 013: the version is said in a header, pages are found by `Link` headers (RFC 8288), a token is got by the credentials of a
client, and errors are told as `ProblemDetails` (RFC 7807). Nothing that was opened for one reading is kept for the next one.
"""

import asyncio
import base64
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import quote, quote_plus

from stepswitch.domain.devices import Device
from stepswitch.domain.errors import ErrorCode, SourceError
from stepswitch.domain.findings import Findings, FoundFunction, FoundService
from stepswitch.domain.inventory import Source, SourceKind
from stepswitch.domain.urls import Url, joined, read_url
from stepswitch.engine.ports import Clock, Secrets
from stepswitch.engine.source_ports import Opens
from stepswitch.inventory.sol_documents import instances
from stepswitch.inventory.web import Web, WebAnswer, WebRequest

MOST_PAGES: Final = 2_000
MOST_INSTANCES: Final = 100_000
_PATHS: Final = {SourceKind.SOL003: "vnflcm/v{}/vnf_instances", SourceKind.SOL005: "nslcm/v{}/ns_instances"}
_INTERFACES: Final = {SourceKind.SOL003: "VNF lifecycle management (SOL 003)", SourceKind.SOL005: "NS lifecycle management (SOL 005)"}
_LINK: Final = re.compile(r"<([^<>]*)>((?:\s*;\s*[^\s;,=]+(?:\s*=\s*(?:\"[^\"]*\"|[^\s;,]*))?)*)")
_NEXT: Final = re.compile(r";\s*rel\s*=\s*(?:\"(?:[^\"]*\s)?next(?:\s[^\"]*)?\"|next(?=\s*(?:;|$)))", re.IGNORECASE)
_LONGEST_TOLD: Final = 300
_MOST_SECONDS: Final = 86_400.0


class SolSources:
    """Speaks with VNFMs and NFVOs."""

    def __init__(self, web: Web, secrets: Secrets, clock: Clock) -> None:
        self._web = web
        self._secrets = secrets
        self._clock = clock

    async def read(self, source: Source, opens: Opens) -> Findings:
        """See `AsksSources`."""
        talk = _Talk(self._web, source, opens, self._secrets, self._clock)
        url, seen, found = talk.first(), set[str](), _Collected(source.kind)
        while len(seen) < MOST_PAGES:
            seen.add(str(url))
            answer = await talk.get(url)
            await asyncio.to_thread(found.take, answer)  # a large page takes a while
            following = talk.next_page(url, answer)
            if following is None:
                return found.all()
            if str(following) in seen:
                raise SourceError(ErrorCode.MALFORMED_ANSWER, "its pages come round again: a next page is one that was read already")
            url = following
        raise SourceError(ErrorCode.TOO_LARGE, f"it has more than {MOST_PAGES} pages: narrow what is wanted by a filter")

    async def find(self, source: Source, entry_id: str, opens: Opens) -> Findings:
        """See `AsksSources`."""
        talk = _Talk(self._web, source, opens, self._secrets, self._clock)
        answer = await talk.get(talk.one(entry_id), is_one=True)
        return Findings() if answer.status == 404 else instances(source.kind, [_json(answer)])


class _Talk:
    """One reading: who asks is said in the same way from its first request to its last."""

    def __init__(self, web: Web, source: Source, opens: Opens, secrets: Secrets, clock: Clock) -> None:
        self._web = web
        self._source = source
        self._opens = opens
        self._secrets = secrets
        self._clock = clock
        self._login: str | None = None
        self._opened: list[str] = []
        self._root = f"{source.url}/{_PATHS[source.kind].format(source.api_version[0])}"

    def first(self) -> Url:
        """Return where the first page is. All attributes are wanted: where a network function runs is left out of lists unless one says so."""
        wanted = f"filter={quote(self._source.filter, safe='(),;/')}&" if self._source.filter else ""
        return read_url(f"{self._root}?{wanted}all_fields")

    def one(self, entry_id: str) -> Url:
        """Return where one instance is."""
        return read_url(f"{self._root}/{quote(entry_id, safe='')}")

    async def get(self, url: Url, *, is_one: bool = False) -> WebAnswer:
        """Return a good answer, and one that says that there is nothing where that is one, too; raises SourceError, CredentialError.

        A token that is no longer good is got anew, once.
        """
        answer = await self._ask(url)
        if answer.status == 401 and self._source.oauth is not None:
            self._login = None
            answer = await self._ask(url)
        if answer.status != 200 and not (is_one and answer.status == 404):
            raise self._refusal(answer)
        if answer.is_cut:
            raise SourceError(ErrorCode.TOO_LARGE, "a page of it is larger than is read, or does not unpack: have it give smaller pages")
        return answer

    def next_page(self, url: Url, answer: WebAnswer) -> Url | None:
        """Return where the next page is, None after the last one; raises SourceError where it would be elsewhere: that is no place for the login."""
        following = next((found[1] for found in _LINK.finditer(answer.header("link")) if _NEXT.search(found[2])), None)
        if following is None:
            return None
        try:
            found = joined(url, following)
        except ValueError as error:
            raise SourceError(ErrorCode.MALFORMED_ANSWER, f"the address of its next page {error}") from None
        if found.origin != url.origin:
            raise SourceError(ErrorCode.MALFORMED_ANSWER, f"its next page is at {found.origin}, and not at {url.origin}")
        return found

    async def _ask(self, url: Url) -> WebAnswer:
        if self._login is None:
            self._login = await self._logged_in()
        headers = [("Accept", "application/json"), ("Version", self._source.api_version)]
        if self._login:
            headers.append(("Authorization", self._login))
        return await self._web.exchange(WebRequest("GET", url, headers, None, self._source.ca_certificates))

    async def _logged_in(self) -> str:
        """Return how we say who we are; an empty text where we do not."""
        login = self._source.login
        if self._source.oauth is not None:
            return f"Bearer {await self._token()}"
        if login.username is None or login.password is None:
            return ""
        password = await self._opens(login.password, _device(read_url(self._source.url)), "login.password")
        return self._basic(login.username, password)

    def _basic(self, name: str, password: str) -> str:
        written = base64.b64encode(f"{name}:{password}".encode()).decode()
        self._opened += [password, written]
        return f"Basic {written}"

    async def _token(self) -> str:
        oauth = self._source.oauth
        assert oauth is not None  # noqa: S101 - asked above
        url = read_url(oauth.token_url)
        secret = await self._opens(oauth.client_secret, _device(url), "oauth.clientSecret")
        self._opened.append(secret)
        form = {"grant_type": "client_credentials", **({} if oauth.scope is None else {"scope": oauth.scope})}
        body = "&".join(f"{name}={quote_plus(value)}" for name, value in form.items()).encode()
        login = self._basic(quote_plus(oauth.client_id), quote_plus(secret))
        headers = [("Accept", "application/json"), ("Authorization", login), ("Content-Type", "application/x-www-form-urlencoded")]
        answer = await self._web.exchange(WebRequest("POST", url, headers, body, self._source.ca_certificates))
        if answer.status != 200:
            raise self._refusal(answer, "the server of tokens")
        return self._token_in(_json(answer, "the server of tokens"))

    def _token_in(self, plain: object) -> str:
        found = plain if isinstance(plain, Mapping) else {}
        token, kind = found.get("access_token"), str(found.get("token_type", "Bearer"))
        if not isinstance(token, str) or not token or not (token.isascii() and token.isprintable() and " " not in token):
            raise SourceError(ErrorCode.MALFORMED_ANSWER, "the server of tokens gives no access_token that can be sent")
        if kind.lower() != "bearer":
            raise SourceError(ErrorCode.MALFORMED_ANSWER, "the server of tokens gives a token that is no bearer token")
        self._opened.append(token)
        return token

    def _refusal(self, answer: WebAnswer, who: str = "it") -> SourceError:
        told, status = self._told(answer), answer.status
        match status:
            case 401 | 403:
                code, why = ErrorCode.LOGIN_REFUSED, f"{who} does not let us in: {status}{told}"
            case 429 | 503:
                code, why = ErrorCode.UNEXPECTED_STATUS, f"{who} is too busy: {status}{told}"
            case 404:
                code, why = ErrorCode.UNEXPECTED_STATUS, f"there is no {_INTERFACES[self._source.kind]} at {self._root}: 404{told}"
            case 406:
                version = self._source.api_version
                code, why = ErrorCode.UNEXPECTED_STATUS, f"{who} does not speak version {version}, say another one as apiVersion: 406{told}"
            case _ if 300 <= status < 400:
                code, why = ErrorCode.UNEXPECTED_STATUS, f"{who} is elsewhere ({status}), and nobody is followed there: give that address"
            case _:
                code, why = ErrorCode.UNEXPECTED_STATUS, f"{who} answers {status}{told}"
        return SourceError(code, why, _retry_after(answer.header("retry-after"), self._clock.now()))

    def _told(self, answer: WebAnswer) -> str:
        """Return what an answer says of a problem, without what must not be read."""
        try:
            plain = json.loads(answer.text)
        except (ValueError, RecursionError):
            return ""
        said = [plain.get(name) for name in ("title", "detail", "error", "error_description")] if isinstance(plain, dict) else []
        text = " ".join(": ".join(each for each in said if isinstance(each, str) and each).split())
        masked = self._secrets.masker(self._opened)(text) if self._opened else text
        told = "".join(each if each.isprintable() else "?" for each in masked[:_LONGEST_TOLD])
        return f" ({told})" if told else ""


def _device(url: Url) -> Device:
    return Device(url.host, url.port)


class _Collected:
    """What was found so far; an instance that comes twice is as it was the second time."""

    def __init__(self, kind: SourceKind) -> None:
        self._kind = kind
        self._functions: dict[str, FoundFunction] = {}
        self._services: dict[str, FoundService] = {}
        self._problems: list[str] = []

    def take(self, answer: WebAnswer) -> None:
        """Take in a page; raises SourceError where it is none, or too much has come by now."""
        plain = _json(answer)
        if not isinstance(plain, list):
            raise SourceError(ErrorCode.MALFORMED_ANSWER, "it answers with what is no array of instances")
        page = instances(self._kind, plain)
        self._functions |= {each.id: each for each in page.functions}
        self._services |= {each.id: each for each in page.services}
        self._problems += page.problems
        if len(self._functions) + len(self._services) > MOST_INSTANCES:
            raise SourceError(ErrorCode.TOO_LARGE, f"it has more than {MOST_INSTANCES} instances: narrow what is wanted by a filter")

    def all(self) -> Findings:
        """Return everything."""
        return Findings(tuple(self._functions.values()), tuple(self._services.values()), tuple(dict.fromkeys(self._problems)))


def _json(answer: WebAnswer, who: str = "it") -> Any:
    try:
        return json.loads(answer.text)
    except (ValueError, RecursionError):
        raise SourceError(ErrorCode.MALFORMED_ANSWER, f"{who} answers with what is no JSON") from None


def _retry_after(text: str, now: int) -> float:
    """Return for how many seconds nobody is wanted back; 0 where that is not said."""
    if text.isascii() and text.isdecimal():
        return min(float(text[:9]), _MOST_SECONDS)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return 0.0
    aware = until if until.tzinfo else until.replace(tzinfo=UTC)
    return min(max(0.0, (aware - datetime.fromtimestamp(now / 1000, UTC)).total_seconds()), _MOST_SECONDS)
