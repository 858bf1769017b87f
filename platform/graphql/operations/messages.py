"""Every message of the franchise, sent and received, as one list."""

from __future__ import annotations

from datetime import datetime
from functools import partial

import strawberry

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.graphql.cursors import Page
from lead_orchestrator.graphql.enums import Channel, MessageKind, MessageStatus
from lead_orchestrator.graphql.lead_types import MessageConnection
from lead_orchestrator.graphql.operations import repository
from lead_orchestrator.graphql.operations.repository import MessageQuery
from lead_orchestrator.ids import Kind, decode

__all__ = ["MESSAGE_KINDS", "MessageFilter", "messages"]

MESSAGE_KINDS = (Kind.MESSAGE, Kind.MESSAGE_LOG)
MOST_LOCATION_IDS = 1000


@strawberry.input
class MessageFilter:
    """What is left out or null does not narrow; an empty list matches nothing.

    `from` and `to` are about when a message was written down or came in; `to` itself is not included.
    """

    status: list[MessageStatus] | None = None
    kind: list[MessageKind] | None = None
    channel: list[Channel] | None = None
    lead_id: strawberry.ID | None = None
    location_ids: list[strawberry.ID] | None = None
    begins: datetime | None = strawberry.field(name="from", default=None)
    ends: datetime | None = strawberry.field(name="to", default=None)

    def query(self) -> MessageQuery:
        """Raises BadInputError: an id is none."""
        places = self.location_ids
        if places is not None and len(places) > MOST_LOCATION_IDS:
            message = f"locationIds has {len(places)} ids: send {MOST_LOCATION_IDS} at most, or leave it out for all"
            raise BadInputError(message, field=("filter", "locationIds"))
        return MessageQuery(
            status=self.status,
            kind=self.kind,
            channel=self.channel,
            lead_id=decode(Kind.LEAD, self.lead_id, field="leadId") if self.lead_id is not None else None,
            location_ids=None
            if places is None
            else [decode(Kind.LOCATION, text, field="locationIds") for text in places],
            begins=self.begins,
            ends=self.ends,
        )


async def messages(info: Request, query: MessageQuery, page: Page, after: str | None) -> MessageConnection:
    """Newest first."""
    sent = await info.context.run(repository.sent_page, query, page)
    received = await info.context.run(repository.inbound_page, query, page)
    count = partial(info.context.run, repository.count_messages, query)
    return MessageConnection.merged(sent, received, page, after, count)
