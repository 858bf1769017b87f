"""Bodies of requests: small JSON objects of texts."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

from starlette.requests import Request

from lead_orchestrator.errors import BadInputError

__all__ = ["needed_text", "optional_text", "text_fields"]

LARGEST_BODY = 16 * 1024
_SHOWN = 60


async def text_fields(request: Request, known: Collection[str]) -> Mapping[str, str]:
    """The fields of the body; what is null is left out, and no body is an empty object.

    Raises:
        BadInputError: it is no object of texts under these names, or is too large.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise BadInputError(f"the body has more than {LARGEST_BODY} bytes")
    try:
        read = json.loads(bytes(body) or b"{}")
        json.dumps(read, ensure_ascii=False).encode()  # half of a surrogate pair is no text anywhere else
    except (ValueError, RecursionError):
        raise BadInputError("the body is no JSON: send one object") from None
    if not isinstance(read, dict):
        raise BadInputError("the body is no JSON object: send one")
    fields = {name: value for name, value in read.items() if value is not None}
    for name, value in fields.items():
        if name not in known:
            raise BadInputError(f"there is no field {name[:_SHOWN]!r}: leave it out", field=(name[:_SHOWN],))
        if not isinstance(value, str) or "\x00" in value:
            raise BadInputError(f"{name} is no text: send one without NUL characters", field=(name,))
    return fields


def needed_text(fields: Mapping[str, str], name: str, longest: int = 254) -> str:
    """Raises BadInputError: it is missing, or too long."""
    value = optional_text(fields, name, longest)
    if not value:
        raise BadInputError(f"{name} is missing", field=(name,))
    return value


def optional_text(fields: Mapping[str, str], name: str, longest: int) -> str | None:
    """Raises BadInputError: it is too long."""
    value = fields.get(name)
    if value is not None and len(value) > longest:
        raise BadInputError(f"{name} has {len(value)} characters: send {longest} at most", field=(name,))
    return value
