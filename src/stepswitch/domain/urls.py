"""A URL as a step is given it. What is read here says which device the step acts on, so whoever connects uses this host and this port and reads nothing again.

Two readers of one URL may disagree, and a credential would be let through for one host and sent to another. So this reads less than a browser
does: what is written in an unusual way is no URL. Called by `step_types`, and by step types through `stepswitch.plugin`.
"""

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Final

from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError

_PORTS: Final = {"http": 80, "https": 443}
_HIGHEST_PORT: Final = 65_535
_LONGEST: Final = 8192
_LONGEST_NAME: Final = 253
_URL: Final = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<target>[^#]*)(?:#.*)?", re.ASCII | re.IGNORECASE)
_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]*)://", re.ASCII | re.IGNORECASE)
_AUTHORITY: Final = re.compile(r"(?P<host>\[[0-9a-f:.]*\]|[^:\[\]]*)(?::(?P<port>[0-9]{1,5}))?", re.ASCII | re.IGNORECASE)
_NAME: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*", re.ASCII)
_NUMERIC: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_TARGET: Final = re.compile(r"(?:%[0-9A-Fa-f]{2}|[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=|-])*", re.ASCII)
LONGEST_PATH: Final = 1_024


@dataclass(frozen=True, slots=True)
class Url:
    """An absolute URL of HTTP. `host` is in small letters, an address in its usual form and without brackets; `target` is path and query."""

    scheme: str
    host: str
    port: int
    target: str = field(repr=False)

    @property
    def authority(self) -> str:
        """Host and port as they are written in a URL; a port that goes without saying is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme, host and port: what has one origin is one device, spoken to in one way."""
        return f"{self.scheme}://{self.authority}"

    @property
    def shown(self) -> str:
        """The URL without its query, in which there may be what is nobody's business."""
        path, mark, _ = self.target.partition("?")
        return f"{self.origin}{path}{'?…' if mark else ''}"

    def __str__(self) -> str:
        return f"{self.origin}{self.target}"


def read_url(text: str) -> Url:
    """Return `text` as a URL; raises ValueError with what is wrong, which does not show it: there may be a secret in it."""
    found = _URL.fullmatch(text) if len(text) <= _LONGEST and text.isascii() and text.isprintable() else None
    if found is None and (begins := _SCHEME.match(text)) is not None and begins[1].lower() not in _PORTS:
        raise ValueError("has another scheme than http and https")
    if found is None:
        raise ValueError("is no URL as in https://core.example.net:8443/path: what is not ASCII has to be encoded, as in %C3%A9 and %20")
    authority = found["authority"]
    if "@" in authority:
        raise ValueError("has a user or a password in it: give them by inputs of their own")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise ValueError("has no host that can be read, or a port that is no number")
    scheme = found["scheme"].lower()
    port = _PORTS[scheme] if parts["port"] is None else int(parts["port"])
    if not 1 <= port <= _HIGHEST_PORT:
        raise ValueError(f"has a port that is not from 1 to {_HIGHEST_PORT}")
    if not _TARGET.fullmatch(found["target"]):
        raise ValueError("has characters behind the host that have to be encoded, as in %20")
    target = found["target"]
    return Url(scheme, _host(parts["host"].lower()), port, target if target.startswith("/") else f"/{target}")


def joined(base: Url, location: str) -> Url:
    """Return where `location`, the answer to a request for `base`, leads; raises ValueError as `read_url` does."""
    if _URL.match(location):
        return read_url(location)
    if location.startswith("//"):
        return read_url(f"{base.scheme}:{location}")
    if location.startswith("/"):
        return read_url(f"{base.origin}{location}")
    path = base.target.partition("?")[0]
    if location.startswith("?"):
        return read_url(f"{base.origin}{path}{location}")
    if ":" in location.partition("/")[0]:
        raise ValueError("is no URL of HTTP")
    return read_url(f"{base.origin}{path.rpartition('/')[0]}/{location}")


def _host(host: str) -> str:
    if host.startswith("["):
        try:
            return str(ipaddress.IPv6Address(host[1:-1]))
        except ValueError:
            raise ValueError("has an address in brackets that is none") from None
    if _NUMERIC.fullmatch(host.rpartition(".")[2]):
        # Such a name is an address to some: 2130706433, 0x7f.1 and 0177.0.0.1 are 127.0.0.1 there.
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise ValueError("has a host that ends like an address and is none, as 192.0.2.7 is one") from None
    if len(host) > _LONGEST_NAME or not _NAME.fullmatch(host):
        raise ValueError(
            "has no host name that can be read: letters, digits, '-', '_' and dots between them; other alphabets as in xn--mnchen-3ya"
        )
    return host


def is_local_path(path: str) -> bool:
    """Return whether a browser that is sent there stays on this service, however it reads addresses."""
    is_plain = path.isascii() and path.isprintable() and " " not in path and "\\" not in path
    return is_plain and len(path) <= LONGEST_PATH and path.startswith("/") and not path.startswith("//")


def check_local_path(name: str, path: str) -> None:
    """Raise InvalidRequestError where `path`, which came as `name`, does not stay on this service."""
    if not is_local_path(path):
        raise InvalidRequestError([Fault(ErrorCode.INVALID_VALUE, name, "is to be a path on this service, as in /docs")])
