"""Logs are events with fields, one JSON object a line. Never a phone number, an address, a message's text or a token."""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar
from typing import TextIO

import structlog

__all__ = ["REQUEST_ID", "configure_logging", "get_logger"]

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
        structlog.processors.format_exc_info,
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
    for noisy in ("httpx", "httpcore", "uvicorn.access", "twilio", "arq.worker", "asyncio", "python_http_client"):
        logging.getLogger(noisy).setLevel(logging.WARNING)  # their lines carry addresses and numbers


def _add_request_id(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    request_id = REQUEST_ID.get()
    return event if request_id is None else {"request_id": request_id, **event}
