"""Every message in SQL: what was and is to be sent, and what came in, of a franchise or of one lead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    SmallInteger,
    Text,
    Uuid,
    case,
    cast,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    union_all,
)

from lead_orchestrator.graphql import cursors
from lead_orchestrator.graphql.lead_types import MESSAGE_ORDER
from lead_orchestrator.graphql.operations.messages import MESSAGE_KINDS, MessageFilter
from lead_orchestrator.graphql.planner.declare import (
    Arguments,
    Bind,
    Connection,
    Entity,
    Field,
    Leaf,
    One,
    Paging,
    Root,
    Row,
    Target,
)
from lead_orchestrator.graphql.planner.expressions import (
    beyond,
    column,
    columns,
    encoded_cursor,
    moment,
    page_values,
    table,
)
from lead_orchestrator.ids import Kind
from lead_orchestrator.leads.models import ScheduledMessage
from lead_orchestrator.messaging.models import MessageLog

__all__ = ["ENTITIES", "MESSAGES", "MORE_FIELDS", "ROOTS", "TARGETS"]

Term = Callable[[Row, Bind], ColumnElement[bool]]

_MESSAGE_TERMS: dict[str, Term] = {
    "status": lambda row, bind: row.c.status == func.any(bind("status")),
    "kind": lambda row, bind: row.c.kind == func.any(bind("kind")),
    "channel": lambda row, bind: row.c.channel == func.any(bind("channel")),
    "lead_id": lambda row, bind: row.c.lead_id == bind("lead_id"),
    "location_ids": lambda row, bind: row.c.location_id == func.any(bind("location_ids")),
    "begins": lambda row, bind: row.c.at >= bind("begins"),
    "ends": lambda row, bind: row.c.at < bind("ends"),
}


def _message_filter(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    given: Mapping[str, Any] = arguments.get("filter") or {}
    names = {"lead_id": "leadId", "location_ids": "locationIds", "begins": "from", "ends": "to"}
    query = MessageFilter(**{name: given.get(names.get(name, name)) for name in _MESSAGE_TERMS}).query()
    return {name: getattr(query, name) for name in _MESSAGE_TERMS}


def _read(arguments: Mapping[str, Any]) -> Arguments:
    page = cursors.page(arguments.get("first"), arguments.get("after"), MESSAGE_ORDER, MESSAGE_KINDS)
    filters = {name: value for name, value in _message_filter(arguments).items() if value is not None}
    return Arguments((page.after is not None, tuple(filters)), {**page_values(page), **filters})


MESSAGES = Paging(
    read=_read,
    order=lambda row, _shape: (row.c.at.desc(), row.c.id.desc()),
    cursor=lambda row, _shape: encoded_cursor(MESSAGE_ORDER, moment(row.c.at), row.c.node_id),
    after=lambda row, shape, bind: beyond(row.c.at, row.c.id, bind, descending=True) if shape[0] else None,
    starts_after=lambda shape: bool(shape[0]),
    terms=lambda row, shape, bind: [_MESSAGE_TERMS[name](row, bind) for name in shape[1]],
)


def _messages() -> Row:
    """What was or is to be sent, and what came in, as one table."""
    sent, got = table(ScheduledMessage).c, table(MessageLog).c
    out = select(
        sent.tenant_id, sent.id, sent.location_id, sent.lead_id, sent.kind, sent.channel,
        literal_column("'OUTBOUND'", Text).label("direction"), sent.status, sent.body,
        sent.subject, sent.touch_number, sent.due_at, sent.sent_at, sent.delivered_at, sent.decision,
        sent.provider_message_id, sent.error_code, sent.attempt.label("attempts"), sent.segments,
        sent.template_version,
        sent.created_at.label("at"), (literal_column("'msg_'", Text) + cast(sent.id, Text)).label("node_id"),
        cast(null(), Uuid).label("answers"),
    )  # fmt: skip
    came = select(
        got.tenant_id, got.id, got.location_id, got.lead_id, literal_column("'INBOUND'", Text), got.channel,
        literal_column("'INBOUND'", Text), literal_column("'RECEIVED'", Text), got.body,
        got.subject, cast(null(), SmallInteger), cast(null(), sent.due_at.type), got.at, got.at, cast(null(), Text),
        got.provider_message_id, got.error_code, literal(0, Integer), cast(null(), SmallInteger),
        cast(null(), Integer),
        got.at, literal_column("'log_'", Text) + cast(got.id, Text), got.message_id,
    )  # fmt: skip
    # Of one type column by column, and without a condition inside: else the indexes' orders cannot be merged.
    both = union_all(out, came).subquery()
    return select(both).where(both.c.answers.is_(None)).subquery()


def _attempted(row: Row, name: str) -> Any:
    """What the last attempt at a message said."""
    log = table(MessageLog).alias()
    said = select(log.c[name]).where(log.c.tenant_id == row.c.tenant_id, log.c.message_id == row.c.id)
    last = said.order_by(log.c.attempt.desc()).limit(literal_column("1")).correlate(row).scalar_subquery()
    return case((row.c.attempts > literal_column("0"), last))


def _body(row: Row) -> Any:
    return func.coalesce(row.c.body, _attempted(row, "body"), literal_column("''"))


def _subject(row: Row) -> Any:
    worded = or_(row.c.subject.is_not(None), row.c.body.is_not(None))
    return case((worded, row.c.subject), else_=_attempted(row, "subject"))


MESSAGE = Entity(
    "Message",
    _messages,
    {
        "id": column("node_id"),
        **columns("kind", "channel", "direction", "status", "touch_number", "due_at", "sent_at"),
        "body": Leaf(_body),
        "subject": Leaf(_subject),
        **columns("delivered_at", "decision", "provider_message_id", "error_code", "attempts", "segments"),
        **columns("template_version"),
        "lead": One("Lead", lambda message, lead: lead.c.id == message.c.lead_id),
    },
    location="location_id",
    interfaces=frozenset({"Node"}),
)


def _directed(direction: str) -> Any:
    return lambda message: message.c.direction == literal_column(f"'{direction}'")


MORE_FIELDS: Mapping[str, Mapping[str, Field]] = {}
ENTITIES = {"Message": MESSAGE}
TARGETS = {
    Kind.MESSAGE.value: Target("Message", _directed("OUTBOUND")),
    Kind.MESSAGE_LOG.value: Target("Message", _directed("INBOUND")),
}
ROOTS: dict[str, Root] = {
    "messages": Root(connection=Connection("Message", MESSAGES), read=MESSAGES.read),
}
