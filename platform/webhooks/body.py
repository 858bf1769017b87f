"""A request's body, read no further than it may be long."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from urllib.parse import parse_qsl

from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from lead_orchestrator.errors import AppError, BadInputError

__all__ = ["read_body", "read_form", "read_parts"]

MOST_FIELDS = 200
MOST_FILES = 50


class _TooLargeError(AppError):
    code = "TOO_LARGE"
    http_status = 413


async def read_body(request: Request, largest: int) -> bytes:
    """The whole body.

    Raises:
        AppError: TOO_LARGE, it has more than `largest` bytes.
        BadInputError: the sender hung up.
    """
    return b"".join([chunk async for chunk in _chunks(request, largest)])


async def read_form(request: Request, largest: int) -> list[tuple[str, str]]:
    """The parameters of an URL-encoded form, in the order received and untrimmed.

    Raises:
        AppError: as `read_body`.
        BadInputError: it has too many parameters.
    """
    body = await read_body(request, largest)
    try:
        return parse_qsl(
            body.decode("utf-8", "replace"), keep_blank_values=True, errors="replace", max_num_fields=MOST_FIELDS
        )
    except ValueError:
        raise BadInputError(f"the form has more than {MOST_FIELDS} parameters") from None


async def read_parts(request: Request, largest: int) -> dict[str, str]:
    """The text fields of a multipart form; files are read past.

    Raises:
        AppError: as `read_body`.
        BadInputError: it is no multipart form, or one of more parts than anybody needs.
    """
    chunks = _chunks(request, largest)
    parser = MultiPartParser(
        request.headers, chunks, max_files=MOST_FILES, max_fields=MOST_FIELDS, max_part_size=largest
    )
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, UnicodeError, LookupError):
        raise BadInputError("the body is not a multipart form of a usual size: send multipart/form-data") from None
    fields = {name: value for name, value in form.multi_items() if isinstance(value, str)}
    await form.close()
    return fields


async def _chunks(request: Request, largest: int) -> AsyncGenerator[bytes, None]:
    stated = request.headers.get("content-length", "0")
    if stated.isdecimal() and (len(stated) > 18 or int(stated) > largest):  # noqa: PLR2004 - digits that int() reads
        raise _TooLargeError(f"the body has {stated[:18]} bytes: at most {largest} are read")
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > largest:
                raise _TooLargeError(f"the body has more than {largest} bytes")
            yield chunk
    except ClientDisconnect:
        raise BadInputError("the connection ended within the body: send it again") from None
