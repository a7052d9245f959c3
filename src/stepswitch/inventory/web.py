"""The seam to HTTP for whoever asks sources: one request, one answer. Implemented in `bootstrap`, with the connections that HTTP steps have."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from stepswitch.domain.urls import Url


@dataclass(frozen=True, slots=True)
class WebRequest:
    """A request; `authorities` are certificates in PEM that the server's own is checked against, None leaves it to the system."""

    method: str
    url: Url
    headers: Sequence[tuple[str, str]] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    authorities: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class WebAnswer:
    """An answer; names of headers are in small letters. `is_cut`: the body was longer than it may be, or does not unpack."""

    status: int
    headers: Sequence[tuple[str, str]]
    text: str = field(repr=False)
    is_cut: bool = False

    def header(self, name: str) -> str:
        """Return every value of a header, with commas between them; an empty text where there is none."""
        return ", ".join(value for each, value in self.headers if each == name)


class Web(Protocol):
    """Whoever sends requests. No redirect is followed, and each has a deadline."""

    async def exchange(self, request: WebRequest) -> WebAnswer:
        """Return the answer, whatever its status is; raises SourceError where there is none."""
        ...
