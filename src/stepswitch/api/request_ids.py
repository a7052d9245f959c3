"""What a request is called in its answer and in the log: as its sender calls it, or as we do. Called by `limits`, and by `bootstrap.protocol`."""

import re
from collections.abc import Iterable
from typing import Final

from stepswitch.engine.ports import Ids

REQUEST_ID: Final = "x-request-id"
LONGEST: Final = 128
_HEADER: Final = REQUEST_ID.encode()
_FIT: Final = re.compile(rb"[\x21-\x7e]{1,%d}" % LONGEST)


def request_id_of(headers: Iterable[tuple[bytes, bytes]], ids: Ids) -> str:
    """Return the id that the sender gave, so that his log and ours say the same; a new one where he gave none that fits, or several."""
    given: bytes | None = None
    for name, value in headers:
        if name == _HEADER:
            given = value if given is None else b""
    return ids.new() if given is None or not _FIT.fullmatch(given) else given.decode("ascii")
