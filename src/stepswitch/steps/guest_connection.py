"""Connections to a vCenter that block a thread, and can be cut from the event loop. Called by `guest_vcenter`.

The vendor's library blocks. So each call has a thread of its own, which nobody waits for for longer than its deadline: then its sockets are shut
down, which wakes it up. A thread that even then does not end, because it looks a name up, is left to itself; it can send nothing any more.
"""

import asyncio
import re
import socket
import ssl
import threading
from codecs import BOM_UTF8
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Final, TypeVar
from weakref import WeakSet

MOST_ANSWER_BYTES: Final = 16 * 1024 * 1024
_DECLARATION: Final = b"<!DOCTYPE"
_HEAD_BYTES: Final = 256
_OTHER_ENCODING: Final = re.compile(rb"""^(?!\s*<)|\0|<\?xml[^>]*\sencoding\s*=\s*["'](?!utf-8["'])""", re.IGNORECASE)
"""What no beginning of a SOAP message in UTF-8 has: in another encoding, or packed, a declaration would not be seen."""
LETTING_GO_SECONDS: Final = 0.5
"""How long a thread whose sockets are shut down may take to notice."""
THREADS: Final = "stepswitch-vcenter"
"""What its threads are called."""
_T = TypeVar("_T")


class Line:
    """The sockets that are open for somebody. `cut` may be called from any thread; from then on none can be opened."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._is_cut = False

    def check(self) -> None:
        """Raise ConnectionAbortedError where it is cut."""
        if self._is_cut:
            raise ConnectionAbortedError("the call was given up")

    def hold(self, opened: socket.socket) -> None:
        """Take note of a socket; raises ConnectionAbortedError where the line is cut already."""
        with self._lock:
            self.check()
            self._sockets.add(opened)

    def cut(self) -> None:
        """Shut every socket down."""
        with self._lock:
            self._is_cut = True
            for each in list(self._sockets):
                with suppress(OSError):
                    socket.socket.shutdown(each, socket.SHUT_RDWR)  # below TLS, which must not be touched by two threads


class SoapResponse(HTTPResponse):
    """An answer of which no more is read than anybody needs, and which declares nothing that would have to be expanded."""

    _left = MOST_ANSWER_BYTES
    _head = b""
    _end = b""

    def read(self, amt: int | None = None) -> bytes:
        """Return the next bytes; raises HTTPException where there are too many, or such as no SOAP has."""
        data = super().read(amt)
        self._left -= len(data)
        self._head += data[: _HEAD_BYTES - len(self._head)]
        is_hidden = self._head.strip() and _OTHER_ENCODING.search(self._head.removeprefix(BOM_UTF8))
        if self._left < 0 or is_hidden or _DECLARATION in self._end + data:
            raise HTTPException("that is no answer")
        self._end = data[-len(_DECLARATION) :]
        return data


class LineConnection(HTTPSConnection):
    """A connection with TLS that belongs to a line."""

    def __init__(self, line: Line, *, context: ssl.SSLContext, answers: type[HTTPResponse] = SoapResponse, **more: Any) -> None:
        super().__init__(context=context, **more)
        self.response_class = answers
        self._answer: HTTPResponse | None = None
        self._line = line
        self._trusted = context

    def connect(self) -> None:
        """Connect, and speak TLS."""
        self._line.check()
        host = self.host.strip("[]")
        plain = socket.create_connection((host, self.port), self.timeout)
        try:
            secured = self._trusted.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
        except BaseException:
            plain.close()
            raise
        try:
            self._line.hold(secured)
            secured.do_handshake()
        except BaseException:
            secured.close()
            raise
        self.sock = secured

    def send(self, data: Any) -> None:
        """Send what `data` has, unless the line is cut."""
        self._line.check()
        super().send(data)

    def getresponse(self) -> HTTPResponse:
        """Return the answer, which from now on holds the connection as well."""
        self._answer = super().getresponse()
        return self._answer

    def close(self) -> None:
        """Close it, and the answer that was read from it in part."""
        super().close()
        if self._answer is not None:
            self._answer.close()


async def in_thread(work: Callable[[], _T], give_up: Callable[[], None], seconds: float) -> _T:
    """Return what `work` returns in a thread of its own, or raise what it raises; raises TimeoutError after `seconds`. `give_up` is to wake it up."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[_T] = loop.create_future()
    ended.add_done_callback(lambda future: future.cancelled() or future.exception())
    threading.Thread(target=_carry_out, args=(work, loop, ended), name=THREADS, daemon=True).start()
    try:
        await asyncio.wait([ended], timeout=seconds)
    finally:
        is_late = not ended.done()
        if is_late:
            give_up()
            await asyncio.wait([ended], timeout=LETTING_GO_SECONDS)
    try:
        if not ended.done() or (is_late and ended.exception() is not None):
            raise TimeoutError
        return ended.result()
    finally:
        del ended  # it holds the error, and the error by its trace this call: all of it would wait for the collector


def _carry_out(work: Callable[[], _T], loop: asyncio.AbstractEventLoop, ended: "asyncio.Future[_T]") -> None:
    tell: Callable[[], None]
    try:
        tell = partial(ended.set_result, work())
    except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
        tell = partial(ended.set_exception, error)
    with suppress(RuntimeError):  # the loop has ended meanwhile
        loop.call_soon_threadsafe(tell)
    del ended, tell  # see `in_thread`
