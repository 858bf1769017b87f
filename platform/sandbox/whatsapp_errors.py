"""Answers in the Graph API's error shape."""

from __future__ import annotations

import math
import secrets

from starlette.responses import JSONResponse

__all__ = ["WhatsAppError", "bad_token", "no_object", "too_many"]


class WhatsAppError(Exception):
    """An answer in Meta's error shape; `code` is what a client goes by."""

    def __init__(
        self,
        status: int,
        code: int,
        message: str,
        details: str | None = None,
        *,
        subcode: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.details = status, code, message, details
        self.subcode, self.headers = subcode, headers

    def response(self) -> JSONResponse:
        error: dict[str, object] = {"message": self.message, "type": "OAuthException", "code": self.code}
        if self.details is not None:
            error["error_data"] = {"messaging_product": "whatsapp", "details": self.details}
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        error["fbtrace_id"] = "A" + secrets.token_urlsafe(16)
        return JSONResponse({"error": error}, self.status, headers=self.headers)


def bad_token() -> WhatsAppError:
    return WhatsAppError(401, 190, "Invalid OAuth access token - Cannot parse access token")


def no_object(object_id: str) -> WhatsAppError:
    text = f"Unsupported request. Object with ID '{object_id}' does not exist or lacks permissions"
    return WhatsAppError(400, 100, text, subcode=33)


def too_many(seconds: float) -> WhatsAppError:
    headers = {"Retry-After": str(math.ceil(seconds))}
    return WhatsAppError(429, 130429, "Rate limit hit", headers=headers)
