"""Logs are events with fields, one JSON object a line. Never a phone number, an address, a message's text or a token."""

from __future__ import annotations

import logging
import sys
import traceback
from contextvars import ContextVar
from pathlib import Path, PurePath
from typing import TextIO

import structlog

__all__ = ["REQUEST_ID", "configure_logging", "get_logger", "where"]

_OURS = str(Path(__file__).parent)
_INNERMOST_FRAMES, _CAUSES = 6, 4

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Of the request under way; every line that it causes has it. A variable of its own: structlog's are dear to set."""


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger whose `logger` field is `name`; bind `tenant_id` and `job_id` by structlog.contextvars."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger


def configure_logging(level: str, *, stream: TextIO | None = None, pretty: bool = False) -> None:
    """Send our events and those of the libraries to `stream` (standard error unless told) as JSON lines, or for people."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_request_id,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_words,
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=False, pad_event_to=28) if pretty else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for noisy in (
        "httpx",
        "httpx2",
        "httpcore",
        "uvicorn.access",
        "twilio",
        "arq.worker",
        "asyncio",
        "python_http_client",
    ):
        logging.getLogger(noisy).setLevel(logging.WARNING)  # their lines carry addresses and numbers


def where(error: BaseException) -> list[str]:
    """Our innermost frames and the last one, without the message: a driver quotes the values it was given."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames[:-1] if frame.filename.startswith(_OURS)][-_INNERMOST_FRAMES:]
    return [f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}" for frame in [*ours, *frames[-1:]]]


def _add_request_id(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    request_id = REQUEST_ID.get()
    return event if request_id is None else {"request_id": request_id, **event}


def _without_words(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """What was raised and where, not what it says: drivers and clients quote what they refuse, and that may be a message."""
    info = event.pop("exc_info", None)
    error = info[1] if isinstance(info, tuple) else info if isinstance(info, BaseException) else None
    error = sys.exc_info()[1] if info is True else error
    if error is None:
        return event
    return {**event, "error": " from ".join(_kinds(error)), "where": where(error)}


def _kinds(error: BaseException | None) -> list[str]:
    """The classes of an error and of what caused it, each with the SQLSTATE it may have."""
    found: list[str] = []
    while error is not None and len(found) < _CAUSES:
        state = getattr(error, "sqlstate", None)
        found.append(f"{type(error).__name__} ({state})" if state else type(error).__name__)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return found
