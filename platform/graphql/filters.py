"""Ids in filters, checked."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.ids import Kind, decode

__all__ = ["lead_key", "location_keys"]

MOST_LOCATION_IDS = 1000


def location_keys(ids: Sequence[str] | None) -> list[UUID] | None:
    """The locations a filter names; None does not narrow.

    Raises:
        BadInputError: one is no location's id, or there are too many.
    """
    if ids is None:
        return None
    if len(ids) > MOST_LOCATION_IDS:
        message = f"locationIds has {len(ids)} ids: send {MOST_LOCATION_IDS} at most, or leave it out for all"
        raise BadInputError(message, field=("filter", "locationIds"))
    return [decode(Kind.LOCATION, text, field="locationIds") for text in ids]


def lead_key(text: str | None) -> UUID | None:
    """The lead a filter names; None does not narrow.

    Raises:
        BadInputError: it is no lead's id.
    """
    return decode(Kind.LEAD, text, field="leadId") if text is not None else None
