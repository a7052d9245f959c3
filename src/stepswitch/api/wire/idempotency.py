"""The header `Idempotency-Key`. Called by the operations that queue executions."""

import re
from typing import Final

from starlette.requests import Request

from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError
from stepswitch.engine.keyed_requests import KEY_HEADER

LONGEST_KEY: Final = 255
_KEY: Final = re.compile(f"[\\x21-\\x7e][\\x20-\\x7e]{{0,{LONGEST_KEY - 1}}}")
_ALIKE: Final = KEY_HEADER.lower().encode()


def idempotency_key(request: Request) -> str | None:
    """Return the key that a request carries, None where it carries none; raises InvalidRequestError where it cannot be one."""
    key: str | None = None
    for name, value in request.scope["headers"]:
        if name == _ALIKE:
            text = value.decode("latin-1")
            if key is not None or not _KEY.fullmatch(text):
                message = f"is no key, or stands twice; a key has 1 to {LONGEST_KEY} printable characters of ASCII"
                raise InvalidRequestError([Fault(ErrorCode.UNKNOWN_HEADER_VALUE, KEY_HEADER, message)])
            key = text
    return key
