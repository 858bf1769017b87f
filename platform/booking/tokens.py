"""A time that was offered, as a token: signed, so that it is booked as it was offered, and of use for a while only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.tenancy.links import LinkSigner

__all__ = ["OFFER_LASTS", "Offer", "offering", "opened_offer"]

OFFER_LASTS = timedelta(hours=1)

_PURPOSE = "slot"
_ID, _MOMENT = 16, 8
_AGAIN = "ask for the free times again and take one of them"


@dataclass(frozen=True)
class Offer:
    """The same services at the same location, to begin then."""

    location_id: UUID
    service_ids: Sequence[UUID]
    starts_at: datetime


def offering(
    links: LinkSigner, tenant_id: UUID, location_id: UUID, service_ids: Sequence[UUID], expires_at: datetime
) -> Callable[[datetime], str]:
    """Makes the token of each time at which these services are offered there. `expires_at` is real time: a token does not age
    with the product's clock."""
    head = tenant_id.bytes + location_id.bytes
    tail = b"".join([_packed(expires_at), *(service_id.bytes for service_id in service_ids)])
    return lambda starts_at: links.sign(_PURPOSE, head + _packed(starts_at) + tail)


def opened_offer(links: LinkSigner, tenant_id: UUID, token: str, now: datetime) -> Offer:
    """What was offered.

    Raises:
        BadInputError: SLOT_TOKEN_INVALID, or SLOT_TOKEN_EXPIRED at `now`.
    """
    body = links.signed(_PURPOSE, token)
    if body is None or body[:_ID] != tenant_id.bytes:
        raise BadInputError(f"slotToken is not one of ours: {_AGAIN}", code="SLOT_TOKEN_INVALID", field=("slotToken",))
    moments = body[2 * _ID : 2 * _ID + 2 * _MOMENT]
    starts_at, expires_at = _unpacked(moments[:_MOMENT]), _unpacked(moments[_MOMENT:])
    if expires_at <= now:
        message = f"slotToken expired at {expires_at.isoformat(timespec='seconds')}: {_AGAIN}"
        raise BadInputError(message, code="SLOT_TOKEN_EXPIRED", field=("slotToken",))
    services = body[2 * _ID + 2 * _MOMENT :]
    ids = [UUID(bytes=services[at : at + _ID]) for at in range(0, len(services), _ID)]
    return Offer(UUID(bytes=body[_ID : 2 * _ID]), ids, starts_at)


def _packed(moment: datetime) -> bytes:
    return round(moment.timestamp()).to_bytes(_MOMENT, "big")


def _unpacked(raw: bytes) -> datetime:
    return datetime.fromtimestamp(int.from_bytes(raw, "big"), UTC)
