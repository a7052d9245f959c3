"""A file that is downloaded, piece by piece. Called by the workflows and the executions of the client."""

import hashlib
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

from stepswitch.client.errors import StrangeAnswerError
from stepswitch.client.transport import Call, Incoming, Transport

_SHA256 = re.compile(r'"([0-9a-f]{64})"')


class Download:
    """The content of a file as it comes in. `name` is what it is called where it comes from, never a path; `sha256` is in hex."""

    def __init__(self, incoming: Incoming) -> None:
        self._incoming = incoming
        disposition = incoming.headers.get("content-disposition", "")
        tag = _SHA256.fullmatch(incoming.headers.get("etag", ""))
        self.name = _name(disposition)
        self.sha256 = None if tag is None else tag[1]

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the content once, piece by piece; raises StrangeAnswerError where all of it together is not what was stored."""
        found = hashlib.sha256()
        async for chunk in self._incoming.chunks():
            found.update(chunk)
            yield chunk
        if self.sha256 is not None and found.hexdigest() != self.sha256:
            raise StrangeAnswerError(f"the file {self.name} was damaged on its way: its SHA-256 is not the one that was announced")

    async def save(self, path: Path) -> int:
        """Write the content to `path`, which must not exist, and return its size in bytes; where it breaks off, nothing is left there."""
        with _made(path) as file:
            return sum([file.write(chunk) async for chunk in self.chunks()])


@asynccontextmanager
async def downloaded(transport: Transport, call: Call) -> AsyncIterator[Download]:
    """Give the file that `call` asks for."""
    async with transport.open(call) as incoming:
        yield Download(incoming)


@contextmanager
def _made(path: Path) -> Iterator[BinaryIO]:
    """Give a new file, which is removed where the block is left by an error."""
    with path.open("xb") as file:
        try:
            yield file
        except BaseException:
            path.unlink()
            raise


def _name(disposition: str) -> str:
    starred = re.search(r"filename\*=UTF-8''([^;]*)", disposition)
    plain = re.search(r'filename="([^"]*)"', disposition)
    name = unquote(starred[1]) if starred else plain[1] if plain else ""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "file" if last in ("", ".", "..") else last
