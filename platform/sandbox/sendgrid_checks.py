"""What SendGrid refuses, in its error shape."""

from __future__ import annotations

import base64
import json
import math
import time
from typing import Any

from starlette.responses import JSONResponse

__all__ = ["SendGridError", "check_mail", "too_many", "unauthorized"]

MAX_RECIPIENTS = 1000
MAX_CUSTOM_ARGS = 10_000


class SendGridError(Exception):
    """An answer in SendGrid's error shape."""

    def __init__(
        self, status: int, message: str, field: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.field, self.headers = status, message, field, headers

    def response(self) -> JSONResponse:
        errors = [{"message": self.message, "field": self.field, "help": None}]
        return JSONResponse({"errors": errors}, self.status, headers=self.headers)


def check_mail(mail: dict[str, Any]) -> None:
    """Raise SendGridError for what mail send would refuse."""
    personalizations = mail.get("personalizations")
    if not isinstance(personalizations, list) or not personalizations:
        text = "The personalizations field is required and must have at least one personalization."
        raise SendGridError(400, text, "personalizations")
    for number, personalization in enumerate(personalizations):
        _check_personalization(personalization, f"personalizations.{number}")
    _check_address(mail.get("from"), "from")
    _check_strings(mail, "", ("headers", "custom_args"))
    for name in ("mail_settings", "tracking_settings"):
        if not isinstance(mail.get(name) or {}, dict):
            raise SendGridError(400, f"The {name} must be an object.", name)
    if mail.get("reply_to") is not None:
        _check_address(mail["reply_to"], "reply_to")
    subjects = [item.get("subject") or mail.get("subject") for item in personalizations]
    if not all(isinstance(subject, str) and subject for subject in subjects):
        raise SendGridError(400, "The subject is required.", "subject")
    _check_attachments(mail.get("attachments") or [])
    if not mail.get("template_id"):
        _check_content(mail.get("content"))


def _check_personalization(personalization: Any, path: str) -> None:
    recipients = personalization.get("to") if isinstance(personalization, dict) else None
    if not isinstance(recipients, list) or not recipients:
        raise SendGridError(400, "The to array is required and must have at least one email object.", f"{path}.to")
    if len(recipients) > MAX_RECIPIENTS:
        raise SendGridError(400, "The to array may have at most 1000 email objects.", f"{path}.to")
    for name in ("to", "cc", "bcc"):
        people = personalization.get(name) or []
        if not isinstance(people, list):
            raise SendGridError(400, f"The {name} must be an array.", f"{path}.{name}")
        for number, person in enumerate(people):
            _check_address(person, f"{path}.{name}.{number}")
    _check_strings(personalization, f"{path}.", ("headers", "custom_args"))


def _check_strings(holder: dict[str, Any], path: str, names: tuple[str, ...]) -> None:
    for name in names:
        values = holder.get(name) or {}
        if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
            raise SendGridError(400, f"The {name} must be an object of strings.", path + name)
        if name == "custom_args" and len(json.dumps(values)) > MAX_CUSTOM_ARGS:
            raise SendGridError(400, "The custom_args may be at most 10000 bytes.", path + name)


def _check_address(person: Any, path: str) -> None:
    email = person.get("email") if isinstance(person, dict) else None
    if not isinstance(email, str) or not all(email.partition("@")) or any(letter.isspace() for letter in email):
        raise SendGridError(400, "Does not contain a valid address.", f"{path}.email")


def _check_attachments(attachments: Any) -> None:
    if not isinstance(attachments, list):
        raise SendGridError(400, "The attachments must be an array.", "attachments")
    for number, one in enumerate(attachments):
        path = f"attachments.{number}"
        if not isinstance(one, dict) or not isinstance(one.get("filename"), str) or not one["filename"]:
            raise SendGridError(400, "The attachment filename is required.", f"{path}.filename")
        if not isinstance(one.get("type", ""), str) or any(mark in one.get("type", "") for mark in ";\r\n"):
            raise SendGridError(400, "The attachment type cannot contain ';', or CRLF characters.", f"{path}.type")
        try:
            base64.b64decode(one.get("content") or "", validate=True)
        except (ValueError, TypeError):
            text = "The attachment content must be base64 encoded."
            raise SendGridError(400, text, f"{path}.content") from None
        if not one.get("content"):
            raise SendGridError(400, "The attachment content is required.", f"{path}.content")


def _check_content(content: Any) -> None:
    if not isinstance(content, list) or not content:
        raise SendGridError(
            400, "Unless a valid template_id is provided, the content parameter is required.", "content"
        )
    for number, part in enumerate(content):
        if (
            not isinstance(part, dict)
            or not isinstance(part.get("type"), str)
            or not isinstance(part.get("value"), str)
            or not part["value"]
        ):
            raise SendGridError(
                400, "The content value must be a string at least one character in length.", f"content.{number}.value"
            )
    types = [part["type"] for part in content]
    if "text/plain" in types[1:]:
        raise SendGridError(400, "If present, text/plain must be the first content object.", "content")


def unauthorized() -> SendGridError:
    return SendGridError(401, "The provided authorization grant is invalid, expired, or revoked")


def too_many(seconds: float) -> SendGridError:
    wait = math.ceil(seconds)
    headers = {
        "Retry-After": str(wait),
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(int(time.time()) + wait),
    }
    return SendGridError(429, "too many requests", None, headers)
