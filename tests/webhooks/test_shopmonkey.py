from __future__ import annotations

import asyncio
import base64
import json
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from lead_orchestrator.webhooks.shopmonkey import LARGEST_BODY
from tests.factories import MadeTenant, make_tenant
from tests.webhooks.server import PATH, WebhookServer, order_body, signed_headers


@pytest.fixture
def location(tenant: MadeTenant) -> str:
    return tenant.shopmonkey_locations[0]


async def events(tenancy: Tenancy, tenant: MadeTenant) -> list[dict[str, Any]]:
    async with tenancy.read(tenant.scope) as session:
        rows = await session.execute(text("SELECT * FROM webhook_events ORDER BY id"))
        return [dict(row) for row in rows.mappings()]


async def unrouted(tenancy: Tenancy, location: str) -> int:
    async with tenancy.platform() as session:
        statement = text("SELECT count(*) FROM unrouted_webhooks WHERE route_key = :key")
        return int(await session.scalar(statement, {"key": location}) or 0)


async def set_secret(
    tenancy: Tenancy, box: SecretBox, tenant: MadeTenant, current: str, previous: str | None = None, until: str = "0"
) -> None:
    """Put secrets into the tenant's account; the previous one holds for `until` (an interval) from now."""
    sealed = [
        box.seal(tenant.id, "shopmonkey_webhook_secret", value) if value else None for value in (current, previous)
    ]
    statement = text(
        "UPDATE tenant_crm_configs SET webhook_secret = :current, previous_webhook_secret = :previous,"
        " previous_secret_valid_until = now() + cast(cast(:until AS text) AS interval) WHERE tenant_id = :id"
    )
    values = {"current": sealed[0], "previous": sealed[1], "until": until, "id": tenant.id}
    async with tenancy.platform() as session:
        await session.execute(statement, values)


async def test_a_signed_order_is_stored_and_its_worker_woken(
    server: WebhookServer, tenancy: Tenancy, tenant: MadeTenant, location: str
) -> None:
    answer = await server.deliver(order_body(location, "order-1"), tenant.webhook_secret, webhook_id="wh_1")

    assert (answer.status_code, answer.json()["result"]) == (202, "received")
    [event] = await events(tenancy, tenant)
    assert (event["external_id"], event["operation"], event["status"]) == ("order-1", "INSERT", "RECEIVED")
    assert (event["delivery_id"], event["source"]) == ("wh_1", "shopmonkey")
    assert (event["location_id"], event["external_location_id"]) == (tenant.location, location)
    assert server.woken == [(tenant.id, event["id"])]


SECRETS = [
    ("plain text", b"plain text"),
    ("Zoë's secret", "Zoë's secret".encode()),
    ("whsec_" + base64.b64encode(b"k" * 32).decode(), b"k" * 32),
    (base64.b64encode(b"k" * 32).decode(), b"k" * 32),
    (base64.b64encode(b"k" * 32).decode(), base64.b64encode(b"k" * 32)),
    ("whsec_" + base64.b64encode(b"k" * 32).decode(), base64.b64encode(b"k" * 32)),
]


@pytest.mark.parametrize(("secret", "key"), SECRETS)
async def test_a_secret_signs_as_text_and_as_base64(
    server: WebhookServer, tenancy: Tenancy, secret_box: SecretBox, tenant: MadeTenant, secret: str, key: bytes
) -> None:
    await set_secret(tenancy, secret_box, tenant, secret)
    body = order_body(tenant.shopmonkey_locations[0])

    assert (await server.post(body, signed_headers(body, key))).status_code == 202
    assert (await server.post(body, signed_headers(body, key + b"!"))).status_code == 401


async def test_the_previous_secret_holds_until_its_time(
    server: WebhookServer, tenancy: Tenancy, secret_box: SecretBox, tenant: MadeTenant, location: str
) -> None:
    await set_secret(tenancy, secret_box, tenant, "new", "old", until="1 hour")
    for secret in ("new", "old"):
        assert (await server.deliver(order_body(location), secret)).status_code == 202

    await set_secret(tenancy, secret_box, tenant, "new", "old", until="-1 second")
    assert (await server.deliver(order_body(location), "new")).status_code == 202
    assert (await server.deliver(order_body(location), "old")).status_code == 401


async def test_a_tenant_without_a_secret_is_sent_nothing(
    server: WebhookServer, tenancy: Tenancy, secret_box: SecretBox, tenant: MadeTenant, location: str
) -> None:
    await set_secret(tenancy, secret_box, tenant, "")

    assert (await server.post(order_body(location), signed_headers(order_body(location), b""))).status_code == 401
    assert await events(tenancy, tenant) == []


@pytest.mark.parametrize(("age", "status"), [(0, 202), (290, 202), (-290, 202), (310, 401), (-310, 401), (86_400, 401)])
async def test_a_timestamp_may_be_five_minutes_off(
    server: WebhookServer, tenancy: Tenancy, tenant: MadeTenant, location: str, age: int, status: int
) -> None:
    timestamp = int(time.time()) - age

    answer = await server.deliver(order_body(location), tenant.webhook_secret, timestamp=timestamp)

    assert answer.status_code == status
    assert len(await events(tenancy, tenant)) == (status == 202)


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-id": None},
        {"webhook-timestamp": None},
        {"webhook-signature": None},
        {"webhook-id": ""},
        {"webhook-id": "another"},
        {"webhook-id": "wh_ünïcode"},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "-1"},
        {"webhook-timestamp": "9" * 400},
        {"webhook-timestamp": "1e9"},
        {"webhook-timestamp": "²"},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,not base64!"},
        {"webhook-signature": "v2,AAAA"},
        {"webhook-signature": "v1," + "A" * 43 + "="},
        {"webhook-signature": "v1,é"},
        {"webhook-signature": " ".join(["v1,AAAA"] * 500)},
    ],
)
async def test_what_is_not_proven_is_refused_and_leaves_nothing(
    server: WebhookServer, tenancy: Tenancy, tenant: MadeTenant, location: str, changed: dict[str, str | None]
) -> None:
    body = order_body(location)
    headers = signed_headers(body, tenant.webhook_secret)
    encoded = [
        (name.encode(), value.encode("latin-1")) for name, value in {**headers, **changed}.items() if value is not None
    ]

    answer = await server.post(body, httpx.Headers(encoded))

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "BAD_SIGNATURE")
    assert await events(tenancy, tenant) == []
    assert server.woken == []


async def test_one_of_several_signatures_is_enough(server: WebhookServer, tenant: MadeTenant, location: str) -> None:
    body = order_body(location)
    headers = signed_headers(body, tenant.webhook_secret)
    headers["webhook-signature"] = f"v2,zzz v1,AAAA {headers['webhook-signature']}"

    assert (await server.post(body, headers)).status_code == 202


async def test_a_second_webhook_id_header_is_not_taken_for_the_signed_one(
    server: WebhookServer, tenancy: Tenancy, tenant: MadeTenant, location: str
) -> None:
    body = order_body(location, updatedDate=None, meta=None)
    headers = signed_headers(body, tenant.webhook_secret, webhook_id="wh_1")
    before = httpx.Headers([("webhook-id", "wh_other"), *headers.items()])
    after = httpx.Headers([*headers.items(), ("webhook-id", "wh_other")])

    assert (await server.post(body, before)).status_code == 401
    assert (await server.post(body, after)).status_code == 202
    assert [event["delivery_id"] for event in await events(tenancy, tenant)] == ["wh_1"]


async def test_another_tenants_secret_proves_nothing(
    server: WebhookServer, tenancy: Tenancy, secret_box: SecretBox, tenant: MadeTenant, location: str
) -> None:
    other = await make_tenant(tenancy, secret_box)

    answer = await server.deliver(order_body(location), other.webhook_secret)

    assert answer.status_code == 401
    assert await events(tenancy, tenant) == await events(tenancy, other) == []


async def test_every_byte_of_the_body_is_signed(
    server: WebhookServer, tenancy: Tenancy, tenant: MadeTenant, location: str
) -> None:
    body = order_body(location)
    headers = signed_headers(body, tenant.webhook_secret)
    respelled = json.dumps(json.loads(body)).encode()  # the same JSON in other bytes

    for altered in (body + b" ", body.replace(b"INSERT", b"UPDATE"), body.replace(b"Quote", b"quote"), respelled):
        assert (await server.post(altered, headers)).status_code == 401

    assert await events(tenancy, tenant) == []


async def test_a_repeated_delivery_is_stored_once(
    server: WebhookServer, tenancy: Tenancy, tenant: MadeTenant, location: str
) -> None:
    body = order_body(location, "order-1")
    headers = signed_headers(body, tenant.webhook_secret)

    replays = await asyncio.gather(*(server.post(body, headers) for _ in range(10)))
    again = await server.deliver(body, tenant.webhook_secret)  # a new attempt has a new id

    assert sorted(answer.json()["result"] for answer in replays) == ["duplicate"] * 9 + ["received"]
    assert (again.status_code, again.json()["result"]) == (202, "duplicate")
    assert len(await events(tenancy, tenant)) == len(server.woken) == 1


async def test_each_change_of_an_order_is_an_event(
    server: WebhookServer, tenancy: Tenancy, tenant: MadeTenant, location: str
) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"operation": "UPDATE"},
        {"updatedDate": "2026-05-01T10:00:00.001Z"},
        {"meta": {"version": 8}},
        {"updatedDate": None},
        {"updatedDate": None, "meta": None},
    ]

    for change in changes:
        answer = await server.deliver(order_body(location, "order-1", **change), tenant.webhook_secret)
        assert answer.json()["result"] == "received"

    assert len(await events(tenancy, tenant)) == len(changes)


async def test_an_unknown_location_is_kept_for_later(server: WebhookServer, tenancy: Tenancy) -> None:
    location = secrets.token_hex(12)
    body = order_body(location, "order-1")

    for _ in range(3):
        answer = await server.post(body, {})
        assert (answer.status_code, answer.json()["result"]) == (202, "unrouted")

    assert await unrouted(tenancy, location) == 1
    assert server.woken == []


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"table": "customer", "operation": "UPDATE", "data": {"id": "c", "locationId": "l"}},
        {"table": "order", "data": {"locationId": "l"}},
        {"table": "order", "data": {"id": "o"}},
        {"table": "order", "data": []},
        {"table": "order", "data": None},
        {"table": 7, "data": {"id": "o"}},
        {"table": "order", "data": {"id": ["o"], "locationId": "l"}},
        {"table": "order", "data": {"id": "o\u0000", "locationId": "l"}},
        {"table": "order", "data": {"id": "o", "locationId": "l\u0000"}},
        {"table": "order", "data": {"id": "o" * 201, "locationId": "l"}},
        {"table": "order", "data": {"id": "o", "locationId": "l" * 100_000}},
        {"table": "order", "data": {"id": "\ud800", "locationId": "l"}},
        {"table": "order", "data": {"id": "   ", "locationId": "l"}},
    ],
)
async def test_what_is_not_about_one_order_is_taken_and_ignored(server: WebhookServer, payload: object) -> None:
    answer = await server.post(json.dumps(payload).encode(), {})

    assert (answer.status_code, answer.json()["result"]) == (202, "ignored")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (order_body("somewhere")[:-20], "not JSON"),
        (b"\xff\xfe{}", "not UTF-8"),
        (order_body("somewhere").decode().encode("utf-16"), "not UTF-8"),
        (order_body("somewhere").decode().encode("latin-1"), "not UTF-8"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 30_000 + b"1" + b"}" * 30_000, "nested too deeply"),
        (b"[]", "JSON array"),
        (b"null", "JSON null"),
        (b'"text"', "JSON string"),
        (b"1" * 10_000, "not JSON"),
        (b"\x00", "not JSON"),
    ],
)
async def test_what_cannot_be_read_is_refused_in_words(server: WebhookServer, body: bytes, says: str) -> None:
    answer = await server.post(body, {})

    assert answer.status_code == 400
    assert says in answer.json()["error"]["message"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "x" * 3000])
async def test_the_content_type_does_not_matter(
    server: WebhookServer, tenant: MadeTenant, location: str, content_type: str
) -> None:
    body = order_body(location)

    answer = await server.post(body, signed_headers(body, tenant.webhook_secret) | {"content-type": content_type})

    assert answer.status_code == 202


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_only_post_is_answered(server: WebhookServer, method: str) -> None:
    assert (await server.http.request(method, PATH)).status_code == 405


async def test_strange_but_signed_values_are_stored(
    server: WebhookServer, tenancy: Tenancy, tenant: MadeTenant, location: str
) -> None:
    odd: list[dict[str, Any]] = [
        {"operation": "X" * 5000},
        {"operation": "\u0000"},
        {"updatedDate": "\u0000", "meta": {"version": -1}},
        {"updatedDate": "2" * 5000, "meta": {"version": 2**70}},
        {"updatedDate": 7, "meta": {"version": "7"}},
        {"meta": {"version": 1e300}},
        {"name": "\u0000🚗"},
    ]

    for columns in odd:
        answer = await server.deliver(order_body(location, **columns), tenant.webhook_secret)
        assert answer.status_code == 202, columns
    long_id = await server.deliver(order_body(location), tenant.webhook_secret, webhook_id="i" * 5000)
    assert long_id.status_code == 202

    assert len(await events(tenancy, tenant)) == len(odd) + 1


async def test_a_webhook_id_that_postgres_cannot_store_is_no_server_error(
    server: WebhookServer, tenant: MadeTenant, location: str
) -> None:
    body = order_body(location)
    statuses = []
    for webhook_id in ("wh_\x00", "wh_\x01", "wh_\x7f"):
        headers = signed_headers(body, tenant.webhook_secret, webhook_id=webhook_id)
        lines = [f"POST {PATH} HTTP/1.1", "Host: here", "Connection: close", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        answer = await server.raw("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        statuses.append(int(answer.split(b" ")[1]))

    assert all(status in {202, 400, 401} for status in statuses)


async def test_a_body_that_is_declared_too_large_is_not_read(server: WebhookServer) -> None:
    answer = await server.post(b"x" * (LARGEST_BODY + 1), {})

    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "TOO_LARGE")


async def test_a_body_that_grows_too_large_is_cut_off(server: WebhookServer) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 65_536

    answer = await server.http.post(PATH, content=endless())

    assert answer.status_code == 413


@pytest.mark.parametrize("length", ["999999999999", "9" * 30, "-1", "abc", "0x10", "\xb2"])
async def test_a_false_content_length_is_no_server_error(server: WebhookServer, length: str) -> None:
    answer = await server.raw(
        f"POST {PATH} HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Length: {length}\r\n\r\nxx".encode(
            "latin-1"
        )
    )

    assert int(answer.split(b" ")[1]) in {400, 413}


async def test_a_sender_that_hangs_up_leaves_nothing(
    server: WebhookServer, tenancy: Tenancy, tenant: MadeTenant, location: str
) -> None:
    body = order_body(location)
    headers = signed_headers(body, tenant.webhook_secret)
    lines = [f"POST {PATH} HTTP/1.1", "Host: here", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    _, writer = await asyncio.open_connection(server.host, server.port)
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body[:-5])
    await writer.drain()
    writer.close()
    await writer.wait_closed()

    assert (await server.deliver(order_body(location, str(uuid4())), tenant.webhook_secret)).status_code == 202
    assert len(await events(tenancy, tenant)) == 1
