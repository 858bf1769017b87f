"""ShopMonkey's API v3, with its unreliable lists made usable."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from lead_orchestrator.integrations.providers import ProviderBusy, ProviderRefused, ProviderUnknown
from lead_orchestrator.integrations.shopmonkey.models import CannedService, Customer, Location, Order, Row, Vehicle
from lead_orchestrator.integrations.transport import exchange, json_object, retry_after
from lead_orchestrator.log import get_logger

__all__ = ["PAGE_LIMIT", "OrderPage", "ShopMonkeyBusy", "ShopMonkeyClient", "ShopMonkeyRefused"]

PAGE_LIMIT = 100
MOST_PAGES = 50
MOST_WALKS = 3  # through a list whose pages miss rows
TIMEOUT = 10.0
HTTP_UNAUTHORIZED, HTTP_FORBIDDEN, HTTP_NOT_FOUND, HTTP_SERVER_ERROR = 401, 403, 404, 500
FINAL = frozenset(range(400, 500)) - {408, 429}

R = TypeVar("R", bound=Row)
_log = get_logger(__name__)


class ShopMonkeyRefused(ProviderRefused):
    """ShopMonkey's own no: the key is wrong or may not read this (`credentials`), or the request is."""


class ShopMonkeyBusy(ProviderBusy):
    """ShopMonkey cannot answer now: rate limit, server error, firewall page, network."""


@dataclass(frozen=True, slots=True)
class OrderPage:
    """One page of orders; `received` counts all its rows, also those left out here. `has_more` None: not stated."""

    orders: tuple[Order, ...]
    received: int
    has_more: bool | None


class ShopMonkeyClient:
    """Reads and writes in any tenant's company with that tenant's key. Every method raises ShopMonkeyRefused and ShopMonkeyBusy."""

    def __init__(self, http: httpx.AsyncClient, base_url: str, *, timeout: float = TIMEOUT) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._timeout = timeout

    async def get_order(self, api_key: str, order_id: str) -> Order | None:
        """The order as it is now; None if this company has none of that id."""
        return await self._get(api_key, "order", order_id, Order)

    async def get_customer(self, api_key: str, customer_id: str) -> Customer | None:
        return await self._get(api_key, "customer", customer_id, Customer)

    async def get_vehicle(self, api_key: str, vehicle_id: str) -> Vehicle | None:
        return await self._get(api_key, "vehicle", vehicle_id, Vehicle)

    async def get_location(self, api_key: str, location_id: str) -> Location | None:
        return await self._get(api_key, "location", location_id, Location)

    async def get_canned_service(self, api_key: str, service_id: str) -> CannedService | None:
        return await self._get(api_key, "canned_service", service_id, CannedService)

    async def list_canned_services(self, api_key: str, location_id: str) -> Sequence[CannedService]:
        """The location's canned services, with those of no location; deleted ones may be among them.

        Lists miss rows: it is walked again while it says there are more. Absence is still no deletion: ask by id.
        """
        found: dict[str, CannedService] = {}
        for _ in range(MOST_WALKS):
            total = await self._walk_canned_services(api_key, location_id, found)
            if total is None or len(found) >= total:
                break
        return [row for row in found.values() if row.location_id in (None, location_id)]

    async def _walk_canned_services(
        self, api_key: str, location_id: str, found: dict[str, CannedService]
    ) -> int | None:
        """Add every row of the pages to `found`; how many there are, if that is stated."""
        skip, total = 0, None
        for _ in range(MOST_PAGES):
            params = {
                "orderby": json.dumps({"createdDate": "asc"}, separators=(",", ":")),
                "locationId": location_id,
                "limit": str(PAGE_LIMIT),
                "skip": str(skip),
            }
            answer = await self.read(api_key, "/v3/canned_service", params)
            rows = answer.get("data") if answer else None
            if answer is None or not isinstance(rows, list):
                raise ShopMonkeyBusy(None, "unreadable")
            found.update((row.id, row) for row in map(_canned_service, rows) if row)
            skip += len(rows)
            meta = answer.get("meta")
            stated = meta if isinstance(meta, dict) else {}
            total = stated["total"] if isinstance(stated.get("total"), int) else None
            more = stated["hasMore"] if isinstance(stated.get("hasMore"), bool) else len(rows) >= PAGE_LIMIT
            if not more or not rows:
                break
        return total

    async def list_orders(
        self,
        api_key: str,
        *,
        location_id: str,
        updated_since: datetime,
        skip: int,
        limit: int = PAGE_LIMIT,
        column: str = "updatedDate",
    ) -> OrderPage:
        """One page of the location's orders changed since, oldest change first, at most 100.

        A row that was never changed may have no `updatedDate`: list by `createdDate` too, to see every new one.
        ShopMonkey ignores filters it does not like, so every row is checked here again.
        """
        since = updated_since.astimezone(UTC)
        stamp = since.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        params = {
            "where": json.dumps({column: {"gte": stamp}}, separators=(",", ":")),
            "orderby": json.dumps({column: "asc"}, separators=(",", ":")),  # lower case, else ignored
            "locationId": location_id,
            "limit": str(min(limit, PAGE_LIMIT)),
            "skip": str(skip),
        }
        answer = await self.read(api_key, "/v3/order", params)
        rows = answer.get("data") if answer else None
        if answer is None or not isinstance(rows, list):
            raise ShopMonkeyBusy(None, "unreadable")
        orders = [order for order in map(_order, rows) if order and _wanted(order, location_id, since)]
        meta = answer.get("meta")
        has_more = meta.get("hasMore") if isinstance(meta, dict) else None
        return OrderPage(tuple(orders), len(rows), has_more if isinstance(has_more, bool) else None)

    async def iter_changed_orders(
        self,
        api_key: str,
        location_id: str,
        since: datetime,
        *,
        most_pages: int = MOST_PAGES,
        column: str = "updatedDate",
    ) -> AsyncIterator[Order]:
        """Each order of the location changed since, once, in as many pages as there are (at most `most_pages`).

        Lists are unreliable: overlap `since` between calls, fetch again by id, and never read absence as deletion.
        """
        seen: set[str] = set()
        skip = 0
        for _ in range(most_pages):
            page = await self.list_orders(
                api_key, location_id=location_id, updated_since=since, skip=skip, column=column
            )
            for order in page.orders:
                if order.id not in seen:
                    seen.add(order.id)
                    yield order
            skip += page.received
            more = page.has_more if page.has_more is not None else page.received >= PAGE_LIMIT
            if not more or not page.received:
                return
        _log.warning("shopmonkey_poll_truncated", location_id=location_id, pages=most_pages)

    async def _get(self, api_key: str, kind: str, row_id: str, model: type[R]) -> R | None:
        if not row_id.strip(". ") or not row_id.isprintable():  # "..": would name another endpoint
            return None
        answer = await self.read(api_key, f"/v3/{kind}/{quote(row_id, safe='')}", {})
        if answer is None:
            return None
        try:
            row = model.model_validate(answer.get("data"))
        except ValidationError:
            raise ShopMonkeyBusy(None, "unreadable") from None
        if row.id != row_id:
            raise ShopMonkeyBusy(None, "other_row")
        return row

    async def read(self, api_key: str, path: str, params: Mapping[str, str]) -> dict[str, Any] | None:
        """The answer's envelope; None for ShopMonkey's own 404."""
        return await self._ask(api_key, "GET", path, sending=False, params=params or None)

    async def search(self, api_key: str, path: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """The envelope of a search, which is a POST that changes nothing."""
        return await self._ask(api_key, "POST", path, sending=False, json=body)

    async def write(
        self, api_key: str, method: str, path: str, body: Mapping[str, Any] | None
    ) -> dict[str, Any] | None:
        """The envelope of a change; None for ShopMonkey's own 404. Without a body no content type goes out.

        Raises:
            ProviderUnknown: ShopMonkey may have taken it: its answer was lost, or it failed meanwhile (5xx).
        """
        return await self._ask(api_key, method, path, sending=True, **({"json": body} if body is not None else {}))

    async def _ask(
        self, api_key: str, method: str, path: str, *, sending: bool, **request: Any
    ) -> dict[str, Any] | None:
        try:
            response = await exchange(
                self._http,
                method,
                self._base_url + path,
                timeout=self._timeout,
                sending=sending,
                headers={"Authorization": f"Bearer {api_key}", "Accept": "application/json"},
                **request,
            )
        except ProviderBusy as busy:
            raise ShopMonkeyBusy(busy.retry_after, busy.code) from None
        except ProviderRefused as refused:
            raise ShopMonkeyRefused(refused.code, refused.message, credentials=True) from None
        answer = json_object(response)
        if response.status_code == HTTP_NOT_FOUND and answer is not None:
            return None
        if sending and (response.status_code >= HTTP_SERVER_ERROR or (response.is_success and answer is None)):
            raise ProviderUnknown(f"ShopMonkey answered {response.status_code}")
        if not response.is_success or answer is None or answer.get("success") is False:
            _raise(response, answer)
        return answer


def _raise(response: httpx.Response, answer: dict[str, Any] | None) -> None:
    status, code = response.status_code, f"http_{response.status_code}"
    if answer is None or status not in FINAL:
        raise ShopMonkeyBusy(retry_after(response.headers), code)
    if status == HTTP_UNAUTHORIZED:
        raise ShopMonkeyRefused(code, "ShopMonkey does not accept the API key", credentials=True)
    if status == HTTP_FORBIDDEN:
        raise ShopMonkeyRefused(code, "the ShopMonkey API key may not read this", credentials=True)
    raise ShopMonkeyRefused(code, f"ShopMonkey refused the request (HTTP {status})")


def _canned_service(row: object) -> CannedService | None:
    try:
        return CannedService.model_validate(row)
    except ValidationError:
        _log.warning("shopmonkey_row_unreadable", table="canned_service")
        return None


def _order(row: object) -> Order | None:
    try:
        return Order.model_validate(row)
    except ValidationError:
        _log.warning("shopmonkey_row_unreadable", table="order")
        return None


def _wanted(order: Order, location_id: str, since: datetime) -> bool:
    changed = order.changed_at
    return order.location_id == location_id and (changed is None or changed >= since)
