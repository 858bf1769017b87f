"""ShopMonkey's appointments: made, changed, deleted and listed, also the recurring ones.

ShopMonkey takes a create twice without noticing: write our id into the note (`reference`), and look for it
(`find`) before a create whose answer was lost is sent again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import quote
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from lead_orchestrator.integrations.providers import ProviderUnknown
from lead_orchestrator.integrations.shopmonkey.client import PAGE_LIMIT, ShopMonkeyBusy, ShopMonkeyClient
from lead_orchestrator.integrations.shopmonkey.models import Appointment, Row, User
from lead_orchestrator.log import get_logger

__all__ = ["AppointmentDraft", "ShopMonkeyAppointments"]

COLOR = "blue"
MOST_PAGES = 20
MARGIN = timedelta(days=1)  # around a search: an appointment may have been moved by hand
R = TypeVar("R", bound=Row)
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AppointmentDraft:
    """An appointment as we write it; `reference` is our id, which stands in the note."""

    reference: str
    name: str
    note: str
    starts_at: datetime
    ends_at: datetime
    location_id: str
    customer_id: str | None = None
    vehicle_id: str | None = None
    order_id: str | None = None

    def body(self) -> dict[str, Any]:
        ids = {"customerId": self.customer_id, "vehicleId": self.vehicle_id, "orderId": self.order_id}
        return {
            "name": self.name,
            "note": f"{self.note}\n{self.reference}".strip(),
            "startDate": _stamp(self.starts_at),
            "endDate": _stamp(self.ends_at),
            "color": COLOR,
            "locationId": self.location_id,
            **{name: value for name, value in ids.items() if value},
        }


class ShopMonkeyAppointments:
    """Works in any tenant's company with its key. Every method raises ShopMonkeyRefused, ShopMonkeyBusy.

    The writing ones raise ProviderUnknown when ShopMonkey may have taken the request and its answer was lost.
    """

    def __init__(self, client: ShopMonkeyClient) -> None:
        self._client = client

    async def create(self, api_key: str, draft: AppointmentDraft) -> str:
        """The new appointment's id."""
        answer = await self._client.write(api_key, "POST", "/v3/appointment", draft.body())
        row = _appointment(answer.get("data")) if answer else None
        if row is None:
            raise ProviderUnknown("ShopMonkey's answer names no appointment")
        return row.id

    async def update(self, api_key: str, appointment_id: str, draft: AppointmentDraft) -> bool:
        """Make it as the draft says; False when ShopMonkey has none of this id."""
        return await self._client.write(api_key, "PUT", _path(appointment_id), draft.body()) is not None

    async def delete(self, api_key: str, appointment_id: str) -> bool:
        """False when it was gone."""
        return await self._client.write(api_key, "DELETE", _path(appointment_id), None) is not None

    async def find(self, api_key: str, draft: AppointmentDraft) -> str | None:
        """The id of the appointment whose note holds the draft's reference, around its time."""
        where = {
            "startDate": {"gte": _stamp(draft.starts_at - MARGIN), "lte": _stamp(draft.starts_at + MARGIN)},
            "locationId": draft.location_id,
        }
        for row in await self._search(api_key, "/v3/appointment/search", {"where": where}):
            if row.note and draft.reference in row.note and row.deleted is not True:
                return row.id
        return None

    async def list_between(
        self, api_key: str, location_id: str, starts_at: datetime, ends_at: datetime, timezone: str
    ) -> Sequence[Appointment]:
        """Every appointment of the location that touches the span, each repetition of a recurring one by itself.

        Only `search_replacement` tells of repetitions, and it wants the technicians named.
        """
        zone = ZoneInfo(timezone)
        body = {
            "dateMin": starts_at.astimezone(zone).isoformat(timespec="seconds"),
            "dateMax": ends_at.astimezone(zone).isoformat(timespec="seconds"),
            "technicians": await self._technicians(api_key, location_id),
            "includeUnassigned": True,
        }
        rows = await self._search(api_key, "/v3/appointment/search_replacement", body)
        return [row for row in rows if _within(row, location_id, starts_at, ends_at)]

    async def _technicians(self, api_key: str, location_id: str) -> list[str]:
        answer = await self._client.read(api_key, "/v3/user", {"limit": str(PAGE_LIMIT), "locationId": location_id})
        rows = answer.get("data") if answer else None
        found = (_read(User, row) for row in (rows if isinstance(rows, list) else []))
        return [user.id for user in found if user is not None]

    async def _search(self, api_key: str, path: str, body: Mapping[str, Any]) -> Sequence[Appointment]:
        """All pages, each row once; `total` counts too many, so a short page ends the walk."""
        found: dict[tuple[str, datetime | None], Appointment] = {}
        for page in range(MOST_PAGES):
            asked = {**body, "orderBy": {"startDate": "asc"}, "limit": PAGE_LIMIT, "skip": page * PAGE_LIMIT}
            answer = await self._client.search(api_key, path, asked)
            rows = answer.get("data") if answer else None
            if not isinstance(rows, list):
                raise ShopMonkeyBusy(None, "unreadable")
            found.update(((row.id, row.start_date), row) for row in map(_appointment, rows) if row)
            if len(rows) < PAGE_LIMIT:
                return list(found.values())
        _log.warning("shopmonkey_search_truncated", pages=MOST_PAGES)
        return list(found.values())


def _path(appointment_id: str) -> str:
    return f"/v3/appointment/{quote(appointment_id, safe='')}"


def _appointment(row: object) -> Appointment | None:
    return _read(Appointment, row)


def _read(model: type[R], row: object) -> R | None:
    try:
        return model.model_validate(row)
    except ValidationError:
        _log.warning("shopmonkey_row_unreadable", table=model.__name__.lower())
        return None


def _within(row: Appointment, location_id: str, starts_at: datetime, ends_at: datetime) -> bool:
    if row.deleted is True or row.start_date is None or row.end_date is None:
        return False
    here = row.location_id in (None, location_id)
    return here and row.start_date < ends_at and row.end_date > starts_at


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
