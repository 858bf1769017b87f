"""Who may do what: the one table of the product, for GraphQL, for REST and for what `node` finds.

A row says which roles may ask at all. Which rows of the database they then see is decided by Postgres: a manager or an agent
who is limited to locations asks for the same fields and finds less. `docs/roles.md` is made of these tables (`make docs`).

A field or a route without a row keeps the api from starting. Whoever adds one adds its row here, in the order of the names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

from lead_orchestrator.errors import ConfigurationError, ForbiddenError, NotFoundError
from lead_orchestrator.ids import Kind
from lead_orchestrator.tenancy.tokens import Claims, Role

__all__ = [
    "ADMINISTRATORS",
    "FOUND",
    "NOBODY",
    "OPERATIONS",
    "PUBLIC",
    "ROUTES",
    "SIGNED_IN",
    "STAFF",
    "RouteRule",
    "Who",
    "admit",
    "operation_rule",
    "route_rule",
]

_T = TypeVar("_T")

Who: TypeAlias = frozenset[Role | None]
"""The roles that may; None among them stands for whoever brings no token."""

NOBODY: Final[Who] = frozenset()
ADMINISTRATORS: Final[Who] = frozenset({Role.PLATFORM_ADMIN})
OWNERS: Final[Who] = frozenset({Role.OWNER})
MANAGERS: Final[Who] = frozenset({Role.MANAGER}) | OWNERS
STAFF: Final[Who] = frozenset({Role.AGENT}) | MANAGERS
VISITORS: Final[Who] = frozenset({Role.VISITOR})
SIGNED_IN: Final[Who] = STAFF | ADMINISTRATORS
EVERYBODY: Final[Who] = SIGNED_IN | VISITORS
PUBLIC: Final[Who] = EVERYBODY | {None}

OPERATIONS: Final[Mapping[str, Who]] = {
    "Mutation.addClosure": MANAGERS,
    "Mutation.addLocation": ADMINISTRATORS,
    "Mutation.assignChat": STAFF,
    "Mutation.bookAppointment": STAFF | VISITORS,
    "Mutation.cancelAppointment": STAFF,
    "Mutation.cancelMessage": STAFF,
    "Mutation.closeChat": STAFF,
    "Mutation.confirmChat": VISITORS,
    "Mutation.connectGoogleCalendar": MANAGERS,
    "Mutation.createLead": STAFF,
    "Mutation.deactivateUser": MANAGERS,
    "Mutation.disconnectGoogleCalendar": MANAGERS,
    "Mutation.eraseLead": OWNERS,
    "Mutation.exportLead": MANAGERS,
    "Mutation.holdSlot": STAFF | VISITORS,
    "Mutation.identifyChat": VISITORS,
    "Mutation.impersonateTenant": ADMINISTRATORS,
    "Mutation.inviteUser": MANAGERS,
    "Mutation.markChatRead": STAFF | VISITORS,
    "Mutation.onboardTenant": ADMINISTRATORS,
    "Mutation.optOutLead": STAFF,
    "Mutation.pauseTouches": STAFF,
    "Mutation.reinstateTenant": ADMINISTRATORS,
    "Mutation.releaseChat": STAFF,
    "Mutation.removeClosure": MANAGERS,
    "Mutation.replayUnroutedWebhook": ADMINISTRATORS,
    "Mutation.replayWebhookEvent": MANAGERS,
    "Mutation.rescheduleAppointment": STAFF,
    "Mutation.resolveUnknownMessage": STAFF,
    "Mutation.resumeTouches": STAFF,
    "Mutation.retryMessage": STAFF,
    "Mutation.revokeSessions": STAFF,
    "Mutation.scheduleMessage": STAFF,
    "Mutation.sendChatMessage": STAFF | VISITORS,
    "Mutation.sendMessage": STAFF,
    "Mutation.setAppointmentStatus": STAFF,
    "Mutation.setAssistant": MANAGERS | ADMINISTRATORS,
    "Mutation.setCrmCredentials": ADMINISTRATORS,
    "Mutation.setDemoMode": ADMINISTRATORS,
    "Mutation.setLocationHours": MANAGERS,
    "Mutation.setMessageTemplate": MANAGERS,
    "Mutation.setMessagingCredentials": ADMINISTRATORS,
    "Mutation.setSurvey": MANAGERS,
    "Mutation.setTenantLimits": ADMINISTRATORS,
    "Mutation.setTouchSchedule": MANAGERS,
    "Mutation.setTyping": STAFF | VISITORS,
    "Mutation.setUserRole": MANAGERS,
    "Mutation.startBooking": PUBLIC,
    "Mutation.startChat": PUBLIC,
    "Mutation.suspendTenant": ADMINISTRATORS,
    "Mutation.syncCatalog": MANAGERS,
    "Mutation.takeOverChat": STAFF,
    "Mutation.updateLead": STAFF,
    "Mutation.updateLocation": MANAGERS,
    "Mutation.upsertService": MANAGERS,
    "Query.appointments": STAFF,
    "Query.auditLog": OWNERS,
    "Query.availableSlots": STAFF | VISITORS,
    "Query.chatSession": STAFF | VISITORS,
    "Query.chatSessions": STAFF,
    "Query.jobExecutions": MANAGERS,
    "Query.lead": STAFF,
    "Query.leads": STAFF,
    "Query.location": STAFF,
    "Query.locations": STAFF,
    "Query.messages": STAFF,
    "Query.mySessions": SIGNED_IN,
    "Query.node": SIGNED_IN,
    "Query.nodes": SIGNED_IN,
    "Query.previewTemplate": STAFF,
    "Query.report": STAFF,
    "Query.services": STAFF,
    "Query.simulateTouches": STAFF,
    "Query.tenant": STAFF,
    "Query.tenants": ADMINISTRATORS,
    "Query.touchSchedule": STAFF,
    "Query.unroutedWebhooks": ADMINISTRATORS,
    "Query.users": MANAGERS,
    "Query.viewer": EVERYBODY,
    "Query.webhookEvents": MANAGERS,
    "Subscription.appointmentEvents": STAFF,
    "Subscription.chatEvents": STAFF | VISITORS,
    "Subscription.leadEvents": STAFF,
}
"""Each field of the schema's three roots."""

FOUND: Final[Mapping[Kind, Who]] = {
    Kind.APPOINTMENT: STAFF,
    Kind.AUDIT_ENTRY: OWNERS,
    Kind.CHAT_MESSAGE: STAFF,
    Kind.CHAT_SESSION: STAFF,
    Kind.CLOSURE: NOBODY,
    Kind.JOB_EXECUTION: MANAGERS,
    Kind.LEAD: STAFF,
    Kind.LOCATION: STAFF,
    Kind.LOGIN_SESSION: SIGNED_IN,
    Kind.MESSAGE: STAFF,
    Kind.MESSAGE_LOG: STAFF,
    Kind.SERVICE: STAFF,
    Kind.TENANT: SIGNED_IN,
    Kind.UNROUTED_WEBHOOK: ADMINISTRATORS,
    Kind.USER: STAFF,
    Kind.WEBHOOK_EVENT: MANAGERS,
}
"""What `node` and `nodes` find by an id of each kind; others get null, as for an id that is nobody's."""


@dataclass(frozen=True)
class RouteRule:
    """`by` says what lets a request in. Where it is an access token, `who` are the roles, and the route is refused to others
    before it is run; where `who` has None, the route itself checks what `by` names."""

    who: Who
    by: str


_OPEN = RouteRule(PUBLIC, "nothing: it is public")
_LINK = RouteRule(PUBLIC, "the signed link itself")
_MAILED = RouteRule(PUBLIC, "the mailed link, once")
_COOKIE = RouteRule(PUBLIC, "the refresh token in its cookie")
_ENROLLING = RouteRule(SIGNED_IN | {None}, "an access token, or the enrolment token of a sign-in")
_SIGNED = RouteRule(PUBLIC, "the signature of the service that calls it")

ROUTES: Final[Mapping[str, RouteRule]] = {
    "* /graphql": RouteRule(PUBLIC, "an access token, by the field"),
    "GET /.well-known/jwks.json": _OPEN,
    "GET /a/{token}": _LINK,
    "GET /a/{token}/appointment.ics": _LINK,
    "GET /api/form": _OPEN,
    "GET /api/leads": RouteRule(STAFF, "an access token"),
    "GET /api/openapi.json": _OPEN,
    "GET /api/services": _OPEN,
    "GET /api/slots": _OPEN,
    "GET /auth/links/{token}": _MAILED,
    "GET /book/{slug}": _OPEN,
    "GET /c/{token}": _LINK,
    "GET /chat/{name}": _OPEN,
    "GET /google/callback": RouteRule(PUBLIC, "the state of a consent that staff began, in the browser that began it"),
    "GET /health": _OPEN,
    "GET /metrics": _OPEN,
    "GET /ready": _OPEN,
    "GET /survey/{slug}": _OPEN,
    "GET /u/{token}": _LINK,
    "GET /u/{token}/choices": _LINK,
    "GET /webhook/whatsapp": RouteRule(PUBLIC, "the verify token"),
    "GET /webhooks/whatsapp": RouteRule(PUBLIC, "the verify token"),
    "POST /a/{token}": _LINK,
    "POST /api/bookings": RouteRule(PUBLIC, "nothing, or the one-use token of a lead, for whom it books then"),
    "POST /api/leads": _OPEN,
    "POST /api/schedule": RouteRule(STAFF | {None}, "staff's access token, or the one-use token of a lead"),
    "POST /auth/accept-invite": _MAILED,
    "POST /auth/links/{token}": _MAILED,
    "POST /auth/refresh": _COOKIE,
    "POST /auth/reset": RouteRule(PUBLIC, "nothing for a link to be mailed; the link itself for a new password"),
    "POST /auth/second-factor/confirm": _ENROLLING,
    "POST /auth/second-factor/enrol": _ENROLLING,
    "POST /auth/sign-in": RouteRule(PUBLIC, "the password, and the code of the second factor"),
    "POST /auth/sign-out": _COOKIE,
    "POST /auth/sign-out-everywhere": RouteRule(SIGNED_IN, "an access token"),
    "POST /book/{slug}": RouteRule(PUBLIC, "the signed token of the form"),
    "POST /survey/{slug}": RouteRule(PUBLIC, "the signed token of the form"),
    "POST /u/{token}": _LINK,
    "POST /u/{token}/choices": _LINK,
    "POST /webhook/whatsapp": _SIGNED,
    "POST /webhooks/google/calendar": RouteRule(PUBLIC, "the signed token of the channel"),
    "POST /webhooks/sendgrid/events/{key}": RouteRule(PUBLIC, "the secret in the address and SendGrid's signature"),
    "POST /webhooks/sendgrid/inbound/{key}": RouteRule(PUBLIC, "the secret in the address"),
    "POST /webhooks/shopmonkey/order": _SIGNED,
    "POST /webhooks/twilio/sms": _SIGNED,
    "POST /webhooks/twilio/status": _SIGNED,
    "POST /webhooks/whatsapp": _SIGNED,
}
"""Each route of the api beside GraphQL's fields."""


def operation_rule(name: str) -> Who:
    """Who may ask for a root field, as in `Query.leads`.

    Raises:
        ConfigurationError: the table has no row for it.
    """
    return _rule(OPERATIONS, name)


def route_rule(method: str, path: str) -> RouteRule:
    """Raises ConfigurationError: the table has no row for this route."""
    return _rule(ROUTES, f"{method} {path}")


def _rule(table: Mapping[str, _T], name: str) -> _T:
    try:
        return table[name]
    except KeyError:
        message = f"nobody has said who may do {name!r}: add its row in platform/tenancy/permissions.py"
        raise ConfigurationError(message) from None


def admit(claims: Claims, who: Who) -> None:
    """Let the caller in, or not.

    Raises:
        NotFoundError: an administrator of the platform asks for what belongs to a franchise: its token has none.
        ForbiddenError: the caller's role may not.
    """
    if claims.role in who:
        return
    if claims.role is Role.PLATFORM_ADMIN and who - ADMINISTRATORS:
        raise NotFoundError("this token belongs to no franchise: ask for one by impersonation")
    allowed = ", ".join(role.value for role in Role if role in who) or "nobody"
    raise ForbiddenError(f"a {claims.role.value} may not do this: it is for {allowed}")
