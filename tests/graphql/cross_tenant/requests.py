"""Right requests to the routes beside GraphQL, as whom they belong to sends them.

Whoever adds a route adds its request here; the build fails without one. Values are those of `examples`, filled in from the
franchise that is meant. What opens a door by itself (a signed link, a mailed one, a key in an address) is named in `secret`: those
who attack do not have it, and forge it.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from lead_orchestrator.ids import Kind
from lead_orchestrator.tenancy.tokens import Role
from tests.graphql.cross_tenant.examples import SELLING, SOLD, Column, Id, Made, day_in, noon_in

if TYPE_CHECKING:
    from tests.graphql.cross_tenant.sides import Side

__all__ = ["REQUESTS", "Request"]


@dataclass(frozen=True)
class Request:
    """`by` is the role whose access token it needs. `shows_shop`: it shows what a shop shows to everybody, `open_to_all` says why
    a stranger may have an effect on the franchise by it. `elsewhere` names the test in which it works, where that takes more
    than one request. `unmoved`: a wrong secret is answered as if nothing were wrong, or with the form once more."""

    path: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    form: Mapping[str, Any] | None = None
    headers: Mapping[str, Any] = field(default_factory=dict)
    secret: frozenset[str] = frozenset()
    by: Role | None = None
    shows_shop: bool = False
    open_to_all: str | None = None
    elsewhere: str | None = None
    ends_caller: bool = False
    unmoved: bool = False

    @property
    def names_anything(self) -> bool:
        """Whether it is about anything of the franchise's."""
        stand_ins = (Id, Column, Made)
        given = [self.path, self.query, self.body or {}, self.form or {}, self.headers]
        return any(isinstance(value, stand_ins) for part in given for value in part.values())


def _uuid(typed: str) -> UUID:
    return UUID(typed.partition("_")[2])


def _of_lead(purpose: str) -> Made:
    async def made(side: Side) -> str:
        assert side.links is not None
        return side.links.token(purpose, side.tenant_id, _uuid(await side.resolved(Id(Kind.LEAD))))

    return Made(made)


async def _manage(side: Side) -> str:
    assert side.links is not None
    key = _uuid(await side.resolved(Id(Kind.APPOINTMENT, "status = 'CONFIRMED' AND lead_id IS NOT NULL")))
    given = "UPDATE appointments SET manage_nonce = coalesce(manage_nonce, $1) WHERE id = $2 RETURNING manage_nonce"
    nonce = await side.admin.fetchval(given, secrets.token_bytes(16), key)
    return side.links.manage(side.tenant_id, key, nonce).rpartition("/")[2]


async def _mailed(side: Side) -> str:
    assert side.links is not None
    given = (
        "UPDATE invitations SET nonce = $1, used_at = NULL, kind = 'INVITATION' WHERE tenant_id = $2 AND user_id IN"
        " (SELECT id FROM users WHERE active) RETURNING id"
    )
    nonce = secrets.token_bytes(16)
    key = await side.admin.fetchval(given, nonce, side.tenant_id)
    return side.links.sign("account", side.tenant_id.bytes + key.bytes + nonce)


async def _refresh(side: Side) -> str:
    assert side.links is not None
    session, user = await side.admin.fetchrow(  # type: ignore[misc]  # there is one
        "SELECT id, user_id FROM sessions WHERE tenant_id = $1", side.tenant_id
    )
    body = side.tenant_id.bytes + user.bytes + session.bytes + secrets.token_bytes(32)
    return f"lead_refresh={side.links.sign('refresh', body)}"


async def _routed(side: Side) -> str:
    """As much of the key in SendGrid's addresses as is stored: its hash."""
    return str(await side.whole.resolved(Column("routes", "key", "kind = 'sendgrid'")))


async def _hot(side: Side) -> int:
    """A page that has to show somebody."""
    key = _uuid(await side.resolved(Id(Kind.LEAD)))
    await side.admin.execute("UPDATE leads SET status = 'HOT' WHERE id = $1", key)
    return 100


def _signed(purpose: str) -> Callable[[Side], Awaitable[str]]:
    async def made(side: Side) -> str:
        assert side.links is not None
        return side.links.sign(purpose, side.tenant_id.bytes + secrets.token_bytes(32))

    return made


SLUG = Column("locations", "slug")
TOKEN = frozenset({"token"})
CHAT, UNSUBSCRIBE = _of_lead("chat"), _of_lead("unsubscribe")
MANAGE, MAILED, ROUTED = Made(_manage), Made(_mailed), Made(_routed)
PASSWORD = "correct horse battery staple"
WEBHOOKS = "tests/webhooks/test_mutated_messaging.py"
SIGN_IN = "tests/tenancy/accounts/test_sign_in.py"
GREETED = {"To": Column("tenant_messaging_configs", "twilio_phone_number"), "From": "+12135550181", "Body": "STOP"}
ORDER = {"id": "fuzz", "locationId": Column("locations", "shopmonkey_location_id")}
WHATSAPP = {
    "object": "whatsapp_business_account",
    "entry": [
        {
            "changes": [
                {
                    "field": "messages",
                    "value": {
                        "metadata": {"phone_number_id": Column("tenant_messaging_configs", "whatsapp_phone_number_id")},
                        "messages": [
                            {"from": "12135550181", "id": "wamid.fuzz", "type": "text", "text": {"body": "STOP"}}
                        ],
                    },
                }
            ]
        }
    ],
}

REQUESTS: Mapping[str, Request] = {
    "GET /.well-known/jwks.json": Request(),
    "GET /a/{token}": Request({"token": MANAGE}, secret=TOKEN),
    "GET /a/{token}/appointment.ics": Request({"token": MANAGE}, secret=TOKEN),
    "GET /api/form": Request(query={"realtorId": SLUG}, shows_shop=True),
    "GET /api/leads": Request(query={"first": Made(_hot)}, by=Role.OWNER),
    "GET /api/openapi.json": Request(),
    "GET /api/services": Request(query={"locationId": Id(Kind.LOCATION)}, shows_shop=True),
    "GET /api/slots": Request(
        query={
            "locationId": SELLING,
            "serviceIds": Id(Kind.SERVICE, SOLD),
            "from": day_in(1),
            "to": day_in(3),
        },
        shows_shop=True,
    ),
    "GET /auth/links/{token}": Request({"token": MAILED}, secret=TOKEN),
    "GET /book/{slug}": Request({"slug": SLUG}, shows_shop=True),
    "GET /c/{token}": Request({"token": CHAT}, secret=TOKEN),
    "GET /chat/{name}": Request({"name": "chat.js"}),
    "GET /google/callback": Request(
        query={"state": Made(_signed("google state")), "code": "4/fuzz"},
        secret=frozenset({"state"}),
        elsewhere="tests/booking/calendar/test_connections.py",
    ),
    "GET /health": Request(),
    "GET /metrics": Request(),
    "GET /ready": Request(elsewhere="tests/test_app.py"),
    "GET /survey/{slug}": Request({"slug": SLUG}, shows_shop=True, elsewhere="tests/rest/test_public_pages.py"),
    "GET /u/{token}": Request({"token": UNSUBSCRIBE}, secret=TOKEN, elsewhere="tests/rest/test_links.py"),
    "GET /u/{token}/choices": Request({"token": UNSUBSCRIBE}, secret=TOKEN, elsewhere="tests/rest/test_preferences.py"),
    "GET /webhook/whatsapp": Request(query={"hub.mode": "subscribe", "hub.verify_token": "no"}, elsewhere=WEBHOOKS),
    "GET /webhooks/whatsapp": Request(query={"hub.mode": "subscribe", "hub.verify_token": "no"}, elsewhere=WEBHOOKS),
    "POST /a/{token}": Request(
        {"token": MANAGE}, form={"cancel": "1"}, secret=TOKEN, elsewhere="tests/rest/test_appointments.py"
    ),
    "POST /api/bookings": Request(
        body={
            "locationId": SELLING,
            "serviceIds": [Id(Kind.SERVICE, SOLD)],
            "startsAt": noon_in(23),
            "firstName": "Grace",
            "phone": "+12135550182",
        },
        shows_shop=True,
        open_to_all="anybody may book at a shop",
    ),
    "POST /api/leads": Request(
        body={"realtorId": SLUG, "firstName": "Grace", "phone": "+12135550183"},
        shows_shop=True,
        open_to_all="anybody may ask a shop for a quote",
    ),
    "POST /api/schedule": Request(
        body={
            "leadId": Id(Kind.LEAD, "phone IS NOT NULL AND opted_out = '{}'"),
            "channel": "SMS",
            "body": "Your car is ready",
            "idempotencyKey": "0199aaaa-0000-7000-8000-000000000009",
        },
        by=Role.OWNER,
    ),
    "POST /auth/accept-invite": Request(
        body={"token": MAILED, "password": PASSWORD}, secret=TOKEN, elsewhere="tests/tenancy/accounts/test_links.py"
    ),
    "POST /auth/links/{token}": Request({"token": MAILED}, form={"password": PASSWORD}, secret=TOKEN),
    "POST /auth/refresh": Request(headers={"cookie": Made(_refresh)}, secret=frozenset({"cookie"}), elsewhere=SIGN_IN),
    "POST /auth/reset": Request(
        body={"token": MAILED, "password": PASSWORD}, secret=TOKEN, elsewhere="tests/tenancy/accounts/test_links.py"
    ),
    "POST /auth/second-factor/confirm": Request(
        body={"enrolmentToken": Made(_signed("second factor")), "code": "123456"},
        secret=frozenset({"enrolmentToken"}),
        elsewhere=SIGN_IN,
    ),
    "POST /auth/second-factor/enrol": Request(
        body={"enrolmentToken": Made(_signed("second factor"))},
        secret=frozenset({"enrolmentToken"}),
        elsewhere=SIGN_IN,
    ),
    "POST /auth/sign-in": Request(
        body={"email": Column("users", "email"), "password": PASSWORD},
        open_to_all="who tries a password is counted",
        elsewhere=SIGN_IN,
    ),
    "POST /auth/sign-out": Request(
        headers={"cookie": Made(_refresh)}, secret=frozenset({"cookie"}), unmoved=True, elsewhere=SIGN_IN
    ),
    "POST /auth/sign-out-everywhere": Request(by=Role.OWNER, ends_caller=True, elsewhere=SIGN_IN),
    "POST /book/{slug}": Request(
        {"slug": SLUG},
        form={"form": Made(_signed("form")), "first_name": "Grace", "phone": "+12135550184"},
        secret=frozenset({"form"}),
        shows_shop=True,
        unmoved=True,
        elsewhere="tests/rest/test_public_pages.py",
    ),
    "POST /survey/{slug}": Request(
        {"slug": SLUG},
        form={"form": Made(_signed("form")), "first_name": "Grace", "phone": "+12135550185"},
        secret=frozenset({"form"}),
        shows_shop=True,
        unmoved=True,
        elsewhere="tests/rest/test_public_pages.py",
    ),
    "POST /u/{token}": Request({"token": UNSUBSCRIBE}, form={"List-Unsubscribe": "One-Click"}, secret=TOKEN),
    "POST /u/{token}/choices": Request({"token": UNSUBSCRIBE}, form={"channel": "none"}, secret=TOKEN),
    "POST /webhook/whatsapp": Request(body=WHATSAPP, elsewhere="tests/messaging/inbound/test_whatsapp.py"),
    "POST /webhooks/google/calendar": Request(
        headers={
            "x-goog-channel-token": _of_lead("google channel"),
            "x-goog-channel-id": "fuzz",
            "x-goog-resource-state": "exists",
        },
        secret=frozenset({"x-goog-channel-token"}),
        elsewhere="tests/booking/calendar/test_sync.py",
    ),
    "POST /webhooks/sendgrid/events/{key}": Request(
        {"key": ROUTED}, body={}, secret=frozenset({"key"}), elsewhere=WEBHOOKS
    ),
    "POST /webhooks/sendgrid/inbound/{key}": Request(
        {"key": ROUTED},
        form={"from": "grace@example.com", "text": "STOP"},
        secret=frozenset({"key"}),
        elsewhere=WEBHOOKS,
    ),
    "POST /webhooks/shopmonkey/order": Request(
        body={"table": "order", "operation": "INSERT", "data": ORDER},
        headers={"webhook-id": "fuzz", "webhook-timestamp": "1772000000", "webhook-signature": "v1,AAAA"},
        elsewhere="tests/webhooks/test_shopmonkey.py",
    ),
    "POST /webhooks/twilio/sms": Request(form=GREETED, headers={"x-twilio-signature": "AAAA"}, elsewhere=WEBHOOKS),
    "POST /webhooks/twilio/status": Request(
        form={"MessageSid": "SMfuzz", "MessageStatus": "failed", **GREETED},
        headers={"x-twilio-signature": "AAAA"},
        elsewhere=WEBHOOKS,
    ),
    "POST /webhooks/whatsapp": Request(body=WHATSAPP, elsewhere="tests/messaging/inbound/test_whatsapp.py"),
}
