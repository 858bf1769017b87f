"""Conversations in SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Text, Uuid, and_, cast, column, func, literal_column, select, true
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from lead_orchestrator.catalog.models import Service
from lead_orchestrator.chat.models import ChatMessage, ChatSession
from lead_orchestrator.chat.repository import ChatQuery
from lead_orchestrator.graphql.chat.cursors import VERSION_PREFIX, chat_page
from lead_orchestrator.graphql.chat.types import CHAT_ORDER, ChatSessionFilter
from lead_orchestrator.graphql.planner.catalog_types import SERVICE_FIELDS
from lead_orchestrator.graphql.planner.declare import (
    Arguments,
    Bind,
    Connection,
    Entity,
    Field,
    Many,
    One,
    Paging,
    Root,
    Row,
    Target,
)
from lead_orchestrator.graphql.planner.expressions import columns, identity, table
from lead_orchestrator.graphql.planner.pages import Terms, latest_first
from lead_orchestrator.ids import Kind, decode

__all__ = ["ENTITIES", "MORE_FIELDS", "ROOTS", "TARGETS"]

_TERMS: Terms = {
    "state": lambda row, bind: row.c.state == func.any(bind("state")),
    "channel": lambda row, bind: row.c.channel == func.any(bind("channel")),
    "location_ids": lambda row, bind: row.c.location_id == func.any(bind("location_ids")),
    "lead_id": lambda row, bind: row.c.lead_id == bind("lead_id"),
}


def _filter(arguments: Mapping[str, Any]) -> ChatQuery:
    given = arguments.get("filter") or {}
    return ChatSessionFilter(
        state=given.get("state"),
        channel=given.get("channel"),
        location_ids=given.get("locationIds"),
        lead_id=given.get("leadId"),
    ).query()


SESSIONS = latest_first(CHAT_ORDER, "active_at", Kind.CHAT_SESSION, _TERMS, _filter)


@dataclass(frozen=True)
class _Shape:
    backwards: bool
    above: bool
    below: bool


def _read_messages(arguments: Mapping[str, Any]) -> Arguments:
    page = chat_page(*(arguments.get(name) for name in ("first", "after", "last", "before")))
    values: dict[str, Any] = {"first": page.size, "limit": page.size + 1}
    given = {"above": page.after, "below": page.before}
    values.update({name: version for name, version in given.items() if version is not None})
    return Arguments(_Shape(page.backwards, page.after is not None, page.before is not None), values)


def _between(row: Row, shape: _Shape, bind: Bind) -> ColumnElement[bool] | None:
    edges = [row.c.version > bind("above")] if shape.above else []
    edges += [row.c.version < bind("below")] if shape.below else []
    return and_(*edges) if edges else None


MESSAGES = Paging(
    read=_read_messages,
    order=lambda row, shape: (row.c.version.desc() if shape.backwards else row.c.version,),
    cursor=lambda row, _shape: literal_column(f"'{VERSION_PREFIX}_'", Text) + cast(row.c.version, Text),
    after=_between,
    starts_after=lambda shape: bool(shape.below if shape.backwards else shape.above),
    backwards=lambda shape: bool(shape.backwards),
)


def _slots() -> Row:
    """The times that messages offer, each with its message and its place there."""
    message = table(ChatMessage)
    each = func.jsonb_array_elements(message.c.slots).table_valued(
        column("slot", JSONB), with_ordinality="place", name="offered_slot"
    )
    slot = each.render_derived()
    said = slot.c.slot
    return (
        select(
            message.c.tenant_id,
            message.c.id.label("message_id"),
            slot.c.place,
            cast(said["startsAt"].astext, TIMESTAMP(timezone=True)).label("starts_at"),
            cast(said["endsAt"].astext, TIMESTAMP(timezone=True)).label("ends_at"),
            said["localStart"].astext.label("local_start"),
            said["token"].astext.label("token"),
        )
        .select_from(message.join(slot, true()))
        .subquery()
    )


def _offered_services() -> Row:
    """The services that messages offer, each with its message and its place there."""
    message, service = table(ChatMessage), table(Service)
    each = func.jsonb_array_elements_text(message.c.services).table_valued(
        column("key", Text), with_ordinality="place", name="offered_service"
    )
    key = each.render_derived()
    link = and_(service.c.tenant_id == message.c.tenant_id, service.c.id == cast(key.c.key, Uuid))
    joined = message.join(key, true()).join(service, link)
    return select(*service.c, message.c.id.label("message_id"), key.c.place).select_from(joined).subquery()


_NODE = frozenset({"Node"})

SESSION = Entity(
    "ChatSession",
    lambda: table(ChatSession),
    {
        "id": identity(Kind.CHAT_SESSION),
        **columns("channel", "state", "created_at", "last_message_at", "unread"),
        "lead": One("Lead", lambda session, lead: lead.c.id == session.c.lead_id),
        "location": One("Location", lambda session, place: place.c.id == session.c.location_id),
        "assignedTo": One("User", lambda session, user: user.c.id == session.c.assigned_to),
        "messages": Connection("ChatMessage", MESSAGES, lambda session, row: row.c.session_id == session.c.id),
    },
    location="location_id",
    interfaces=_NODE,
)

MESSAGE = Entity(
    "ChatMessage",
    lambda: table(ChatMessage),
    {
        "id": identity(Kind.CHAT_MESSAGE),
        **columns("role", "text", "created_at", "client_id"),
        "slots": Many(
            "OfferedSlot",
            lambda message, slot: slot.c.message_id == message.c.id,
            lambda slot: (slot.c.place,),
            present=lambda message: message.c.slots.is_not(None),
        ),
        "services": Many(
            "OfferedService",
            lambda message, service: service.c.message_id == message.c.id,
            lambda service: (service.c.place,),
            present=lambda message: message.c.services.is_not(None),
        ),
    },
    location="location_id",
    interfaces=_NODE,
)

SLOT = Entity("Slot", _slots, columns("starts_at", "ends_at", "local_start", "token"))

OFFERED_SERVICE = Entity("Service", _offered_services, SERVICE_FIELDS, interfaces=_NODE)

MORE_FIELDS: Mapping[str, Mapping[str, Field]] = {
    "Lead": {"chatSessions": Connection("ChatSession", SESSIONS, lambda lead, row: row.c.lead_id == lead.c.id)}
}

ENTITIES = {
    "ChatSession": SESSION,
    "ChatMessage": MESSAGE,
    "OfferedSlot": SLOT,
    "OfferedService": OFFERED_SERVICE,
}

TARGETS = {Kind.CHAT_SESSION.value: Target("ChatSession"), Kind.CHAT_MESSAGE.value: Target("ChatMessage")}

ROOTS: dict[str, Root] = {
    "chatSessions": Root(
        connection=Connection("ChatSession", SESSIONS),
        read=SESSIONS.read,
        entities=frozenset({"ChatSession"}),
    ),
    "chatSession": Root(
        read=lambda arguments: Arguments(None, {"id": decode(Kind.CHAT_SESSION, arguments["id"], field="id")}),
        entity_of=lambda _shape: "ChatSession",
        by=lambda row, _shape, bind: row.c.id == bind("id"),
        entities=frozenset({"ChatSession"}),
    ),
}
