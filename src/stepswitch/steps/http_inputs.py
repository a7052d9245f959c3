"""What HTTP takes and gives, and its inputs read into a request. Called by `http` and its companions.

Nothing here looks at the network. Every fault is a sentence that shows no value: any of them may hold a secret.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from stepswitch.plugin import (
    ErrorCode,
    InputSpec,
    OutputSpec,
    StepContext,
    StepSignature,
    TargetError,
    Url,
    Value,
    Values,
    ValueType,
    read_url,
)
from stepswitch.steps.input_faults import Faults, InputFaultError

METHODS: Final = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that only look (RFC 9110, 9.2.1)."""
EXPECTED: Final = "200-299"
_TEXT: Final = (ValueType.STRING,)
_SECRET: Final = (ValueType.PASSWORD, ValueType.STRING)
_PEM: Final = (ValueType.STRING, ValueType.FILE)
_PRIVATE: Final = (ValueType.PASSWORD, ValueType.FILE)
_FLAG: Final = (ValueType.BOOLEAN,)
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_OURS: Final = frozenset(
    {"connection", "content-length", "expect", "host", "keep-alive", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Headers that say how the request travels, which is not the author's to say."""
_BODIES: Final = ("body", "bodyFile", "json")
_MOST_HEADERS: Final = 100
_RANGE: Final = re.compile(r"\s*([1-5][0-9]{2})(?:\s*-\s*([1-5][0-9]{2}))?\s*", re.ASCII)

SIGNATURE: Final = StepSignature(
    name="HTTP",
    description="Sends one request over HTTP/1.1, with TLS or without, and takes the answer. A status that is not expected fails the step. "
    "Where it may connect to, the settings say: not to this machine itself unless they let it.",
    inputs=(
        InputSpec(
            "url",
            _TEXT,
            "The absolute URL, as in `https://core.example.net:8443/api/cells?state=up`. What is not ASCII, and blanks, are percent-encoded.",
            required=True,
            tells_what=True,
        ),
        InputSpec("method", _TEXT, "The method.", default="GET", choices=METHODS, tells_what=True),
        InputSpec(
            "headers",
            _SECRET,
            'A JSON object with headers: `{"Accept": "application/json"}`; an array of strings sends one of a name for each.',
            tells_what=True,
        ),
        InputSpec("body", _SECRET, "What is sent with the request, as UTF-8.", tells_what=True),
        InputSpec("bodyFile", (ValueType.FILE,), "The same as an attachment, byte by byte. Not together with `body`.", tells_what=True),
        InputSpec(
            "json",
            _SECRET,
            "The same as JSON, which is checked before anything is sent, and sent as `application/json`. Not together with `body`.",
            tells_what=True,
        ),
        InputSpec("username", _TEXT, "Who logs in (Basic). Not together with `bearerToken`."),
        InputSpec("password", _SECRET, "The password of that user."),
        InputSpec("bearerToken", _SECRET, "A token, sent as `Authorization: Bearer …`."),
        InputSpec("expectedStatus", _TEXT, "The status codes that are a success, as in `200-299,404`.", default=EXPECTED, tells_what=True),
        InputSpec(
            "followRedirects",
            _FLAG,
            "Whether GET, HEAD and OPTIONS go where a redirect leads, and others where 307 or 308 leads at the same server. "
            "Another server is sent no login, no header of yours and no client certificate; from HTTPS none leads to HTTP.",
            default=False,
        ),
        InputSpec("verify", _FLAG, "Whether the server's certificate is checked; `false` sends all to whoever answers.", default=True),
        InputSpec("caCertificate", _PEM, "Certificates in PEM form that the server's own is checked against, in place of the system's."),
        InputSpec("clientCertificate", _PEM, "The certificate in PEM form that is shown to the server."),
        InputSpec("clientKey", _PRIVATE, "The private key of that certificate in PEM form."),
        InputSpec("clientKeyPassphrase", _SECRET, "What opens a protected private key."),
        InputSpec("vimLocation", (ValueType.VIM_LOCATION, ValueType.STRING), "The VIM at whose site the step is carried out."),
    ),
    outputs=(
        OutputSpec("statusCode", ValueType.NUMBER, "The status code of the answer."),
        OutputSpec("body", ValueType.STRING, "Its body as a text."),
        OutputSpec("json", ValueType.STRING, "The same, where the answer says that it is JSON, and it is."),
        OutputSpec("headers", ValueType.STRING, "Its headers as a JSON object, names in small letters."),
        OutputSpec("url", ValueType.STRING, "The URL that gave it, which is another one after redirects."),
    ),
    safe_when={"method": READS},
    time_limit_seconds=14_400.0,
    url_input="url",
)


@dataclass(frozen=True, slots=True)
class Identity:
    """What TLS needs beside the system's own, in PEM form."""

    verify: bool = True
    authorities: str | None = None
    certificate: str | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Request:
    """All that one attempt was asked to do. `own_headers` are the author's, the login among them."""

    url: Url
    method: str
    own_headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes | None = field(repr=False)
    expected: tuple[tuple[int, int], ...]
    follows: bool
    identity: Identity = field(repr=False)

    def expects(self, status: int) -> bool:
        """Return whether a status is a success."""
        return any(first <= status <= last for first, last in self.expected)

    def told(self, url: Url) -> str:
        """Return what is asked of a URL, as people read it."""
        return f"{self.method} {url.shown}"

    @property
    def expected_text(self) -> str:
        """The expected codes as they are written."""
        return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in self.expected)


async def read_request(inputs: Values, context: StepContext) -> Request:
    """Return what the inputs of a step ask for; raises InputFaultError with every fault."""
    faults = Faults()
    method = (_text(inputs, "method") or "GET").upper()
    if method not in METHODS:
        faults.add(ErrorCode.INVALID_VALUE, f"the input 'method' is none of {', '.join(METHODS)}")
    url = faults.attempt(lambda: _url(inputs))
    body, kind = await faults.attempted(_body(inputs, context)) or (None, "")
    given = [*_headers(_text(inputs, "headers"), faults), *(faults.attempt(lambda: [*_login(inputs)]) or ())]
    names = {name.lower() for name, _ in given}
    if sum(name.lower() == "authorization" for name, _ in given) > 1:
        faults.add(ErrorCode.INVALID_VALUE, "the headers have an 'Authorization' of their own: give that, or a login by the other inputs")
    if kind and "content-type" not in names:
        given.append(("Content-Type", kind))
    expected = faults.attempt(lambda: _expected(_text(inputs, "expectedStatus") or EXPECTED))
    identity = await _identity(inputs, context, faults)
    return Request(
        url=faults.settled(url),
        method=method,
        own_headers=tuple(given),
        body=body,
        expected=faults.settled(expected),
        follows=_flag(inputs, "followRedirects", default=False),
        identity=identity,
    )


def _url(inputs: Values) -> Url:
    text = _text(inputs, "url")
    if not text:
        raise InputFaultError(ErrorCode.MISSING_INPUT, "the input 'url' is without value")
    try:
        return read_url(text)
    except ValueError as error:
        raise _unfit(f"the input 'url' {error}") from None


async def _body(inputs: Values, context: StepContext) -> tuple[bytes | None, str]:
    """Return what is sent, and which kind of content it is where that is known."""
    given = [name for name in _BODIES if inputs.get(name) is not None]
    if len(given) > 1:
        raise _unfit(f"give one of {', '.join(repr(name) for name in _BODIES)}, not {' and '.join(repr(name) for name in given)}")
    if not given:
        return None, ""
    name, text = given[0], _text(inputs, given[0]) or ""
    if name == "bodyFile":
        return await _attachment(context, name, text), ""
    if name == "json":
        _as_json("json", text)
        return text.encode(), "application/json"
    return text.encode(errors="replace"), "text/plain; charset=utf-8"


def _headers(text: str | None, faults: Faults) -> Iterator[tuple[str, str]]:
    """Yield the headers that can be sent; the others are noted."""
    found = faults.attempt(lambda: _as_json("headers", text)) if text is not None and text.strip() else {}
    if found is not None and (not isinstance(found, dict) or len(found) > _MOST_HEADERS):
        faults.add(ErrorCode.INVALID_VALUE, f"the input 'headers' is to be a JSON object with at most {_MOST_HEADERS} names")
    elif found is not None:
        for number, (name, value) in enumerate(found.items(), 1):
            why = _fault_of_header(number, name, value)
            if why is not None:
                faults.add(ErrorCode.INVALID_VALUE, why)
            else:
                yield from ((name, each) for each in (value if isinstance(value, list) else [value]))


def _fault_of_header(number: int, name: str, value: object) -> str | None:
    if not _TOKEN.fullmatch(name):
        return f"name number {number} in the input 'headers' is none that a header can have"
    if name.lower() in _OURS:
        return f"the header {name!r} is not for a step to send: it says how the request travels"
    if not all(isinstance(each, str) and _can_be_sent(each) for each in (value if isinstance(value, list) else [value])):
        return f"the header {name!r} is to be a string, or an array of them, of printable ASCII on one line"
    return None


def _login(inputs: Values) -> Iterator[tuple[str, str]]:
    username, password, token = (_text(inputs, name) for name in ("username", "password", "bearerToken"))
    if token is not None and (username is not None or password is not None):
        raise _unfit("give 'bearerToken', or 'username' and 'password', not both")
    if password is not None and not username:
        raise _unfit("there is a 'password' without a 'username'")
    if token is not None:
        if not token or " " in token or not _can_be_sent(token):
            raise _unfit("the input 'bearerToken' has characters that no token has")
        yield "Authorization", f"Bearer {token}"
    elif username:
        if ":" in username or any(ord(each) < ord(" ") for each in f"{username}{password or ''}"):
            raise _unfit("'username' or 'password' has characters that a login by Basic cannot have")
        login = f"{username}:{password or ''}".encode(errors="replace")
        yield "Authorization", f"Basic {base64.b64encode(login).decode()}"


def _expected(text: str) -> tuple[tuple[int, int], ...]:
    ranges = [_RANGE.fullmatch(part) for part in text.split(",")]
    found = tuple((int(each[1]), int(each[2] or each[1])) for each in ranges if each is not None)
    if len(found) < len(ranges) or any(first > last for first, last in found):
        raise _unfit("the input 'expectedStatus' is to be status codes and ranges of them, as in '200-299,404'")
    return found


async def _identity(inputs: Values, context: StepContext, faults: Faults) -> Identity:
    before = faults.count
    authorities, certificate, key = [
        await faults.attempted(_pem(inputs, context, name)) for name in ("caCertificate", "clientCertificate", "clientKey")
    ]
    if faults.count == before and (certificate is None) is not (key is None):
        faults.add(ErrorCode.INVALID_VALUE, "'clientCertificate' and 'clientKey' belong together: one of them is without value")
    verify = _flag(inputs, "verify", default=True)
    if authorities is not None and not verify:
        faults.add(
            ErrorCode.INVALID_VALUE, "'caCertificate' says what the server's certificate is checked against, and 'verify' that it is not"
        )
    return Identity(
        verify, authorities, certificate, None if key is None else key.encode(errors="replace"), _text(inputs, "clientKeyPassphrase")
    )


async def _pem(inputs: Values, context: StepContext, name: str) -> str | None:
    text = _text(inputs, name)
    if text and context.is_file(name):
        text = (await _attachment(context, name, text)).decode("utf-8", "replace")
    return text if text and text.strip() else None


async def _attachment(context: StepContext, name: str, key: str) -> bytes:
    if not context.is_file(name):
        raise _unfit(f"the input {name!r} must be bound as type file")
    try:
        return await context.attachment(key)
    except TargetError as error:
        raise InputFaultError(ErrorCode.UNKNOWN_ATTACHMENT, str(error)) from None


def _as_json(name: str, text: str | None) -> Any:
    try:
        return json.loads(text or "")
    except (ValueError, RecursionError):
        raise _unfit(f"the input {name!r} is no JSON") from None


def _can_be_sent(text: str) -> bool:
    """Return whether a text can stand in a header: without the ends of lines, with which it would be more than one."""
    return text.isascii() and text.isprintable() and text == text.strip()


def _flag(inputs: Values, name: str, *, default: bool) -> bool:
    value = inputs.get(name)
    return default if value is None else value not in (False, "false")


def _text(inputs: Mapping[str, Value], name: str) -> str | None:
    value = inputs.get(name)
    return None if value is None else str(value)


def _unfit(message: str) -> InputFaultError:
    return InputFaultError(ErrorCode.INVALID_VALUE, message)
