"""Valid arguments of the schema's operations, where they do not follow from the schema by themselves.

Whoever adds a query, a mutation or a subscription adds an example here if the fuzz asks for one; nothing else. An argument is
a plain value, or what stands for a value of the franchise that is meant:

- `Id(Kind.LEAD)` is the id of one of its leads; `Id(Kind.LEAD, "touches_paused")` of one of which this SQL is true;
- `Column("locations", "slug")` is a value of one of its rows;
- `in_days(3)` is a moment from now;
- `Made(function)` is what `await function(side)` answers with, for what has to be prepared: a hold, a token.

The operation has to succeed with them for the franchise itself: it shows something of the franchise, or changes something.
The same arguments, and forged ones like them, are then tried by everybody who must get nothing and change nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from lead_orchestrator.ids import Kind
from lead_orchestrator.sandbox.seed import SUN_SHADE
from lead_orchestrator.touches.schedule import DEFAULT_DAYS

if TYPE_CHECKING:
    from tests.graphql.cross_tenant.sides import Side

__all__ = ["EXAMPLES", "Column", "Example", "Id", "Made", "in_days"]


@dataclass(frozen=True)
class Id:
    """The id of a row of this kind; `where` is SQL about its table's columns."""

    kind: Kind
    where: str = "true"


@dataclass(frozen=True)
class Column:
    """A value of a row."""

    table: str
    column: str
    where: str = "true"


@dataclass(frozen=True)
class Made:
    """What has to be prepared."""

    make: Callable[[Side], Awaitable[Any]]


def in_days(number: int) -> Made:
    """A moment, for what may not be planned too far ahead."""

    async def made(_side: Side) -> str:
        return (datetime.now(UTC) + timedelta(days=number)).isoformat()

    return Made(made)


def noon_in(number: int) -> Made:
    """Noon of a day from now, for what begins on a whole minute."""

    async def made(_side: Side) -> str:
        day = datetime.now(UTC) + timedelta(days=number)
        return day.replace(hour=12, minute=0, second=0, microsecond=0).isoformat()

    return Made(made)


def day_in(number: int) -> Made:
    """A day from now."""

    async def made(_side: Side) -> str:
        return (datetime.now(UTC) + timedelta(days=number)).date().isoformat()

    return Made(made)


SOLD = "location_id IS NOT NULL AND active"


async def _selling(side: Side) -> str:
    return f"{Kind.LOCATION.value}_{await side.resolved(Column('service_catalog', 'location_id', SOLD))}"


SELLING = Made(_selling)
"""The location that sells what `Id(Kind.SERVICE, SOLD)` is."""


async def _code(side: Side) -> str:
    """Texted to the number that was typed in the conversation of the side's visitor."""
    assert side.secrets is not None
    chat = await side.resolved(Id(Kind.CHAT_SESSION))
    key, code = UUID(chat.removeprefix("chat_")), "123456"
    await side.admin.execute(
        "UPDATE chat_sessions c SET code_hash = $1, code_expires_at = now() + interval '1 hour', visitor_phone = l.phone"
        " FROM leads l WHERE c.id = $2 AND l.tenant_id = c.tenant_id AND l.id = c.lead_id",
        side.secrets.address_hash(side.tenant_id, "chat code", f"{key}:{code}"),
        key,
    )
    return code


OF_VISITORS = "a visitor is told nothing of the location"
OPEN_CHAT = Id(Kind.CHAT_SESSION, "state = 'ASSISTANT'")


@dataclass(frozen=True)
class Example:
    """`open_to_all` says why a stranger may have an effect on the franchise by it; then only what comes back is watched.

    `wordless` says why an answer has nothing of the franchise's in it that could be told from others'; then one without an
    error is enough of a proof that it works. `withheld` says why fields below it are refused even to whom it belongs to.
    """

    arguments: Mapping[str, Any]
    open_to_all: str | None = None
    wordless: str | None = None
    withheld: str | None = None


TOUCHES = [{"number": n, "day": day, "channel": "SMS", "body": f"Hello {n}"} for n, day in enumerate(DEFAULT_DAYS, 1)]
MESSAGE = {
    "leadId": Id(Kind.LEAD, "phone IS NOT NULL AND opted_out = '{}'"),
    "channel": "SMS",
    "body": "Your car is ready",
    "idempotencyKey": "0199aaaa-0000-7000-8000-000000000001",
}

EXAMPLES: Mapping[str, Example] = {
    "addClosure": Example(
        {
            "locationId": Id(Kind.LOCATION),
            "startsAt": "2031-07-04T00:00:00-07:00",
            "endsAt": "2031-07-05T00:00:00-07:00",
        }
    ),
    "addLocation": Example(
        {
            "input": {
                "tenantId": Id(Kind.TENANT),
                "location": {"name": "Uptown", "slug": "uptown-example", "timezone": "America/Denver"},
            }
        }
    ),
    "assignChat": Example({"sessionId": OPEN_CHAT, "userId": Id(Kind.USER, "role = 'OWNER'")}),
    "availableSlots": Example(
        {
            "locationId": SELLING,
            "serviceIds": [Id(Kind.SERVICE, SOLD)],
            "from": day_in(0),
            "to": day_in(7),
        },
        wordless="moments, and tokens that are other ones each time",
    ),
    "bookAppointment": Example(
        {
            "input": {
                "locationId": SELLING,
                "serviceIds": [Id(Kind.SERVICE, SOLD)],
                "startsAt": noon_in(20),
                "customer": {"firstName": "Grace", "phone": "+12135550178"},
                "idempotencyKey": "0199aaaa-0000-7000-8000-000000000002",
            }
        }
    ),
    "cancelAppointment": Example({"id": Id(Kind.APPOINTMENT, "status = 'CONFIRMED'")}),
    "cancelMessage": Example({"id": Id(Kind.MESSAGE, "status = 'SCHEDULED' AND kind = 'AD_HOC'")}),
    "chatEvents": Example({"sessionId": Id(Kind.CHAT_SESSION)}),
    "closeChat": Example({"sessionId": OPEN_CHAT}),
    "confirmChat": Example({"code": Made(_code)}, withheld=OF_VISITORS),
    "connectGoogleCalendar": Example({"locationId": Id(Kind.LOCATION)}),
    "createLead": Example(
        {
            "input": {
                "locationId": Id(Kind.LOCATION),
                "phone": "+12135550177",
                "firstName": "Grace",
                "consent": {"sms": True},
            }
        }
    ),
    "impersonateTenant": Example({"tenantId": Id(Kind.TENANT), "reason": "asked to"}),
    "holdSlot": Example(
        {
            "input": {
                "locationId": SELLING,
                "serviceIds": [Id(Kind.SERVICE, SOLD)],
                "startsAt": noon_in(21),
                "idempotencyKey": "0199aaaa-0000-7000-8000-000000000003",
            }
        }
    ),
    "deactivateUser": Example({"userId": Id(Kind.USER, "role = 'AGENT'")}),
    "inviteUser": Example({"input": {"email": "grace@example.com", "role": "AGENT"}}),
    "identifyChat": Example({"input": {"phone": "+12135550179", "name": "Grace"}}),
    "location": Example({"id": Id(Kind.LOCATION)}),
    "markChatRead": Example({"sessionId": Id(Kind.CHAT_SESSION, "unread > 0")}),
    "node": Example({"id": Id(Kind.LEAD)}),
    "nodes": Example({"ids": [Id(Kind.LEAD), Id(Kind.LOCATION), Id(Kind.APPOINTMENT)]}),
    "onboardTenant": Example(
        {
            "input": {
                "name": "New Example",
                "slug": "new-example",
                "ownerEmail": "owner@example.com",
                "locations": [{"name": "Main", "slug": "new-example-main", "timezone": "America/Denver"}],
                "templateTenantId": Id(Kind.TENANT),
                "idempotencyKey": "0199aaaa-0000-7000-8000-000000000005",
            }
        },
        wordless="another franchise, which has nothing of this one but its touches",
    ),
    "optOutLead": Example({"leadId": Id(Kind.LEAD, "opted_out = '{}' AND phone IS NOT NULL")}),
    "pauseTouches": Example({"leadId": Id(Kind.LEAD, "NOT touches_paused")}),
    "previewTemplate": Example(
        {"input": {"channel": "SMS", "body": "{first_name} {shop_name}: {chat_link}", "leadId": Id(Kind.LEAD)}}
    ),
    "releaseChat": Example({"sessionId": Id(Kind.CHAT_SESSION, "state = 'HUMAN'")}),
    "removeClosure": Example({"id": Id(Kind.CLOSURE)}),
    "reinstateTenant": Example({"tenantId": Id(Kind.TENANT)}),
    "replayUnroutedWebhook": Example({"id": Id(Kind.UNROUTED_WEBHOOK)}),
    "replayWebhookEvent": Example({"id": Id(Kind.WEBHOOK_EVENT, "status = 'FAILED'")}),
    "report": Example({"from": "2026-03-01", "to": "2026-12-31"}),
    "rescheduleAppointment": Example(
        {
            "id": Id(Kind.APPOINTMENT, "status = 'CONFIRMED'"),
            "startsAt": noon_in(22),
            "idempotencyKey": "0199aaaa-0000-7000-8000-000000000004",
        }
    ),
    "resolveUnknownMessage": Example({"id": Id(Kind.MESSAGE, "status = 'UNKNOWN'"), "sent": True}),
    "resumeTouches": Example({"leadId": Id(Kind.LEAD, "touches_paused")}),
    "retryMessage": Example({"id": Id(Kind.MESSAGE, "status = 'FAILED' AND kind = 'AD_HOC'")}),
    "revokeSessions": Example({"userId": Id(Kind.USER, "role = 'AGENT'")}),
    "scheduleMessage": Example({"input": {**MESSAGE, "dueAt": in_days(3)}}),
    "sendChatMessage": Example({"input": {"sessionId": OPEN_CHAT, "text": "At ten, then", "clientId": "c-fuzz"}}),
    "sendMessage": Example({"input": MESSAGE}),
    "setAppointmentStatus": Example({"id": Id(Kind.APPOINTMENT, "status = 'COMPLETED'"), "status": "NO_SHOW"}),
    "setAssistant": Example({"input": {"tenantId": Id(Kind.TENANT), "instructions": "We speak of film."}}),
    "setCrmCredentials": Example(
        {"input": {"tenantId": Id(Kind.TENANT), "credentials": {"apiKey": SUN_SHADE.shopmonkey_api_key}}}
    ),
    "setDemoMode": Example({"tenantId": Id(Kind.TENANT), "enabled": True, "allowlist": ["*@example.com"]}),
    "setLocationHours": Example(
        {
            "locationId": Id(Kind.LOCATION),
            "hours": [{"dayOfWeek": 6, "opensAt": "10:00", "closesAt": "14:00"}],
        }
    ),
    "setMessageTemplate": Example(
        {"input": {"locationId": Id(Kind.LOCATION), "kind": "REMINDER", "channel": "SMS", "body": "At {shop_name}"}}
    ),
    "setSurvey": Example(
        {
            "locationId": Id(Kind.LOCATION),
            "definition": {"questions": [{"id": "why", "type": "text", "label": "Why?"}]},
        }
    ),
    "setMessagingCredentials": Example(
        {"input": {"tenantId": Id(Kind.TENANT), "sendgridEventPublicKey": "MFkwExample"}}
    ),
    "setTenantLimits": Example({"tenantId": Id(Kind.TENANT), "messagesPerDay": 100}),
    "setTouchSchedule": Example({"input": {"locationId": Id(Kind.LOCATION), "touches": TOUCHES}}),
    "setUserRole": Example({"userId": Id(Kind.USER, "role = 'AGENT'"), "role": "MANAGER"}),
    "setTyping": Example({"sessionId": OPEN_CHAT}, wordless="a yes or a no"),
    "simulateTouches": Example(
        {"leadId": Id(Kind.LEAD, "phone IS NOT NULL")}, wordless="moments and reasons, which all franchises share"
    ),
    "suspendTenant": Example({"tenantId": Id(Kind.TENANT), "reason": "unpaid"}),
    "startBooking": Example(
        {"locationSlug": Column("locations", "slug")},
        open_to_all="anybody may book at a shop",
        wordless="a token that has just been made",
        withheld=OF_VISITORS,
    ),
    "startChat": Example(
        {"input": {"locationSlug": Column("locations", "slug")}},
        open_to_all="anybody may begin a conversation with a shop",
        wordless="the keys of a conversation that has just begun",
        withheld=OF_VISITORS,
    ),
    "takeOverChat": Example({"sessionId": OPEN_CHAT}),
    "updateLead": Example({"input": {"id": Id(Kind.LEAD), "firstName": "Grace"}}),
    "updateLocation": Example({"input": {"id": Id(Kind.LOCATION), "bays": 2, "address": "2 Example Street"}}),
    "upsertService": Example(
        {"input": {"id": Id(Kind.SERVICE, "location_id IS NOT NULL"), "name": "Door Edge Film", "durationMinutes": 45}}
    ),
}
