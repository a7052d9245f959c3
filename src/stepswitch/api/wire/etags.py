"""Tags of what can be changed: `ETag` of an answer, `If-Match` of a request. Called by the operations of the catalogue."""

import re
from typing import Final

from starlette.requests import Request

from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError

_TAG: Final = re.compile(r'\s*(?:(W/)?"([\x21\x23-\x7e\x80-\uffff]*)")?\s*(?:,|$)')


def etag(tag: str) -> str:
    """Return the value of the header `ETag`."""
    return f'"{tag}"'


def wanted_tags(request: Request, name: str = "if-match") -> frozenset[str] | None:
    """Return the tags that a header lists, None where there is none or it says `*`; raises InvalidRequestError.

    A weak tag (`W/"…"`) never fits: it does not promise that nothing has changed.
    """
    lines = request.headers.getlist(name)
    text = ",".join(lines).strip()
    if not lines or text == "*":
        return None
    tags: set[str] = set()
    place = 0
    while place < len(text):
        found = _TAG.match(text, place)
        if found is None or found.end() == place:
            message = "is no list of tags; send what the header ETag said, in its quotation marks, or *"
            raise InvalidRequestError([Fault(ErrorCode.UNKNOWN_HEADER_VALUE, name.title(), message)])
        if found[2] is not None and found[1] is None:
            tags.add(found[2])
        place = found.end()
    return frozenset(tags)
