"""The service's own log: structured, to standard error. Set up once, by `bootstrap`.

Traces never show the values of local variables: they may be secrets.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, TextIO, cast

import structlog


class _Outliving:
    """Standard error as loggers write to it. Whoever read it may be gone: that is no reason not to do what was to be logged."""

    def write(self, text: str) -> int:
        with _letting_go():
            return sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with _letting_go():
            sys.stderr.flush()


@contextmanager
def _letting_go() -> Iterator[None]:
    """Outlive a failure to write. A pipe that nobody reads stays so: what is still in the buffer must not make the process end with a failure."""
    try:
        yield
    except BrokenPipeError:
        with suppress(OSError), Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stderr.fileno())
    except OSError:
        return


def _without_cuts(record: logging.LogRecord) -> bool:
    """Let a request that a stop has cut be told in a sentence: the server has a trace of it, as of a fault of ours."""
    if record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError):
        record.exc_info, record.exc_text, record.args = None, None, ()
        record.msg = (
            "a request was cut by the stop of the service: it had not come whole, or its answer had not left, within the grace period"
        )
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True


def _legible(_logger: object, _method: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Write signs that a terminal would obey as what they are called: what others say is logged too. The ends of lines are seen to where it is written."""
    return {name: _escaped(value) if isinstance(value, str) else value for name, value in line.items()}


def _escaped(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each == "\n" else each.encode("unicode_escape").decode() for each in text)


def set_up_logging(level: str, form: Literal["text", "json"]) -> None:
    """Log from `level` upwards, as text for people or as one JSON object a line."""
    numeric = logging.getLevelNamesMapping()[level.upper()]
    renderer: structlog.typing.Processor
    if form == "json":
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
    plain = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    traces: list[structlog.typing.Processor] = [plain] if form == "json" else [structlog.processors.format_exc_info, _legible]
    structlog.configure(
        processors=[*shared, *traces, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Outliving())),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(
        level=max(numeric, logging.WARNING), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True
    )
    logging.getLogger("uvicorn.error").addFilter(_without_cuts)
