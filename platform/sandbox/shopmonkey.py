"""ShopMonkey's API v3 as the product meets it."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.sandbox.context import Sandbox, is_web_address, json_object
from lead_orchestrator.sandbox.faults import FaultReplies, guarded
from lead_orchestrator.sandbox.shopmonkey_appointments import (
    change_appointment,
    new_appointment,
    search_appointments,
    search_with_repetitions,
    shown,
)
from lead_orchestrator.sandbox.shopmonkey_lists import cut_page, filter_rows, parse_json_parameter
from lead_orchestrator.sandbox.shopmonkey_rows import WEBHOOK_VERSION, change_order, tell_webhooks
from lead_orchestrator.sandbox.world import Company, Row, timestamp

__all__ = ["ShopMonkeyApi", "register_webhook"]

PREFIX = "/v3"
WINDOW_SECONDS = 60.0
WRITES, SEARCH = ("POST", "PUT", "DELETE"), "/search"
HTTP_REDIRECTS = 300
WAF_PAGE = (
    "<!DOCTYPE html><html><head><title>Attention Required! | Cloudflare</title></head><body>Blocked</body></html>"
)
_WEBHOOK_COLUMNS = ("name", "url", "triggers", "enabled", "secret", "locationId")

Handler = Callable[[Request, Company], Awaitable[Response]]


class ShopMonkeyError(Exception):
    """An answer in ShopMonkey's error envelope."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers

    def response(self) -> JSONResponse:
        body = {"success": False, "code": self.code, "message": self.message}
        return JSONResponse(body, self.status, headers=self.headers)


class ShopMonkeyApi:
    """The routes under /v3; a request's Bearer key decides which company's rows exist."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._world = sandbox.world
        self._replies = FaultReplies(
            "shopmonkey",
            {
                "waf_403": lambda _: HTMLResponse(WAF_PAGE, 403),
                "bad_credentials": lambda _: _unauthorized().response(),
                "error_429": lambda fault: _too_many(fault.seconds).response(),
                "error_500": lambda _: ShopMonkeyError(500, "INTERNAL", "Internal server error").response(),
            },
            lambda request, response: (
                request.method in WRITES and SEARCH not in request.url.path and response.status_code < HTTP_REDIRECTS
            ),
        )

    def routes(self) -> list[BaseRoute]:
        return [
            self._route("/order", self._list_orders, "GET"),
            self._route("/order/{id}", self._get_order, "GET"),
            self._route("/order/{id}", self._put_order, "PUT"),
            self._route("/order/{id}/service", self._order_services, "GET"),
            self._route("/customer/search", self._search_customers, "POST"),
            self._route("/customer/{id}", self._get_customer, "GET"),
            self._route("/vehicle/{id}", self._get_vehicle, "GET"),
            self._route("/appointment", self._list_appointments, "GET"),
            self._route("/appointment", self._create_appointment, "POST"),
            self._route("/appointment/search", self._search_appointments, "POST"),
            self._route("/appointment/search_replacement", self._search_repetitions, "POST"),
            self._route("/appointment/{id}", self._get_appointment, "GET"),
            self._route("/appointment/{id}", self._put_appointment, "PUT"),
            self._route("/appointment/{id}", self._delete_appointment, "DELETE"),
            self._route("/user", self._list_users, "GET"),
            self._route("/canned_service", self._list_canned_services, "GET"),
            self._route("/canned_service/{id}", self._get_canned_service, "GET"),
            self._route("/location/{id}", self._get_location, "GET"),
            self._route("/workflow_status", self._list_workflow_statuses, "GET"),
            self._route("/webhook", self._list_webhooks, "GET"),
            self._route("/webhook", self._create_webhook, "POST"),
            self._route("/webhook/{id}", self._get_webhook, "GET"),
            self._route("/webhook/{id}", self._put_webhook, "PUT"),
            self._route("/webhook/{id}", self._delete_webhook, "DELETE"),
        ]

    def _route(self, path: str, handler: Handler, method: str) -> Route:
        async def answer(request: Request) -> Response:
            try:
                company = self._company(request)
                quota = self._spend_request(company)
                response = await handler(request, company)
            except ShopMonkeyError as error:
                return error.response()
            except BadInputError as error:
                return ShopMonkeyError(400, "BAD_REQUEST", error.message).response()
            response.headers.update(quota)
            return response

        return Route(PREFIX + path, guarded(self._world.faults, self._replies, answer), methods=[method])

    def _company(self, request: Request) -> Company:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        company = self._world.company_by_key(key) if scheme.lower() == "bearer" else None
        if company is None:
            raise _unauthorized()
        return company

    def _spend_request(self, company: Company) -> dict[str, str]:
        now, limit, recent = time.monotonic(), company.requests_per_minute, company.recent_requests
        while recent and recent[0] <= now - WINDOW_SECONDS:
            recent.popleft()
        if len(recent) >= limit:
            wait = math.ceil(recent[0] + WINDOW_SECONDS - now) if recent else WINDOW_SECONDS
            raise _too_many(wait, {"X-RateLimit-Limit-Minute": str(limit), "X-RateLimit-Remaining-Minute": "0"})
        recent.append(now)
        return {"X-RateLimit-Limit-Minute": str(limit), "X-RateLimit-Remaining-Minute": str(limit - len(recent))}

    async def _list_orders(self, request: Request, company: Company) -> Response:
        rows = (row for row in company.orders.values() if not row["deleted"])
        return self._list("order", request, rows, hydrate=lambda row: _hydrated(company, row))

    async def _get_order(self, request: Request, company: Company) -> Response:
        return _one(company.orders, request, "Order")

    async def _put_order(self, request: Request, company: Company) -> Response:
        order = _find(company.orders, request, "Order")
        changes = await json_object(request)
        known = {name: value for name, value in changes.items() if name in order and name not in ("id", "companyId")}
        diff = change_order(self._world, order, known)
        tell_webhooks(self._sandbox, company, "UPDATE", order, diff)
        return _data(order)

    async def _order_services(self, request: Request, company: Company) -> Response:
        return _data(company.order_services[_find(company.orders, request, "Order")["id"]])

    async def _search_customers(self, request: Request, company: Company) -> Response:
        body = await json_object(request)
        where, order = body.get("where") or {}, body.get("orderBy") or {}
        if not isinstance(where, dict) or not isinstance(order, dict):
            raise BadInputError("where and orderBy must be objects")
        found = filter_rows(company.customers.values(), where, equality=True)
        return self._page("customer", found, body, order)

    async def _list_appointments(self, request: Request, company: Company) -> Response:
        return self._list("appointment", request, search_appointments(company, {}))

    async def _create_appointment(self, request: Request, company: Company) -> Response:
        row = new_appointment(self._world, company, await json_object(request))
        self._world.tell("appointment_created", id=row["id"])
        return _data(shown(row))

    async def _search_appointments(self, request: Request, company: Company) -> Response:
        body = await json_object(request)
        where, order = body.get("where") or {}, body.get("orderBy") or {}
        if not isinstance(where, dict) or not isinstance(order, dict):
            raise BadInputError("where and orderBy must be objects")
        return self._page("appointment", search_appointments(company, where), body, order)

    async def _search_repetitions(self, request: Request, company: Company) -> Response:
        """Its total counts too many: whatever is left out by the span as well."""
        body = await json_object(request)
        order = body.get("orderBy") or {"startDate": "asc"}
        page = cut_page(search_with_repetitions(company, body), body, order, None, self._world.random)
        total = page.total + len(company.appointments)
        return _data(page.rows, {"total": total, "hasMore": page.has_more})

    async def _get_appointment(self, request: Request, company: Company) -> Response:
        return _data(shown(_find(company.appointments, request, "Appointment")))

    async def _put_appointment(self, request: Request, company: Company) -> Response:
        row = _find(company.appointments, request, "Appointment")
        change_appointment(self._world, company, row, await json_object(request))
        return _data(shown(row))

    async def _delete_appointment(self, request: Request, company: Company) -> Response:
        await _refuse_empty_json(request)
        row = _find(company.appointments, request, "Appointment")
        del company.appointments[row["id"]]
        self._world.tell("appointment_deleted", id=row["id"])
        return _data(shown(row))

    async def _list_users(self, request: Request, company: Company) -> Response:
        return self._list("user", request, company.users)

    async def _get_customer(self, request: Request, company: Company) -> Response:
        return _one(company.customers, request, "Customer")

    async def _get_vehicle(self, request: Request, company: Company) -> Response:
        return _one(company.vehicles, request, "Vehicle")

    async def _list_canned_services(self, request: Request, company: Company) -> Response:
        return self._list("canned_service", request, company.canned_services.values())

    async def _get_canned_service(self, request: Request, company: Company) -> Response:
        return _one(company.canned_services, request, "CannedService")

    async def _get_location(self, request: Request, company: Company) -> Response:
        return _one(company.locations, request, "Location")

    async def _list_workflow_statuses(self, request: Request, company: Company) -> Response:
        location_id = request.query_params.get("locationId")
        rows = [row for row in company.workflow_statuses if location_id in (None, row["locationId"])]
        return _data(rows, {"total": len(rows), "hasMore": False})

    def _list(
        self, table: str, request: Request, rows: Iterable[Row], hydrate: Callable[[Row], Row] = lambda row: row
    ) -> JSONResponse:
        query = request.query_params
        where = parse_json_parameter("where", query.get("where"))
        order = parse_json_parameter("orderby", query.get("orderby"))  # orderBy is accepted and ignored
        location_id = query.get("locationId")
        found = [row for row in filter_rows(rows, where) if location_id in (None, row["locationId"])]
        return self._page(table, found, query, order, hydrate)

    def _page(
        self, table: str, rows: list[Row], parameters: Any, order: Row, hydrate: Callable[[Row], Row] = lambda row: row
    ) -> JSONResponse:
        quirks = self._world.quirks
        unstable = quirks if quirks.unstable_lists and table in quirks.unstable_tables else None
        page = cut_page(rows, parameters, order, unstable, self._world.random)
        return _data([hydrate(row) for row in page.rows], {"total": page.total, "hasMore": page.has_more})

    async def _list_webhooks(self, _: Request, company: Company) -> Response:
        rows = [_public_webhook(row) for row in company.webhooks.values()]
        return _data(rows, {"total": len(rows), "hasMore": False})

    async def _create_webhook(self, request: Request, company: Company) -> Response:
        return _data(_public_webhook(register_webhook(company, await json_object(request))))

    async def _get_webhook(self, request: Request, company: Company) -> Response:
        return _data(_public_webhook(_find(company.webhooks, request, "Webhook")))

    async def _put_webhook(self, request: Request, company: Company) -> Response:
        webhook = _find(company.webhooks, request, "Webhook")
        changes = await json_object(request)
        _check_webhook(company, {**webhook, **changes}, own_id=webhook["id"])
        webhook.update({name: changes[name] for name in _WEBHOOK_COLUMNS if name in changes}, updatedDate=timestamp())
        return _data(_public_webhook(webhook))

    async def _delete_webhook(self, request: Request, company: Company) -> Response:
        await _refuse_empty_json(request)
        webhook = _find(company.webhooks, request, "Webhook")
        del company.webhooks[webhook["id"]]
        return _data(_public_webhook(webhook))


def register_webhook(company: Company, data: Row) -> Row:
    """Store a webhook `{name, url, triggers, secret?, enabled?, locationId?}`; a name is unique in its company."""
    _check_webhook(company, data)
    webhook = {
        "id": str(uuid.uuid4()),
        "companyId": company.id,
        "createdDate": timestamp(),
        "updatedDate": None,
        "enabled": True,
        "secret": None,
        "locationId": None,
        **{name: data[name] for name in _WEBHOOK_COLUMNS if name in data},
        "version": WEBHOOK_VERSION,
        "error": False,
        "errorMessage": None,
        "errorDate": None,
    }
    company.webhooks[webhook["id"]] = webhook
    return webhook


def _check_webhook(company: Company, data: Row, own_id: str | None = None) -> None:
    if not isinstance(data.get("name"), str) or not data["name"]:
        raise BadInputError("name is required")
    if not is_web_address(data.get("url")):
        raise BadInputError(f"url must be an http(s) address, not {data.get('url')!r}")
    secret, triggers = data.get("secret"), data.get("triggers")
    if not isinstance(secret, str | None) or not isinstance(data.get("enabled", True), bool):
        raise BadInputError("secret must be a string, enabled true or false")
    if not isinstance(triggers, list) or not triggers or not all(isinstance(trigger, str) for trigger in triggers):
        raise BadInputError("triggers must be a list of names, such as Order or OrderInsert")
    location_id = data.get("locationId")
    if location_id is not None and location_id not in company.locations:
        raise BadInputError(f"locationId {location_id!r} is unknown")
    if any(row["name"] == data["name"] and row["id"] != own_id for row in company.webhooks.values()):
        raise ShopMonkeyError(409, "CONFLICT", f"a webhook named {data['name']!r} exists")


async def _refuse_empty_json(request: Request) -> None:
    if request.headers.get("content-type", "").startswith("application/json") and not await request.body():
        raise BadInputError("Body cannot be empty when content-type is set to 'application/json'")


def _public_webhook(webhook: Row) -> Row:
    return {name: value for name, value in webhook.items() if name != "secret"}


def _hydrated(company: Company, order: Row) -> Row:
    customer, vehicle = company.customers.get(order["customerId"]), company.vehicles.get(order["vehicleId"])
    return {**order, "customer": customer, "vehicle": vehicle}


def _find(rows: dict[str, Row], request: Request, noun: str) -> Row:
    row = rows.get(request.path_params["id"])
    if row is None:
        raise ShopMonkeyError(404, "NOT_FOUND", f"{noun} not found")
    return row


def _one(rows: dict[str, Row], request: Request, noun: str) -> JSONResponse:
    return _data(_find(rows, request, noun))


def _data(data: Any, meta: Row | None = None) -> JSONResponse:
    return JSONResponse({"success": True, "data": data, **({"meta": meta} if meta is not None else {})})


def _unauthorized() -> ShopMonkeyError:
    return ShopMonkeyError(401, "UNAUTHORIZED", "Invalid API key")


def _too_many(seconds: float, headers: dict[str, str] | None = None) -> ShopMonkeyError:
    wait = {"Retry-After": str(math.ceil(seconds))}
    return ShopMonkeyError(429, "TOO_MANY_REQUESTS", "Rate limit exceeded", {**wait, **(headers or {})})
