"""Who fills in a form: a person, who sees what is shown and takes a moment."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.tenancy.links import LinkSigner
from lead_orchestrator.tenancy.public.places import Place

__all__ = ["HONEYPOT", "OpenedForm", "check_person", "form_token", "opened_form"]

HONEYPOT = "website"
"""The field that people do not see: programs fill in whatever has a name like this."""
SHORTEST = timedelta(seconds=3)
LONGEST = timedelta(hours=24)

_PURPOSE = "form"
_ID, _NUMBER, _NONCE = 16, 8, 8


@dataclass(frozen=True)
class OpenedForm:
    """A form of a shop, shown at `shown_at` with the survey in `version`; `digest` tells it from all others."""

    version: int
    shown_at: datetime
    digest: str


def form_token(links: LinkSigner, place: Place, version: int, now: datetime) -> str:
    """Goes out with a form and comes back with it, so that we know how long it was looked at; `now` is real time."""
    numbers = version.to_bytes(_NUMBER, "big") + int(now.timestamp() * 1000).to_bytes(_NUMBER, "big")
    return links.sign(_PURPOSE, place.tenant_id.bytes + place.location_id.bytes + numbers + secrets.token_bytes(_NONCE))


def opened_form(links: LinkSigner, place: Place, token: str, now: datetime) -> OpenedForm:
    """The form that this token went out with.

    Raises:
        BadInputError: FORM_EXPIRED: it is too old, another shop's, or none of ours.
    """
    body = links.signed(_PURPOSE, token) or b""
    named = body[: 2 * _ID] == place.tenant_id.bytes + place.location_id.bytes
    if named and len(body) == 2 * _ID + 2 * _NUMBER + _NONCE:
        version = int.from_bytes(body[2 * _ID : 2 * _ID + _NUMBER], "big")
        moment = int.from_bytes(body[2 * _ID + _NUMBER : 2 * _ID + 2 * _NUMBER], "big")
        shown_at = datetime.fromtimestamp(moment / 1000, UTC)
        if now - shown_at <= LONGEST:
            return OpenedForm(version, shown_at, hashlib.sha256(body).hexdigest())
    message = "the form's token has expired, or is another shop's: load the form again"
    raise BadInputError(message, code="FORM_EXPIRED", field=("formToken",))


def check_person(form: OpenedForm | None, honeypot: str | None, now: datetime) -> None:
    """Raises BadInputError: LOOKS_AUTOMATED, or TOO_FAST; a person only has to do again what the message says."""
    if (honeypot or "").strip():
        message = f"{HONEYPOT} is filled in, which nobody does who sees the form: leave it empty"
        raise BadInputError(message, code="LOOKS_AUTOMATED", field=(HONEYPOT,))
    if form is not None and now - form.shown_at < SHORTEST:
        seconds = SHORTEST.total_seconds()
        message = f"the form was sent within {seconds:.0f} seconds, faster than it can be read: send it again"
        raise BadInputError(message, code="TOO_FAST", field=("formToken",))
