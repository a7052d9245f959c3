"""Tags of what there is: `ETag` of an answer, `If-Match` and `If-None-Match` of a request. Called by the operations that have tags."""

import re
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError

_TAG: Final = re.compile(r'\s*(?:(W/)?"([\x21\x23-\x7e\x80-\uffff]*)")?\s*(?:,|$)')
_QUOTE: Final = '"'
_PACKED: Final = "-gzip"
"""What tells the tag of a packed answer from that of the same one as it is. Both name the same state, so either is good in a precondition."""
UNSHARED: Final = "private, no-cache"
"""`Cache-Control` of what has a tag: whoever keeps it asks each time whether it still is so, and keeps it for nobody else."""


@dataclass(frozen=True, slots=True)
class KnownTags:
    """What a request says in `If-None-Match`: the tags of what its sender has; `is_any` where it says `*`. Weak or not makes no difference there."""

    tags: frozenset[str] = frozenset()
    is_any: bool = False

    def __bool__(self) -> bool:
        return self.is_any or bool(self.tags)

    def has(self, tag: str) -> bool:
        """Return whether the sender has what is tagged so."""
        return self.is_any or tag in self.tags


def etag(tag: str, *, is_weak: bool = False) -> str:
    """Return the value of the header `ETag`."""
    return f'W/"{tag}"' if is_weak else f'"{tag}"'


def packed_etag(value: str) -> str:
    """Return the `ETag` of the packed form of what has `value` as its own; a weak one is good for both."""
    return value if value.startswith("W/") else f'{value.removesuffix(_QUOTE)}{_PACKED}"'


def wanted_tags(request: Request) -> frozenset[str] | None:
    """Return the tags that `If-Match` lists, None where there is none or it says `*`; raises InvalidRequestError.

    A weak tag (`W/"…"`) never fits: it does not promise that nothing has changed.
    """
    listed = _listed(request, "If-Match")
    return None if listed is None else frozenset(_state(tag) for is_weak, tag in listed if not is_weak)


def wanted_states(request: Request) -> frozenset[str] | None:
    """Return the states of an execution that `If-Match` lists, None where there is none or it says `*`; raises InvalidRequestError.

    The tag of an execution begins with the state that it is in, up to a point. What follows, and makes it a weak tag, tells of lines of
    log and of the reason to wait: whoever steers has seen the state all the same.
    """
    listed = _listed(request, "If-Match")
    return None if listed is None else frozenset(tag.partition(".")[0] for _, tag in listed)


def unchanged(request: Request, tag: str) -> Response | None:
    """Return the 304 where `If-None-Match` says that the sender has what is tagged so; raises InvalidRequestError where it cannot be read."""
    listed = known_tags(request)
    known = tag if listed.is_any else next((each for each in listed.tags if _state(each) == tag), None)
    if known is None:
        return None
    return Response(None, 304, {"ETag": etag(known), "Cache-Control": UNSHARED})


def _state(tag: str) -> str:
    """Return which state a tag names, whatever the form of the answer that it came with."""
    return tag.removesuffix(_PACKED)


def known_tags(request: Request) -> KnownTags:
    """Return what `If-None-Match` says; raises InvalidRequestError where it cannot be read."""
    if "if-none-match" not in request.headers:
        return KnownTags()
    listed = _listed(request, "If-None-Match")
    return KnownTags(is_any=True) if listed is None else KnownTags(frozenset(tag for _, tag in listed))


def _listed(request: Request, name: str) -> list[tuple[bool, str]] | None:
    """Return the tags in a header, each with whether it is weak; None where there is none or it says `*`."""
    lines = request.headers.getlist(name)
    text = ",".join(lines).strip()
    if not lines or text == "*":
        return None
    tags: list[tuple[bool, str]] = []
    place = 0
    while place < len(text):
        found = _TAG.match(text, place)
        if found is None or found.end() == place:
            message = "is no list of tags; send what the header ETag said, in its quotation marks, or *"
            raise InvalidRequestError([Fault(ErrorCode.UNKNOWN_HEADER_VALUE, name, message)])
        if found[2] is not None:
            tags.append((found[1] is not None, found[2]))
        place = found.end()
    return tags
