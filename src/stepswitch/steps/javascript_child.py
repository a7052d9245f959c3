"""The program of a child process that runs users' scripts, one at a time. Started by `javascript_pool`, which takes only the frames' form from it.

It is started by its path, in Python's isolated mode and without `site`, so it sees neither this package nor any other: only the
folder of the JavaScript engine, given as its argument. It speaks with its parent over the socket that is its standard input:

    parent → child   length (4 bytes), time limit in seconds (8 bytes, a double), a request as JSON in ASCII
    child → parent   length (4 bytes), kind (1 byte), text in UTF-8
        R  ready for a script, in a context that no script has seen
        L  a log line: ["LEVEL", "text"]
        D  done: the answer of `javascript_frame.js`
        X  the engine broke off: a sentence

Time is limited by the parent, which kills, and should the parent be stuck, by the kernel: the engine's own limit lets a long native
call overrun it, and forbids the calls into Python that let a log line leave at once, so that it is there even after a kill.
"""

import os
import resource
import signal
import struct
import sys
import time
from pathlib import Path
from typing import Any, Final

CHANNEL: Final = 0
REQUEST_HEAD: Final = struct.Struct("!Id")
ANSWER_HEAD: Final = struct.Struct("!Ic")
STACK_BYTES: Final = 1024 * 1024
GRACE_SECONDS: Final = 1.0
"""What the parent is given before the kernel ends this process in its stead."""
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38


def confine(memory_limit_bytes: int, parent: int) -> None:
    """Give up all that a script has no use for; raises OSError or ValueError where the system refuses."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - the parent imports this module too, and has no use for it

        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        if os.getppid() != parent:
            raise ProcessLookupError("the parent is gone")
    # The script's own limit, twice (a value and its JSON text), and what the interpreter takes.
    resource.setrlimit(resource.RLIMIT_AS, (2 * memory_limit_bytes + 128 * 1024 * 1024,) * 2)
    for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC, resource.RLIMIT_CORE):
        resource.setrlimit(limit, (0, 0))


def send(kind: bytes, text: str) -> None:
    """Write one frame to the parent."""
    body = text.encode("utf-8", "replace")
    left = memoryview(ANSWER_HEAD.pack(len(body), kind) + body)
    while left:
        left = left[os.write(CHANNEL, left) :]


def receive(size: int) -> bytes:
    """Return the next `size` bytes; raises EOFError where the parent has gone."""
    parts = bytearray()
    while len(parts) < size:
        part = os.read(CHANNEL, size - len(parts))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)


def limit_time(seconds: float) -> None:
    """Have the kernel end this process after `seconds` and a little more, of the clock or of the processor."""
    signal.setitimer(signal.ITIMER_REAL, seconds + GRACE_SECONDS)
    processor = int(time.process_time() + seconds + GRACE_SECONDS) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (processor, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def new_context(quickjs: Any, frame: str, memory_limit_bytes: int) -> tuple[Any, Any]:
    """Return a context that no script has seen, and the frame's function in it."""
    context = quickjs.Context()
    context.set_memory_limit(memory_limit_bytes)
    context.set_max_stack_size(STACK_BYTES)
    context.add_callable("stepswitch$emit", lambda line: send(b"L", line))
    return context, context.eval(frame)


def run(context: Any, answer: Any, request: str) -> tuple[bytes, str]:
    """Return kind and text of the frame that ends a script."""
    try:
        text = answer(request)
        if not text:
            while context.execute_pending_job():
                pass
            text = answer()
    except MemoryError:
        return b"X", "out of memory"
    except Exception as error:  # noqa: BLE001 - whatever the engine raises is the end of this script, not of this process
        return b"X", str(error)
    return b"D", text


def serve(engine_folder: str, memory_limit_bytes: int, parent: int) -> None:
    """Run scripts until the parent closes the socket."""
    sys.path.append(engine_folder)
    import _quickjs as quickjs  # type: ignore[import-not-found]  # noqa: PLC0415 - the front module `quickjs` starts a thread at import

    frame = Path(__file__).with_name("javascript_frame.js").read_text(encoding="utf-8")
    confine(memory_limit_bytes, parent)
    while True:
        context, answer = new_context(quickjs, frame, memory_limit_bytes)
        send(b"R", "")
        length, seconds = REQUEST_HEAD.unpack(receive(REQUEST_HEAD.size))
        request = receive(length).decode("ascii")
        limit_time(seconds)
        ended = run(context, answer, request)
        signal.setitimer(signal.ITIMER_REAL, 0)
        send(*ended)
        del context, answer, request, ended


if __name__ == "__main__":
    try:
        serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        sys.exit(0)
    except Exception as error:  # noqa: BLE001 - the parent is the only one who can be told
        send(b"X", f"{type(error).__name__}: {error}")
        sys.exit(1)
